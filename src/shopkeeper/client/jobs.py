"""Jobs: look, watch, wait, cancel."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import msgspec

from shopkeeper.client.wire import Page, Wire, escaped
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import FINISHED, Job, JobEvent

_V1 = "/api/v1"


class JobDoors(Wire):
    def jobs(self, *, kind: str | None = None, status: str | None = None, limit: int = 50) -> list[Job]:
        return self.jobs_page(kind=kind, status=status, limit=limit).items

    def jobs_page(
        self, *, kind: str | None = None, status: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> Page[Job]:
        """Newest first."""
        query = {"kind": kind, "status": status, "limit": limit, "cursor": cursor}
        return self.get(f"{_V1}/jobs", Page[Job], query)

    def job(self, job_id: str) -> Job:
        return self.get(f"{_V1}/jobs/{escaped(job_id)}", Job)

    def cancel_job(self, job_id: str) -> Job:
        return self.call("POST", f"{_V1}/jobs/{escaped(job_id)}/cancel", Job)

    def job_logs(self, job_id: str, tail: int = 200) -> str:
        return self.send_request("GET", f"{_V1}/jobs/{escaped(job_id)}/logs", query={"tail": tail}, repeat=True).text

    def job_events(self, job_id: str, after_seq: int = 0) -> Iterator[JobEvent]:
        """A job's messages as they come, until it is done; resumes by itself after a broken connection."""
        for name, _, data in self.follow(f"{_V1}/jobs/{escaped(job_id)}/events", after_seq):
            if name != "snapshot":
                event = msgspec.json.decode(data, type=JobEvent)
                yield event
                if event.type == "done":
                    return

    def wait(
        self,
        job_id: str,
        *,
        look: Callable[[Job], None] = lambda _: None,
        every_s: float = 0.5,
        timeout_s: float = 3600,
    ) -> Job:
        """Looks until the job is finished and returns it as it ended. Raises Unavailable when time is over."""
        until = time.monotonic() + timeout_s
        while True:
            job = self.job(job_id)
            look(job)
            if job.status in FINISHED:
                return job
            if time.monotonic() > until:
                raise Unavailable(f"job {job_id} is still {job.status} after {timeout_s:.0f} s; it goes on")
            time.sleep(every_s)
