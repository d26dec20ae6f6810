"""Schedules: what the shop does by itself, and when."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import Page, decoded, escaped, tag_at
from shopkeeper.core.records import Job
from shopkeeper.core.schedules import Schedule

_SCHEDULES = "/api/v1/schedules"


class ScheduleDoors(JobDoors):
    """One method a door."""

    def schedules(self) -> list[Schedule]:
        """By name."""
        return self.get(_SCHEDULES, Page[Schedule], {"limit": 1000}).items

    def schedule(self, name: str) -> Schedule:
        return self.get(f"{_SCHEDULES}/{escaped(name)}", Schedule)

    def create_schedule(
        self,
        name: str,
        cron: str,
        kind: str,
        params: Mapping[str, Any] | None = None,
        *,
        condition: Mapping[str, Any] | None = None,
        enabled: bool = True,
        retries: int = 3,
        retry_wait_s: float = 300.0,
    ) -> Schedule:
        """`cron` in the shop's time zone. Raises Invalid naming the field, Conflict when the name is taken."""
        body = {
            "name": name,
            "cron": cron,
            "kind": kind,
            "params": params or {},
            "condition": condition,
            "enabled": enabled,
            "retries": retries,
            "retry_wait_s": retry_wait_s,
        }
        return self.call("POST", _SCHEDULES, Schedule, body)

    def change_schedule(self, schedule: Schedule, *, read_at: datetime | None = None) -> Schedule:
        """Everything that `schedule` says takes the place of what the shop knows under its name. `read_at`: the
        `updated_at` of what was read; Stale when somebody has changed it since."""
        path = f"{_SCHEDULES}/{escaped(schedule.name)}"
        return decoded(self.send_request("PUT", path, schedule, if_match=tag_at(read_at)), Schedule)

    def delete_schedule(self, name: str, *, read_at: datetime | None = None) -> None:
        """`read_at` as in `change_schedule`."""
        self.send_request("DELETE", f"{_SCHEDULES}/{escaped(name)}", if_match=tag_at(read_at))

    def run_schedule(self, name: str) -> Job:
        """Begins it now; `wait` follows the job."""
        queued = self.call("POST", f"{_SCHEDULES}/{escaped(name)}/run", dict[str, Any])
        return self.job(queued["job_id"])
