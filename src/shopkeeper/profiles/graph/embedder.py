"""Has all vectors computed by the job `embed`, and brings what it leaves to where it serves."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, ShopkeeperError
from shopkeeper.core.records import Job
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.profiles.graph.embedding import FOLDER, EmbedOrder
from shopkeeper.profiles.graph.living import SPACE
from shopkeeper.profiles.graph.snapshot import Shelf, Space, SpaceMeta, read

KIND = "embed"
_SERVES_S = 120.0
_AGAIN_S = 600.0
"""After so long what failed is tried again."""

Offer: TypeAlias = Callable[[Space, Any], "Future[None] | None"]
"""Takes a space and its model; done when they serve, None where nobody serves now."""


class Embedder:
    """Hooks itself to the job kind `embed`; make it before the jobs start."""

    def __init__(
        self,
        jobs: JobService,
        registry: Registry,
        serving: Serving,
        clock: Clock,
        *,
        shelf: Shelf,
        data: str,
        offer: Offer,
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._serving = serving
        self._clock = clock
        self._shelf = shelf
        self._data = data
        self._offer = offer
        jobs.on_start(KIND, self._order)
        jobs.on_finish(KIND, self._finish)
        jobs.on_failure(KIND, self._failed)
        self.tried: tuple[int, float] | None = None
        """The version that was last found to be newer, and when it may be tried again (monotonic)."""

    def submit(self, *, requested_by: str, ratio: float, seed: int, timed: bool) -> Job:
        """Raises Busy while one is under way, Conflict (code `no_model`) without a champion."""
        self._champion()
        scope = {"ratio": ratio, "seed": seed, "timed": timed}
        return self._jobs.submit(KIND, scope, requested_by=requested_by, work_key=KIND)

    def model(self, meta: SpaceMeta) -> Any:
        """The weights that vectors were computed with. Raises NotFound, Unavailable."""
        return self._serving.get(meta.model, str(meta.version)).model

    def outdated(self, serving: int | None) -> bool:
        """The champion is another version than the one that serves, and was not tried a moment ago."""
        champion = self._serving.peek(SPACE)
        if champion is None or serving == (number := champion.version.version):
            return False
        if self.tried is not None and self.tried[0] == number and time.monotonic() < self.tried[1]:
            return False
        self.tried = number, time.monotonic() + _AGAIN_S
        return True

    def _champion(self) -> int:
        try:
            return self._registry.version(SPACE, CHAMPION).version
        except ShopkeeperError as error:
            text = f"there is no champion of model {SPACE} to compute vectors with; train one: shopkeeper train {SPACE}"
            raise Conflict(text, code="no_model") from error

    def _order(self, job: Job) -> Mapping[str, Any]:
        version = self._registry.version(SPACE, self._champion())
        order = EmbedOrder(
            model=SPACE,
            version=version.version,
            algorithm=version.algorithm,
            folder=str(self._registry.folder(version)),
            files=version.files,
            data=self._data,
            wall=self._clock.wall(),
            **job.params,
        )
        told: dict[str, Any] = msgspec.to_builtins(order)
        return told

    def _finish(self, job: Job, result: Mapping[str, Any]) -> dict[str, Any]:
        """Moves the vectors to the space's shelf and waits until they serve. Twice it does nothing new."""
        folder = self._folder(job)
        if not folder.is_dir():  # it was moved before the shop's process was killed: the start has taken it over
            return {"serves": True}
        space = read(folder)
        model = self.model(space.meta)
        self._shelf.take(folder)
        serves = self._offer(space, model)
        if serves is not None:
            serves.result(_SERVES_S)
        return {"serves": serves is not None, "version": result["version"]}

    def _failed(self, job: Job, status: str, error: str | None) -> None:
        """What it has computed of people does not stay."""
        del status, error
        shutil.rmtree(self._folder(job), ignore_errors=True)

    def _folder(self, job: Job) -> Path:
        return self._jobs.folder(job.job_id) / "work" / FOLDER
