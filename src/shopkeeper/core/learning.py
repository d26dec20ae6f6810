"""Online learners as records: what one is asked to do, and what became of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal, TypeAlias

from msgspec import Meta, Struct, field

from shopkeeper.core.records import Record

Schedule: TypeAlias = Literal["constant", "inverse_sqrt", "step", "cosine"]
Detector: TypeAlias = Literal["adwin", "page_hinkley", "none"]
Rolling: TypeAlias = Literal["hold", "promote", "gradual"]
Target: TypeAlias = Literal["taken", "reward"]


class OnlineSettings(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True, omit_defaults=False):
    """What an online learner is to do.

    `rate` is the longest step of a weight, times what `schedule` says; `period` updates to a turn of it, `least` its
    smallest share. An update comes with every `every` shown items whose outcome is known, in batches of `batch`; the
    newest `buffer` are kept, and learned once more when the world has changed. `window_s` is how long after a slate a
    reaction counts. `target`: whether it was taken, or how much it was worth (rewards below 0 count as 0). `held_out`:
    share of the slates that is never learned from, to measure versions on. `snapshot_every`: updates after which a
    version is made by itself, 0: only when asked; `rolling`: what comes of a version that the gate passes. `trust`:
    whether feedback that looks made up weighs less.
    """

    enabled: bool = True
    rate: Annotated[float, Meta(gt=0, le=10)] = 0.05
    schedule: Schedule = "constant"
    period: Annotated[int, Meta(ge=1, le=10_000_000)] = 1000
    least: Annotated[float, Meta(ge=0, le=1)] = 0.1
    batch: Annotated[int, Meta(ge=1, le=10_000)] = 32
    buffer: Annotated[int, Meta(ge=1, le=20_000)] = 1000
    every: Annotated[int, Meta(ge=1, le=20_000)] = 100
    drift: Detector = "adwin"
    forget: Annotated[float, Meta(gt=0, le=1)] = 0.1
    window_s: Annotated[float, Meta(ge=1, le=7 * 86_400)] = 1800.0
    target: Target = "taken"
    held_out: Annotated[float, Meta(ge=0.01, le=0.5)] = 0.2
    snapshot_every: Annotated[int, Meta(ge=0, le=100_000_000)] = 0
    rolling: Rolling = "hold"
    trust: bool = True


class Drift(Record, kw_only=True):
    """`mean_loss` is that of the detector's window; `seen`: how many outcomes it holds."""

    detector: Detector
    detected: int
    last_at: datetime | None
    seen: int
    mean_loss: float


class Learning(Record, kw_only=True):
    """One online learner. `examples` learned of in all, `slates` they came from, `held` slates kept to measure on and
    `held_taken` of those with something taken; `pending` outcomes wait for the next update. `log_loss` of the newest
    thousand outcomes, said before each was learned. `began_with`: the version whose weights it began with."""

    model: str
    settings: OnlineSettings
    began_with: int | None = None
    updates: int = 0
    rate: float = 0.0
    examples: int = 0
    slates: int = 0
    held: int = 0
    held_taken: int = 0
    pending: int = 0
    buffered: int = 0
    log_loss: float | None = None
    distrusted: int = 0
    drift: Drift | None = None
    worker: str | None = None
    learned_at: datetime | None = None
    snapshot_updates: int = 0
    snapshot_job: str | None = None
    snapshot_version: int | None = None
    problem: str | None = None
    changed_at: datetime | None = None
    changed_by: str = ""


class SignalWeight(Record, kw_only=True):
    """What a kind of early signal tells of an order: `odds` is its part of the log-odds with its standard error,
    `weight` the chance of an order that it adds, in orders; `table` what the map of rewards says. `seen`: pairs."""

    kind: str
    seen: int
    ordered: int
    odds: float
    error: float
    weight: float
    table: float | None


class TunedRewards(Record, kw_only=True):
    """Weights of signals by what the shop's log says. `auc` on the newest fifth of the pairs, `table_auc` of the map of
    rewards on the same."""

    days: int
    early_hours: float
    pairs: int
    orders: int
    base_rate: float
    auc: float
    table_auc: float
    signals: list[SignalWeight] = field(default_factory=list)
