"""Schedules: what the shop does by itself, and when."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import Page, escaped
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

    def change_schedule(self, schedule: Schedule) -> Schedule:
        """Everything that `schedule` says takes the place of what the shop knows under its name."""
        return self.call("PUT", f"{_SCHEDULES}/{escaped(schedule.name)}", Schedule, schedule)

    def delete_schedule(self, name: str) -> None:
        self.send_request("DELETE", f"{_SCHEDULES}/{escaped(name)}")

    def run_schedule(self, name: str) -> Job:
        """Begins it now; `wait` follows the job."""
        queued = self.call("POST", f"{_SCHEDULES}/{escaped(name)}/run", dict[str, Any])
        return self.job(queued["job_id"])
