"""One entry for whoever runs the shop: start and stop what runs by itself, refresh, train, look at it, hear of it.

Lives on the loop; what asks the database says so, and belongs beside it.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from typing import Any

import msgspec

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.operations.channels import Channel, Channels
from shopkeeper.operations.intake import Intake
from shopkeeper.operations.refresh import HGT, KIND, SEED, Refresh
from shopkeeper.operations.snapshots import refreshed, training
from shopkeeper.profiles.fusing import NAME as FUSION
from shopkeeper.profiles.graph.service import GraphService

_KEPT = 50
_SHOWN = 20


class Deed(msgspec.Struct):
    """Something that was done: a job, or a loop started or stopped by hand."""

    type: str
    timestamp: str
    payload: dict[str, Any]


class Controller:
    """`history` keeps fifty deeds and shows twenty."""

    def __init__(
        self,
        clock: Clock,
        jobs: JobService,
        releases: Releases,
        *,
        intake: Intake,
        graph: GraphService,
        refresh: Refresh,
    ) -> None:
        self._clock = clock
        self._jobs = jobs
        self._releases = releases
        self.intake = intake
        self.graph = graph
        self.refresh = refresh
        self.channels = Channels(jobs, clock)
        self._deeds: deque[Deed] = deque(maxlen=_KEPT)
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Hears of jobs and of events from now on. Call it on the loop, before the jobs start."""
        self.intake.open()
        self.channels.start()
        self._watching = asyncio.create_task(self.intake.watch(self._came), name="intake")

    async def stop(self) -> None:
        """A second call does nothing."""
        self.channels.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait({self._watching})

    # -- loops

    def start_ingestion(self, by: str = "") -> str:
        """Says what came of it. Raises Conflict in a shop without a live source."""
        return self._switched("ingestion", "the live source", "started", self.intake.start(), by)

    def stop_ingestion(self, by: str = "") -> str:
        return self._switched("ingestion", "the live source", "stopped", self.intake.stop(), by)

    def start_incremental(self, by: str = "") -> str:
        """What came meanwhile is caught up with."""
        return self._switched("incremental_loop", "the incremental loop", "started", self.graph.start_loop(), by)

    def stop_incremental(self, by: str = "") -> str:
        """Vectors stay as they are; nothing is lost, the log keeps what comes."""
        return self._switched("incremental_loop", "the incremental loop", "stopped", self.graph.stop_loop(), by)

    def _switched(self, channel: Channel, what: str, state: str, changed: bool, by: str) -> str:
        if not changed:
            return f"{what} was {'running' if state == 'started' else 'stopped'} already"
        facts = {"by": by} if by else {}
        self._deeds.append(Deed(f"{channel}_{state}", rfc3339(self._clock.wall()), facts))
        self.channels.tell(channel, "start" if state == "started" else "complete", **facts)
        return f"{what} is {'running' if state == 'started' else 'stopped'}"

    def _came(self, events: int) -> None:
        self.channels.tell("ingestion", "stage", accepted=events, **self.intake.state())
        self.channels.tell("incremental_loop", "stage", **self.loop_state())

    def loop_state(self) -> dict[str, Any]:
        """Of what keeps the vectors of the graph up to date, see `LoopState`."""
        told: dict[str, Any] = msgspec.to_builtins(self.graph.loop_state())
        return told

    # -- beside the loop: these ask the database

    def train_hgt(self, params: Mapping[str, Any], *, seed: int | None = None, by: str = "") -> Job:
        """Raises Invalid (parameter), Busy, Overloaded."""
        seed = SEED if seed is None else seed
        return self._releases.train(HGT, HGT, params=params, seed=seed, requested_by=by)

    def history(self) -> list[Deed]:
        """The last twenty deeds, newest first."""
        jobs, _, _ = self._jobs.list(limit=_KEPT)
        return sorted([*map(_deed, jobs), *self._deeds], key=lambda deed: deed.timestamp, reverse=True)[:_SHOWN]

    def trainings(self) -> dict[str, dict[str, Any]]:
        """The channels that are jobs, each as its newest one stands."""
        return {
            "refresh": refreshed(self._jobs, self._clock, KIND),
            "fusion_training": training(self._jobs, self._clock, FUSION),
            "hgt_training": training(self._jobs, self._clock, HGT),
        }


def _deed(job: Job) -> Deed:
    at = "" if job.created_at is None else job.created_at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    model = {"model": job.params["model"]} if "model" in job.params else {}
    return Deed(job.kind, at, {"job_id": job.job_id, **model, "status": job.status})
