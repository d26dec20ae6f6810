"""Is a plan one that can be run? What is wrong is told with the place where it stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.experiments import Plan
from shopkeeper.lifecycle.experiments.assigning import BUCKETS, free_spans
from shopkeeper.lifecycle.experiments.metrics import read_metric
from shopkeeper.lifecycle.experiments.reckoning import guards_of
from shopkeeper.lifecycle.experiments.targets import TriedTarget
from shopkeeper.stores.experiment_sums import Reward
from shopkeeper.stores.experiments import Kept


def check_plan(plan: Plan, target: TriedTarget, rewards: Mapping[str, Reward]) -> None:
    """Raises Invalid with the field, NotFound."""
    names = [one.name for one in plan.variants]
    if len(set(names)) < len(names):
        raise _wrong("variants", f"two are called {max(names, key=names.count)!r}; give each a name of its own")
    if sum(one.weight > 0 for one in plan.variants) < 2:
        raise _wrong("variants", "two of them at least need a weight above 0")
    if not plan.variants[0].weight > 0:
        raise _wrong("variants[0].weight", "the first is the control: it needs a weight above 0")
    read_metric(plan.metric, rewards)
    for at, guard in enumerate(guards_of(plan)):
        read_metric(guard.metric, rewards, f"guards[{at}]")
    if isinstance(plan.allow, dict):
        for variant in plan.allow.values():
            if variant not in names:
                raise _wrong("allow", f"there is no variant {variant[:64]!r}; there are: {', '.join(names)}")
    if plan.before_days and read_metric(plan.metric, rewards).kind != "mean":
        raise _wrong("before_days", "only a mean can be adjusted by what was before; leave it out")
    target.check(plan.target, plan.variants)


def shares(weights: Sequence[float]) -> list[float]:
    """Adding up to 1. Raises Invalid."""
    total = sum(weights)
    if not total > 0 or min(weights) < 0:
        raise _wrong("weights", "must be 0 or above, one of them above 0")
    return [weight / total for weight in weights]


def room_in(
    layer: str, share: float, others: Sequence[Kept], own: Sequence[tuple[int, int]] = ()
) -> list[tuple[int, int]]:
    """Buckets for a share of a layer beside `others`, which run or rest: those held already first. Raises Conflict."""
    wanted = round(share * BUCKETS) or 1
    held = [(start, stop) for start, stop in own]
    have = sum(stop - start for start, stop in held)
    if wanted <= have:
        return _first(held, wanted)
    taken = [span for one in others for span in one.course.spans]
    more = free_spans([*taken, *held], wanted - have)
    if more is None:
        free = BUCKETS - sum(stop - start for start, stop in taken)
        names = ", ".join(repr(one.plan.name) for one in others[:5])
        raise Conflict(
            f"layer {layer!r} has {free / BUCKETS:.1%} of the users left ({names}), {share:.1%} are asked for; give "
            "the experiment a smaller share or a layer of its own",
            code="layer_full",
        )
    return sorted([*held, *more])


def _first(spans: Sequence[tuple[int, int]], wanted: int) -> list[tuple[int, int]]:
    kept = []
    for start, stop in spans:
        if wanted > 0:
            kept.append((start, min(stop, start + wanted)))
            wanted -= kept[-1][1] - start
    return kept


def _wrong(field: str, told: str) -> Invalid:
    return Invalid(f"{field}: {told}", code="bad_experiment", field=field)
