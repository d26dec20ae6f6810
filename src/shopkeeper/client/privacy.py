"""What a person may ask of a shop: consent, their profile and preferences, their data, and to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import escaped
from shopkeeper.core.records import Consent, Job, UserProfile

_USERS = "/api/v1/users"
_PERSONAL = "/api/v1/personalization"
_PREFERENCES = f"{_PERSONAL}/preferences"


class PrivacyDoors(JobDoors):
    """One method a door."""

    def consent(self, user_id: str) -> Consent:
        """Raises NotFound for one whom nothing has named."""
        return self.get(f"{_USERS}/{escaped(user_id)}/consent", Consent)

    def set_consent(self, user_id: str, **agreed: bool) -> Consent:
        """`personalization`, `profiling`, `marketing`; what is left out stays as it is."""
        return self.call("PUT", f"{_USERS}/{escaped(user_id)}/consent", Consent, agreed, repeat=True)

    def opt_in(self, user_id: str) -> None:
        """Agrees to personalisation and profiling."""
        self.send_request("POST", f"{_PERSONAL}/opt-in", {"user_id": user_id}, repeat=True)

    def opt_out(self, user_id: str) -> None:
        """Refuses personalisation and profiling; also for one whom the shop has not met yet."""
        self.send_request("POST", f"{_PERSONAL}/opt-out", {"user_id": user_id}, repeat=True)

    def user_profile(self, user_id: str) -> UserProfile:
        """Raises NotFound."""
        return self.get(f"{_PERSONAL}/user/{escaped(user_id)}/profile", UserProfile)

    def change_profile(
        self, user_id: str, *, features: Mapping[str, Any] | None = None, preferences: Mapping[str, Any] | None = None
    ) -> str:
        """Key by key, None takes a key away; makes the user when there is none. What the shop says to it."""
        body = {"features": dict(features or {}), "preferences": dict(preferences or {})}
        path = f"{_PERSONAL}/user/{escaped(user_id)}/profile"
        return self.call("PUT", path, dict[str, str], body, repeat=True)["message"]

    def preferences(self, user_id: str) -> dict[str, Any]:
        """What the user said; `user_id` beside it."""
        return self.get(_PREFERENCES, dict[str, Any], {"user_id": user_id})

    def set_preferences(self, user_id: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        """Field by field, None takes one away. All that is said now."""
        return self.call("PUT", _PREFERENCES, dict[str, Any], {**fields, "user_id": user_id}, repeat=True)

    def reset_preferences(self, user_id: str) -> None:
        self.send_request("POST", f"{_PREFERENCES}/reset", {"user_id": user_id}, repeat=True)

    def data_usage(self, user_id: str) -> dict[str, Any]:
        """`{data_points, storage_bytes, last_updated, categories}`. Raises NotFound."""
        return self.get(f"{_PERSONAL}/data/usage", dict[str, Any], {"user_id": user_id})

    def export_user(self, user_id: str, path: Path) -> int:
        """Writes everything the shop holds of a user to `path` as JSON, whole or not at all; its bytes."""
        return self.receive_file(f"{_USERS}/{escaped(user_id)}/export", path)

    def erase_user(self, user_id: str, mode: Literal["erase", "anonymise"] = "erase") -> Job:
        """Begins to forget a user everywhere; it cannot be undone. `wait` follows it. Raises NotFound, Busy."""
        body = {"confirm": user_id, "mode": mode}
        queued = self.call("POST", f"{_USERS}/{escaped(user_id)}/erase", dict[str, Any], body)
        return self.job(queued["job_id"])
