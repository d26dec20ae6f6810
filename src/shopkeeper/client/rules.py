"""Rules: the conditions that score and suggest, their versions, what they would do, and what they may read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import msgspec

from shopkeeper.client.wire import Page, Wire, decoded, escaped, tag_at
from shopkeeper.core.records import Rule

_RULES = "/api/v1/rules"


class RuleDoors(Wire):
    """One method a door."""

    def rules(self) -> list[Rule]:
        """By name."""
        return self.get(_RULES, dict[str, list[Rule]])["rules"]

    def rule(self, name: str, version: int | None = None) -> Rule:
        """The present rule, or one of its versions. Raises NotFound."""
        return self.get(f"{_RULES}/{escaped(name)}", Rule, {"version": version})

    def rule_versions(self, name: str, *, limit: int = 50, cursor: str | None = None) -> Page[Rule]:
        """Newest first, those before a removal too."""
        query = {"limit": limit, "cursor": cursor}
        return self.get(f"{_RULES}/{escaped(name)}/versions", Page[Rule], query)

    def create_rule(
        self, name: str, condition: str, *, weight: float = 1.0, description: str = "", action: str = ""
    ) -> Rule:
        """Raises Invalid with the place of what is wrong in the condition."""
        body = {
            "name": name,
            "condition": condition,
            "weight": weight,
            "description": description,
            "action": action,
        }
        return _rule(self.call("POST", _RULES, dict[str, Any], body))

    def update_rule(self, name: str, *, read_at: datetime | None = None, **changes: Any) -> Rule:
        """`changes`: condition, weight, description, action; what is not named stays. `read_at`: the `updated_at` of
        what was read; Stale when somebody has changed it since."""
        answer = self.send_request("PUT", f"{_RULES}/{escaped(name)}", changes, if_match=tag_at(read_at))
        return _rule(decoded(answer, dict[str, Any]))

    def revert_rule(self, name: str, version: int) -> Rule:
        """Adds a version that says what an earlier one said."""
        body = {"version": version}
        return _rule(self.call("POST", f"{_RULES}/{escaped(name)}/revert", dict[str, Any], body))

    def delete_rule(self, name: str, *, read_at: datetime | None = None) -> None:
        """`read_at` as in `update_rule`."""
        self.send_request("DELETE", f"{_RULES}/{escaped(name)}", if_match=tag_at(read_at))

    def preview_rule(self, condition: str, *, weight: float = 1.0, name: str | None = None) -> dict[str, Any]:
        """`{matches, total, sample, score_shift}`; `name` is the rule that it would replace."""
        body = {"condition": condition, "weight": weight, "name": name}
        return self.call("POST", f"{_RULES}/preview", dict[str, Any], body, repeat=True)

    def preview_segment(self, condition: str) -> dict[str, Any]:
        return self.call("POST", "/api/v1/segments/preview", dict[str, Any], {"condition": condition}, repeat=True)

    def import_rules(self, rules: Sequence[Mapping[str, Any]], *, format: str = "unomi") -> dict[str, Any]:
        """`{created: [rule], rejected: [{index, name, reason}]}`; a bad one is rejected alone."""
        body = {"format": format, "rules": list(rules)}
        return self.call("POST", f"{_RULES}/import", dict[str, Any], body)

    def rule_fields(self) -> list[dict[str, Any]]:
        """`[{name, type, unit, help, windows}]`, windows in hours."""
        return self.get("/api/v1/rule-fields", list[dict[str, Any]])

    def refresh_rules(self) -> str:
        """Reads rules and users' records again; gives what was read."""
        told: str = self.call("POST", "/api/v1/operations/rules/refresh", dict[str, Any])["message"]
        return told

    def suggestions(self, user_id: str) -> list[str]:
        """What the rules with an action suggest to do for a user. Raises NotFound."""
        found: list[str] = self.get(f"/api/v1/recommendation/{escaped(user_id)}", dict[str, Any])["recommendations"]
        return found


def _rule(answer: dict[str, Any]) -> Rule:
    return msgspec.convert(answer["rule"], Rule)
