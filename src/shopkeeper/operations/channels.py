"""What happens in the shop's loops and trainings, as numbered messages on five channels, kept for who comes back.

Numbers rise beyond a restart: they begin at the time of the start in milliseconds. Lives on the loop; `tell` may be
called from any thread.
"""

from __future__ import annotations

import asyncio
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal, TypeAlias, get_args

import msgspec

from shopkeeper.core.clock import Clock, rfc3339
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Job, JobEvent
from shopkeeper.lifecycle.jobs import JobService

Channel = Literal["refresh", "fusion_training", "hgt_training", "ingestion", "incremental_loop"]
CHANNELS: tuple[Channel, ...] = get_args(Channel)
Listener: TypeAlias = Callable[[], None]
_KEEP = 1000
_JOBS = 256
_STAGE_S = 1.0
_SAMPLING = ("sampling", "partition")
_ENDINGS = {"done": "complete", "failed": "failed", "cancelled": "failed"}


class Told(msgspec.Struct):
    """`payload` begins with `event`: start, epoch, stage, sampling_start, sampling_complete, complete or failed."""

    id: int
    channel: Channel
    payload: dict[str, Any]
    timestamp: str


def channel_of(job: Job) -> Channel | None:
    """Where a job's messages are told; None: nowhere."""
    if job.kind in ("refresh", "embed"):
        return "refresh"
    trainings: dict[str, Channel] = {"fusion": "fusion_training", "hgt": "hgt_training"}
    return trainings.get(job.params.get("model", "")) if job.kind == "train" else None


@dataclass
class _Watched:
    """A job whose messages are told: what was told of it last."""

    channel: Channel
    about: Mapping[str, Any]
    stage: str = ""
    told_at: float = float("-inf")
    sampling: bool = False


class Channels:
    """The newest thousand messages of all channels together."""

    def __init__(self, jobs: JobService, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock
        self._last = clock.wall() // 1000
        self._kept: deque[Told] = deque(maxlen=_KEEP)
        self._begins = self._last
        self._listeners: list[Listener] = []
        self._lock = threading.Lock()
        self._watched: OrderedDict[str, _Watched | None] = OrderedDict()
        self._loop: asyncio.AbstractEventLoop | None = None
        self.closed = False
        self._unsubscribe: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Hears of all jobs from now on. Call it on the loop."""
        self._loop = asyncio.get_running_loop()
        self._unsubscribe = self._jobs.subscribe(None, self._hand_over)

    def stop(self) -> None:
        """Nothing more is told: who listens is woken once more. A second call does nothing."""
        self._unsubscribe()
        self._loop, self.closed = None, True
        for listener in list(self._listeners):
            listener()

    @property
    def last(self) -> int:
        """The number of the newest message."""
        return self._last

    def tell(self, channel: Channel, event: str, **facts: Any) -> None:
        with self._lock:
            self._last += 1
            timestamp = rfc3339(self._clock.wall())
            self._kept.append(Told(self._last, channel, {"event": event, **facts}, timestamp))
            listeners = list(self._listeners)
        for listener in listeners:
            listener()

    def after(self, number: int) -> list[Told] | None:
        """The messages after a number; None when some of them are not kept any more, or were never told here."""
        with self._lock:
            oldest = self._kept[0].id - 1 if self._kept else self._last
            if not oldest <= number <= self._last:
                return None
            newer = list(takewhile(lambda told: told.id > number, reversed(self._kept)))
        return newer[::-1]

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """`listener()` after each message, on any thread; it must not block. Returns what ends it."""
        with self._lock:
            self._listeners.append(listener)

        def unsubscribe() -> None:
            with self._lock, suppress(ValueError):
                self._listeners.remove(listener)

        return unsubscribe

    # -- jobs

    def _hand_over(self, event: JobEvent) -> None:
        """On the writer's thread."""
        loop = self._loop
        if loop is not None and not loop.is_closed():
            loop.call_soon_threadsafe(self._heard, event)

    def _heard(self, event: JobEvent) -> None:
        watched = self._of(event.job_id)
        if watched is None:
            return
        data = event.data
        if event.type == "epoch":
            self._tell(watched, "epoch", **data)
        elif event.type == "progress":
            self._stage(watched, data)
        elif event.type == "status":
            started = data["status"] == "running" and "cancel_requested" not in data
            self._tell(watched, "start" if started else "stage", status=data["status"])
        elif event.type == "done":
            self._tell(watched, _ENDINGS[data["status"]], **data)
            self._watched.pop(event.job_id, None)

    def _stage(self, watched: _Watched, data: Mapping[str, Any]) -> None:
        """Progress comes ten times a second: what is new is told, and else once a second how far it is."""
        stage = str(data.get("message", ""))
        sampling = stage.startswith(_SAMPLING)
        if sampling != watched.sampling:
            watched.sampling = sampling
            self._tell(watched, "sampling_start" if sampling else "sampling_complete", **data)
        now = self._clock.wall() / 1e6
        if stage != watched.stage or now - watched.told_at >= _STAGE_S:
            watched.stage, watched.told_at = stage, now
            self._tell(watched, "stage", stage=stage, **data)

    def _tell(self, watched: _Watched, event: str, **facts: Any) -> None:
        """An embedding is no refresh of its own: whatever it comes to is a stage."""
        whole = watched.about["kind"] != "embed"
        self.tell(watched.channel, event if whole else "stage", **watched.about, **facts)

    def _of(self, job_id: str) -> _Watched | None:
        """Jobs are looked up once each; the newest are remembered."""
        if job_id not in self._watched:
            try:
                job = self._jobs.get(job_id)
            except ShopkeeperError:
                return None
            channel = channel_of(job)
            about = {"job_id": job_id, "kind": job.kind}
            self._watched[job_id] = None if channel is None else _Watched(channel, about)
            while len(self._watched) > _JOBS:
                self._watched.popitem(last=False)
        return self._watched[job_id]
