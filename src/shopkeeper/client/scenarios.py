"""Scenarios: where slates are shown, what may appear in them, and what counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.client.wire import Wire, decoded, escaped, tag_of

_SCENARIOS = "/api/v1/personalization/scenarios"


class ScenarioDoors(Wire):
    """One method a door."""

    def scenarios(self) -> list[dict[str, Any]]:
        """The built-in ones first."""
        found: list[dict[str, Any]] = self.get(_SCENARIOS, dict[str, Any])["scenarios"]
        return found

    def scenario(self, name: str) -> dict[str, Any]:
        """Raises NotFound."""
        return self.get(f"{_SCENARIOS}/{escaped(name)}", dict[str, Any])

    def put_scenario(self, name: str, body: Mapping[str, Any], *, if_version: int | None = None) -> dict[str, Any]:
        """Says what it is from the next request on; what is left out is as in a new one.

        `{recall[{channel, quota, weight}], filters[], ranker, objectives{}, diversity, boosts[{rule, factor}],
        explore{}, agent{}, deadlines{}, ttl_s, ...}`. Raises Invalid with the field and, in a rule, the place; Conflict
        (`not_proven`) for an agent that may not steer it; Stale when another version than `if_version` counts.
        """
        path = f"{_SCENARIOS}/{escaped(name)}"
        return decoded(self.send_request("PUT", path, dict(body), if_match=tag_of(if_version)), dict[str, Any])

    def delete_scenario(self, name: str, *, if_version: int | None = None) -> None:
        """What is built in under the name is there again. Raises NotFound; Conflict for what was never changed; Stale
        when another version than `if_version` counts."""
        self.send_request("DELETE", f"{_SCENARIOS}/{escaped(name)}", if_match=tag_of(if_version))

    def item_fields(self) -> list[dict[str, Any]]:
        """What the rules of filters and boosts can read: `{name, type, unit, help}`."""
        return self.get("/api/v1/personalization/item-fields", list[dict[str, Any]])
