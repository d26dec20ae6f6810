"""One command that makes everything learned anew: vectors, on request the model behind them, the fused score.

The job kind `refresh` keeps the order of the stages in its child (`refreshing.py`); each stage is a job of its own,
begun here, so it has its limits, its log and its gate, and whoever watches the trainings sees these too.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

import msgspec

from shopkeeper.core.clock import Clock, micros
from shopkeeper.core.errors import Busy, Conflict, NotFound, ShopkeeperError
from shopkeeper.core.records import FINISHED, Job
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.releasing import Releases
from shopkeeper.operations.refreshing import Note, RefreshOrder, Stage, note_file, read_order, requested_by
from shopkeeper.operations.trained import fusion_metrics, outcome
from shopkeeper.profiles.fusing import NAME as FUSION
from shopkeeper.profiles.graph.build import Scope
from shopkeeper.stores.artifacts import write_durably

KIND = "refresh"
HGT = "hgt"
SEED = 42
_USED: dict[Stage, dict[str, str]] = {
    "train": {
        "retrain_epochs": "epochs",
        "temperature": "temperature",
        "learning_rate": "learning_rate",
        "warm_start": "warm_start",
    },
    "fusion": {"fusion_epochs": "epochs"},
}
_STAGES: tuple[Stage, ...] = ("train", "embed", "fusion")
log = logging.getLogger(__name__)

Embed: TypeAlias = Callable[[Scope, str], Job]
"""Queues an embedding of a graph of this scope, asked for by whom. Raises Busy while one is under way."""


class Refresh:
    """Hooks itself to the job kind `refresh`; make it before the jobs start. `afresh` is called after each that is
    done: answers that are kept are older than what they tell of."""

    def __init__(
        self,
        jobs: JobService,
        registry: Registry,
        releases: Releases,
        clock: Clock,
        *,
        embed: Embed,
        afresh: Callable[[], object],
    ) -> None:
        self._jobs = jobs
        self._registry = registry
        self._releases = releases
        self._clock = clock
        self._embed = embed
        self._afresh = afresh
        jobs.on_message(KIND, self._begin)
        jobs.on_finish(KIND, self._told)
        jobs.on_failure(KIND, self._leave)

    def submit(self, order: RefreshOrder, *, by: str = "") -> Job:
        """Raises Busy (a refresh, or a training of the model, is under way), Conflict (no model to embed with)."""
        if order.mode == "full_retrain" and (other := self._jobs.under_way(f"train:{HGT}:all")) is not None:
            raise Busy(f"{HGT} is in training already, as job {other}; wait for it or cancel it", job_id=other)
        if order.mode == "embedding_only" and not self._has_model():
            raise Conflict(
                f"there is no {HGT} model to embed with yet; ask for mode full_retrain, or train one: "
                f"shopkeeper train {HGT}",
                code="no_model",
            )
        return self._jobs.submit(KIND, msgspec.to_builtins(order), requested_by=by, work_key=KIND)

    def _has_model(self) -> bool:
        try:
            self._registry.version(HGT)
        except NotFound:
            return False
        return True

    def _begin(self, job: Job, message: dict[str, Any]) -> None:
        """Begins a stage, or finds what an earlier attempt at this refresh has begun, and notes its job."""
        stage: Stage = message["stage"]
        by = requested_by(job.job_id, stage)
        made = self._jobs.requested(by)
        if stage == "embed" and made is None and not self._has_model():
            trained = self._jobs.requested(requested_by(job.job_id, "train"))
            raise Conflict(f"there is no model to embed with: {outcome(trained) if trained else 'none is champion'}")
        try:
            note = Note((made or self._stage(stage, read_order(job.params), by)).job_id, own=True)
        except Busy as busy:
            note = Note(busy.job_id, own=False)
        workdir = self._jobs.folder(job.job_id) / "work"
        write_durably(note_file(workdir, stage, int(message["ask"])), msgspec.json.encode(note))

    def _stage(self, stage: Stage, order: RefreshOrder, by: str) -> Job:
        if stage == "embed":
            return self._embed(scope_of(order), by)
        if stage == "train":
            seed = SEED if order.random_seed is None else order.random_seed % 2**31
            return self._train(HGT, order.training, by, source=_source(order), seed=seed)
        return self._train(FUSION, lambda _: order.tuning(), by)

    def _train(
        self,
        model: str,
        asked: Callable[[Mapping[str, Any] | None], dict[str, Any]],
        by: str,
        *,
        source: Mapping[str, Any] | None = None,
        seed: int = SEED,
    ) -> Job:
        """As the champion was trained, but for what is `asked` of its parameters."""
        try:
            champion = self._registry.version(model)
            algorithm, before = champion.algorithm, champion.params
        except NotFound:
            algorithm, before = model, None
        params = {**(before or {}), **asked(before)}
        return self._releases.train(model, algorithm, params=params, source=source, seed=seed, requested_by=by)

    def _told(self, job: Job, result: dict[str, Any]) -> dict[str, Any]:
        """What it has come to, from the jobs of its stages; in the old form, and the parameters beside."""
        stages = {stage: self._jobs.get(job_id) for stage, job_id in result["stages"].items()}
        self._afresh()
        embedded = stages["embed"].result or {"version": "?"}
        said = [outcome(stages[stage]) for stage in ("train", "fusion") if stage in stages]
        said.insert(-1, f"all vectors of {HGT} v{embedded['version']} are new")
        order = read_order(job.params)
        began = micros(job.started_at) if job.started_at else self._clock.wall()
        return {
            "message": "; ".join(said),
            "duration_seconds": round((self._clock.wall() - began) / 1e6, 3),
            "node_counts": embedded.get("node_counts", {}),
            "retrain_loss": self._last_loss(stages.get("train")),
            "fusion_training": fusion_metrics(stages["fusion"]),
            **msgspec.to_builtins(order),
            **self._used(stages),
            "sample_ratio": order.ratio,
            "include_edge_timestamp": order.timed,
            "seconds": {stage: _seconds(one) for stage, one in stages.items()},
        }

    def _used(self, stages: Mapping[str, Job]) -> dict[str, Any]:
        """Parameters with which the stages went, whether they were asked for or not."""
        found: dict[str, Any] = {}
        for stage, names in _USED.items():
            params = self._trained_with(stages.get(stage))
            found |= {field: params[name] for field, name in names.items() if name in params}
        return found

    def _trained_with(self, job: Job | None) -> Mapping[str, Any]:
        """Of a version all parameters; of a training that has failed those that it was given."""
        if job is None:
            return {}
        try:
            return self._registry.version(job.params["model"], (job.result or {})["version"]).params
        except (NotFound, KeyError):
            params: Mapping[str, Any] = job.params["params"]
            return params

    def _last_loss(self, job: Job | None) -> float | None:
        if job is None:
            return None
        epochs = [event.data for event in self._jobs.events(job.job_id) if event.type == "epoch"]
        return epochs[-1].get("loss") if epochs else None

    def _leave(self, job: Job, status: str, error: str | None) -> None:
        """It has failed or was cancelled: what it has begun and is not finished is cancelled with it."""
        del status, error
        for stage in _STAGES:
            begun = self._jobs.requested(requested_by(job.job_id, stage))
            if begun is not None and begun.status not in FINISHED:
                try:
                    self._jobs.cancel(begun.job_id)
                except ShopkeeperError as ended:  # in this moment, by itself
                    log.info("job %s of refresh %s: %s", begun.job_id, job.job_id, ended.message)


def scope_of(order: RefreshOrder) -> Scope:
    """Which events the graph is made of."""
    return Scope(order.ratio, order.random_seed or 0, order.timed)


def _source(order: RefreshOrder) -> dict[str, Any]:
    """The shop's own log, or a share of it."""
    if order.graph_scope == "full":
        return {"kind": "shop"}
    return {
        "kind": "shop",
        "scope": "sampled",
        "sample_ratio": order.ratio,
        "random_seed": order.random_seed or 0,
    }


def _seconds(job: Job) -> float | None:
    if job.started_at is None or job.finished_at is None:
        return None
    return round((job.finished_at - job.started_at).total_seconds(), 3)
