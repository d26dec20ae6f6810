"""The job kind `refresh`: train the graph's model, embed everybody, tune the fused score: one after the other.

Runs in the job's child, which only keeps the order: it says the next stage, the shop's process begins its job and notes
which one it is, and the child waits for its end. So a shop that was killed half way goes on where it was, and what the
stages have not published yet is nowhere: the vectors of before go on serving.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from shopkeeper.core.converting import converted
from shopkeeper.core.errors import Conflict
from shopkeeper.core.protocols import JobContext, Report
from shopkeeper.core.records import FINISHED, Job
from shopkeeper.lifecycle.reporting import within
from shopkeeper.operations.trained import why_not
from shopkeeper.profiles.graph.algorithm import Hgt
from shopkeeper.stores import jobs as table
from shopkeeper.stores.sql import Database, open_database

Stage = Literal["train", "embed", "fusion"]
SAMPLE_RATIO = 0.5
WARM_EPOCHS = 2
_LOOK_S = 0.1
_TELL_S = 2.0
_DOING: dict[Stage, str] = {"train": "training", "embed": "embedding", "fusion": "tuning the fused score"}


class RefreshOrder(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """`embedding_only`: vectors anew with the model that serves; `full_retrain`: a new model first. `graph_scope`
    sampled: of a share `sample_ratio` (0.5 when left out) of the events, drawn by `random_seed`.
    `include_edge_timestamp` false: when things happened is not read. `retrain_epochs`, `temperature` and
    `learning_rate` are those of the new model, which with `warm_start` begins with what the champion has learned. What
    is left out: a warm start of 2 epochs where a champion reads times as this model does, else what the champion, or
    the algorithm, does; the fused score is tuned as its champion was. Few epochs from the start would lose to it.
    """

    mode: Literal["embedding_only", "full_retrain"] = "embedding_only"
    graph_scope: Literal["full", "sampled"] = "full"
    sample_ratio: Annotated[float, Meta(ge=0.1, le=1)] | None = None
    random_seed: Annotated[int, Meta(ge=0, le=2**32 - 1)] | None = None
    include_edge_timestamp: bool | None = None
    retrain_epochs: Annotated[int, Meta(ge=1, le=50)] | None = None
    fusion_epochs: Annotated[int, Meta(ge=1, le=100)] | None = None
    temperature: Annotated[float, Meta(gt=0, le=5)] | None = None
    learning_rate: Annotated[float, Meta(gt=0, le=1)] | None = None
    warm_start: bool | None = None

    @property
    def stages(self) -> list[Stage]:
        train: list[Stage] = ["train"] if self.mode == "full_retrain" else []
        return [*train, "embed", "fusion"]

    @property
    def ratio(self) -> float:
        """Share of the events that the graph is made of."""
        if self.graph_scope == "full":
            return 1.0
        return SAMPLE_RATIO if self.sample_ratio is None else self.sample_ratio

    @property
    def timed(self) -> bool:
        """When things happened is read."""
        return self.include_edge_timestamp is not False

    def training(self, champion: Mapping[str, Any] | None) -> dict[str, Any]:
        """Parameters of the new model beside those of the champion, which are given; None: there is none."""
        warm = self.warm_start
        if warm is None:
            warm = champion is not None and champion.get("timed", True) == self.timed
        epochs = self.retrain_epochs
        if epochs is None and warm:
            epochs = WARM_EPOCHS
        elif epochs is None and champion is not None and champion.get("warm_start"):
            epochs = Hgt.Params().epochs  # its few were steps from another's end
        asked = {"epochs": epochs, "temperature": self.temperature, "learning_rate": self.learning_rate}
        return {**_given(asked), "timed": self.timed, "warm_start": warm}

    def tuning(self) -> dict[str, Any]:
        """Parameters of the fused score beside those of its champion."""
        return _given({"epochs": self.fusion_epochs})


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in params.items() if value is not None}


class Note(msgspec.Struct):
    """The job of a stage. `own` false: somebody else's, of the same work, that has to end first."""

    job_id: str
    own: bool


def read_order(params: Any) -> RefreshOrder:
    """Raises Invalid."""
    return converted(params, RefreshOrder)


def note_file(workdir: Path, stage: Stage, ask: int) -> Path:
    """Where the shop's process leaves word of a stage's job, for the child."""
    return workdir / f"{stage}-{ask}.json"


def requested_by(job_id: str, stage: Stage) -> str:
    """What the job of a stage says of who asked for it."""
    return f"refresh:{job_id}:{stage}"


def refresh(ctx: JobContext) -> dict[str, Any]:
    """In the child. Raises Conflict when training or embedding fail: the old vectors are not tuned for."""
    stages = read_order(ctx.params).stages
    ended: dict[str, str] = {}
    db = open_database(ctx.sql_url, read_only=True)
    try:
        for number, stage in enumerate(stages):
            share = 100 / len(stages)
            job = _run(ctx, db, stage, within(ctx.report, number * share, (number + 1) * share))
            if job.status != "done" and stage != "fusion":
                raise Conflict(f"{_DOING[stage]} failed, job {job.job_id}: {why_not(job)}", code="stage_failed")
            ended[stage] = job.job_id
    finally:
        db.close()
    return {"stages": ended}


def _run(ctx: JobContext, db: Database, stage: Stage, report: Report) -> Job:
    """One stage to its end; when somebody else is at the same work, that one's end first."""
    ask = 1
    while True:
        ctx.emit({"stage": stage, "ask": ask})
        note = _noted(note_file(ctx.workdir, stage, ask), report, stage)
        job = _ended(db, note, report, stage)
        if note.own:
            return job
        ask += 1


def _noted(file: Path, report: Report, stage: Stage) -> Note:
    while not file.exists():
        report(0, 1, message=_DOING[stage])  # hears of a wish to stop
        time.sleep(_LOOK_S)
    return msgspec.json.decode(file.read_bytes(), type=Note)


def _ended(db: Database, note: Note, report: Report, stage: Stage) -> Job:
    """The job when it is finished. What it reports is told on, and every now and then that it goes on."""
    told: tuple[str, str, float] | None = None
    told_at = 0.0
    while True:
        with db.read() as connection:
            job = table.get(connection, note.job_id)
        if job.status in FINISHED:
            return job
        now, seen = time.monotonic(), (job.status, job.progress.message, job.progress.percent)
        if seen != told or now - told_at > _TELL_S:
            report(int(10 * job.progress.percent), 1000, job.progress.metrics, message=_said(stage, note, job))
            told, told_at = seen, now
        time.sleep(_LOOK_S)


def _said(stage: Stage, note: Note, job: Job) -> str:
    if not note.own:
        return f"{_DOING[stage]}: waiting for job {note.job_id}"
    more = job.progress.message if job.status == "running" else job.status
    return f"{_DOING[stage]}: {more}" if more else _DOING[stage]
