"""Segments: who belongs to them, now and at any time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

from shopkeeper.client.wire import Page, Wire, decoded, escaped, tag_at
from shopkeeper.core.records import Segment

_SEGMENTS = "/api/v1/segments"


class SegmentDoors(Wire):
    """One method a door."""

    def segments(self) -> list[Segment]:
        """By name, with their sizes."""
        return self.get(_SEGMENTS, dict[str, list[Segment]])["segments"]

    def segment(self, name: str) -> Segment:
        """Raises NotFound."""
        return self.get(f"{_SEGMENTS}/{escaped(name)}", Segment)

    def create_segment(self, name: str, condition: str, description: str = "") -> Segment:
        """Raises Invalid with the place of what is wrong in the condition."""
        body = {"name": name, "condition": condition, "description": description}
        return self.call("POST", _SEGMENTS, Segment, body)

    def update_segment(self, name: str, *, read_at: datetime | None = None, **changes: Any) -> Segment:
        """`changes`: condition, description; what is not named stays. `read_at`: the `updated_at` of what was read;
        Stale when somebody has changed it since."""
        answer = self.send_request("PUT", f"{_SEGMENTS}/{escaped(name)}", changes, if_match=tag_at(read_at))
        return decoded(answer, Segment)

    def delete_segment(self, name: str, *, read_at: datetime | None = None) -> None:
        """`read_at` as in `update_segment`."""
        self.send_request("DELETE", f"{_SEGMENTS}/{escaped(name)}", if_match=tag_at(read_at))

    def segment_users(
        self, name: str, *, at: datetime | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[dict[str, Any]]:
        """`{user_id, entered_at}` of the members, now or at a time (with its zone)."""
        query = {"at": None if at is None else at.isoformat(), "limit": limit, "cursor": cursor}
        return self.get(f"{_SEGMENTS}/{escaped(name)}/users", Page[dict[str, Any]], query)

    def segment_history(
        self, name: str, *, from_: datetime | None = None, to: datetime | None = None, step: str = "1d"
    ) -> dict[str, Any]:
        """`{sizes: [{time, size}], entered, left}`; without bounds the last 30 days."""
        query = {
            "from": None if from_ is None else from_.isoformat(),
            "to": None if to is None else to.isoformat(),
            "step": step,
        }
        return self.get(f"{_SEGMENTS}/{escaped(name)}/history", dict[str, Any], query)

    def export_segment(self, name: str, path: Path) -> None:
        """Its members as a CSV file."""
        self.receive_file(f"{_SEGMENTS}/{escaped(name)}/export", path)

    def user_segments(self, user_id: str, *, history: bool = False) -> dict[str, Any]:
        """`{segments, history: [{segment, entered_at, left_at}]}`. Raises NotFound."""
        return self.get(f"/api/v1/user/{escaped(user_id)}/segments", dict[str, Any], {"history": history})
