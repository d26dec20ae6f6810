"""Experiments as records: what is tried on whom, how it stands, what came of it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal, TypeAlias

from msgspec import Meta, field

from shopkeeper.core.records import Record

Status: TypeAlias = Literal["draft", "running", "paused", "done"]
Verdict: TypeAlias = Literal["running", "winner", "no difference", "stopped by guard", "uneven groups"]
Direction: TypeAlias = Literal["up", "down"]

Label = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[^/\x00-\x1f]+$")]
Metric = Annotated[str, Meta(min_length=1, max_length=160)]
Person = Annotated[str, Meta(min_length=1, max_length=128)]
Share = Annotated[float, Meta(gt=0, le=1)]
MOST_VARIANTS = 10
MOST_LISTED = 10_000


class Target(Record, kw_only=True):
    """What is tried: fields of a scenario, or versions of a model. One of both."""

    scenario: str | None = None
    model: str | None = None
    scope: str = "all"

    @property
    def subject(self) -> str:
        """One text for each thing that an experiment may be about."""
        return f"scenario:{self.scenario}" if self.scenario is not None else f"model:{self.model}:{self.scope}"


class VariantPlan(Record, kw_only=True):
    """`config` of a scenario: the fields that are other in it, none: as it is. Of a model: `{"version": 3}`."""

    name: Label
    config: dict[str, Any] = field(default_factory=dict)
    weight: Annotated[float, Meta(ge=0, le=1e6)] = 1.0


class Guard(Record, kw_only=True):
    """A metric that must not get worse by more than `tolerance` of what the control has: it ends the experiment."""

    metric: Metric
    better: Direction = "up"
    tolerance: Annotated[float, Meta(ge=0, le=1)] = 0.0


class Plan(Record, kw_only=True):
    """What an experiment is to be. The first variant is the control.

    `metric`: see docs/experiments.md. `share` of the layer's users take part; within a layer a user is in one
    experiment only. `decide` sequential: may be looked at any time; fixed: decided once, at the end. `effect`: the
    relative change worth finding, for power and size. `before_days`: what users did so long before their first answer
    is taken out of the metric's variance, 0: nothing. `allow`: ids who alone may take part, or ids to variants that
    they get without being counted. `deny`: ids who never take part.
    """

    name: Annotated[str, Meta(min_length=1, max_length=128)]
    target: Target
    variants: Annotated[list[VariantPlan], Meta(min_length=2, max_length=MOST_VARIANTS)]
    metric: Metric
    better: Direction = "up"
    guards: Annotated[list[Metric | Guard], Meta(max_length=10)] = field(default_factory=list)
    layer: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")] = "default"
    share: Share = 1.0
    min_sample: Annotated[int, Meta(ge=2, le=10**9)] = 1000
    confidence: Annotated[float, Meta(ge=0.5, lt=1)] = 0.95
    max_days: Annotated[float, Meta(gt=0, le=3650)] = 30.0
    effect: Annotated[float, Meta(gt=0, le=10)] = 0.05
    decide: Literal["sequential", "fixed"] = "sequential"
    ends_early: bool = False
    before_days: Annotated[float, Meta(ge=0, le=365)] = 0.0
    allow: (
        Annotated[list[Person], Meta(max_length=MOST_LISTED)]
        | Annotated[dict[Person, str], Meta(max_length=MOST_LISTED)]
    ) = field(default_factory=list)
    deny: Annotated[list[Person], Meta(max_length=MOST_LISTED)] = field(default_factory=list)


class Rolling(Record, kw_only=True):
    """A roll-out by schedule: the variant gets each share for `step_hours`; after the last it is all there is."""

    variant: str
    steps: list[float]
    step_hours: float
    at: int = 0
    next_at: int = 0


class HandOver(Record, kw_only=True):
    """A winner that is being given to everybody: noted first, so that an end that is cut off can be finished, or taken
    back. `before`: what it takes to undo it; `reason` and `stopped_by` of the end that was asked for."""

    variant: str
    before: dict[str, Any]
    reason: str = ""
    stopped_by: str = "person"


class Course(Record, kw_only=True):
    """How an experiment stands. Times in us of the shop's clock. `weights` and `share` as they are in this phase;
    `spans` of the layer's buckets are its own. `last_seq`: the newest event that counts, null: all."""

    phase: int = 0
    phase_at: int = 0
    weights: list[float] = field(default_factory=list)
    share: float = 1.0
    spans: list[tuple[int, int]] = field(default_factory=list)
    started_at: int | None = None
    since: int | None = None
    spent: int = 0
    ended_at: int | None = None
    last_seq: int | None = None
    winner: str | None = None
    reason: str = ""
    stopped_by: str | None = None
    rolling: Rolling | None = None
    hand_over: HandOver | None = None
    before: dict[str, Any] | None = None
    """What was there before the winner was rolled out, to be put back."""
    verdict: Verdict = "running"


class Experiment(Plan, kw_only=True):
    """An experiment as the shop keeps it. `weights` and `part` are those of now, `phase` counts their changes."""

    experiment_id: str
    status: Status
    version: int
    phase: int
    weights: dict[str, float]
    part: float
    created_at: datetime
    created_by: str
    updated_at: datetime
    updated_by: str
    started_at: datetime | None = None
    ended_at: datetime | None = None
    winner: str | None = None
    verdict: Verdict = "running"
    reason: str = ""
    rolling: Rolling | None = None
    rolled_out: bool = False


class VariantResult(Record, kw_only=True):
    """`ci` of the mean; `difference` and `lift` (relative) to the control with their intervals; `p_value` adjusted for
    the number of variants; null: the control, or too few. `power` to find the planned effect, `detectable` the
    smallest relative effect that would be found four times in five."""

    name: str
    n: int
    mean: float | None
    ci: tuple[float, float] | None
    difference: float | None = None
    difference_ci: tuple[float, float] | None = None
    lift: float | None = None
    lift_ci: tuple[float, float] | None = None
    p_value: float | None = None
    fixed_p_value: float | None = None
    power: float | None = None
    detectable: float | None = None


class GuardResult(Record, kw_only=True):
    """`worst`: the variant that did worst. `low` and `high`: its difference to the control, relative to it, at all
    looks together."""

    metric: str
    better: Direction
    tolerance: float
    ok: bool
    worst: str | None = None
    change: float | None = None
    low: float | None = None
    high: float | None = None


class Results(Record, kw_only=True):
    """What an experiment says now. `sample_ratio_p`: below 0.001 the groups are too uneven to be compared."""

    experiment_id: str
    name: str
    status: Status
    metric: str
    decide: str
    confidence: float
    phase: int
    days: float
    variants: list[VariantResult]
    guards: list[GuardResult]
    verdict: Verdict
    winner: str | None
    power: float | None
    needed: int | None
    """Units a variant that the planned effect needs."""
    sample_ratio_p: float
    sample_ratio_ok: bool
    left_out: int
    """Units that behave as no person does: bots."""
    reason: str = ""


class Assignment(Record, kw_only=True):
    """`variant` null: the user does not take part. `sticky`: the same whenever it is asked; `counted`: in the results;
    `why` there is none."""

    experiment_id: str
    user_id: str
    variant: str | None
    sticky: bool
    counted: bool
    why: str | None = None
