"""From samples to a verdict: pure functions. When a winner may be called, and when a guard has to act."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from math import isfinite, nan, nextafter, sqrt

from shopkeeper.core.errors import Invalid
from shopkeeper.core.experiments import Guard, GuardResult, Plan, VariantResult, Verdict
from shopkeeper.quality import power
from shopkeeper.quality.experiments import Compared, Sample, compare, holm, interval, lift, never_certain
from shopkeeper.quality.sequential import always_valid, spread

UNEVEN = 0.001
"""Below this chance groups are too uneven to be compared."""
LEAST = 100
"""Units in each group before a sequential test says anything: it takes the variance as known."""


@dataclass(frozen=True)
class Judged:
    variants: list[VariantResult]
    verdict: Verdict
    winner: str | None
    power: float | None
    needed: int | None


def judge(
    plan: Plan,
    samples: Sequence[Sample],
    *,
    ended: bool,
    uneven: bool,
    guarded: bool,
    weights: Sequence[float] = (),
) -> Judged:
    """`samples` of the variants, control first. `ended`: this is the last look. `guarded`: a guard has tripped.
    `weights` of the variants now, none: the plan's. One with weight 0 is not judged: nobody is drawn into it. Where
    that is the control there is nothing to compare with, and nothing is proven."""
    control, others = samples[0], samples[1:]
    drawn = [weight > 0 for weight in weights or [one.weight for one in plan.variants]]
    alpha = 1 - plan.confidence
    fixed = [compare(control, one, plan.confidence) for one in others]
    always = [sequential(plan, control, one, plan.confidence) for one in others]
    used = always if plan.decide == "sequential" else fixed
    judged = [drawn[0] and one for one in drawn[1:]]
    adjusted = _adjusted(used, judged)
    told = [_first(plan, control)]
    for variant, one, test, plain, p in zip(plan.variants[1:], others, used, fixed, adjusted, strict=True):
        told.append(_told(plan, variant.name, control, one, test, plain, p))
    verdict: Verdict = "running"
    winner: str | None = None
    if any(judged) and min(one.n for one in compress(samples, drawn)) >= plan.min_sample:
        verdict, winner = _verdict(plan, used, adjusted, alpha)
    if guarded:
        verdict, winner = "stopped by guard", None
    elif uneven:
        verdict, winner = "uneven groups", None
    elif plan.decide == "fixed" and not ended:
        verdict, winner = "running", None
    elif verdict == "running" and ended:
        verdict = "no difference"
    powers = [one.power for one in compress(told[1:], judged) if one.power is not None]
    needed = _needed(plan, control, list(compress(others, drawn[1:])))
    return Judged(told, verdict, winner, min(powers, default=None), needed)


def guard_result(
    plan: Plan, guard: Guard, samples: Sequence[Sample], *, guards: int, minimum: int = LEAST
) -> GuardResult:
    """Whether a variant is worse than the control by more than is tolerated, at the confidence of all guards and all
    looks together."""
    control = samples[0]
    tests = guards * (len(samples) - 1)
    confidence = min(1 - (1 - plan.confidence) / tests, nextafter(1, 0))  # 1 itself would leave nothing to be wrong
    sign = 1.0 if guard.better == "up" else -1.0
    worst: tuple[float, str, Compared] | None = None
    ok = True
    for variant, one in zip(plan.variants[1:], samples[1:], strict=True):
        test = sequential(plan, control, one, confidence)
        if not isfinite(test.difference):
            continue
        if worst is None or sign * test.difference < worst[0]:
            worst = (sign * test.difference, variant.name, test)
        bad = test.high if sign > 0 else -test.low
        if min(control.n, one.n) >= minimum and bad < -guard.tolerance * abs(control.mean):
            ok = False
    result = GuardResult(metric=guard.metric, better=guard.better, tolerance=guard.tolerance, ok=ok)
    if worst is not None:
        _, result.worst, test = worst
        if mean := abs(control.mean):  # of a control that never does it nothing is a part
            result.change, result.low, result.high = (
                _finite(test.difference / mean),
                _finite(test.low / mean),
                _finite(test.high / mean),
            )
    return result


def sequential(plan: Plan, control: Sample, treatment: Sample, confidence: float) -> Compared:
    """Always valid; before there is enough it says nothing. Of shares also where nobody did it, or everybody."""
    enough = min(control.n, treatment.n) >= LEAST
    planned = max(plan.min_sample, LEAST)
    difference = treatment.mean - control.mean
    if control.share and treatment.share:
        control, treatment = never_certain(control), never_certain(treatment)
    tau2 = spread(control, treatment, planned, 1 - confidence) if enough else 0.0
    return replace(always_valid(control, treatment, tau2, confidence), difference=difference)


def _adjusted(tests: Sequence[Compared], judged: Sequence[bool]) -> list[float]:
    """P values by Holm of those that are judged, NaN of the others."""
    known = iter(holm([one.p_value if isfinite(one.p_value) else 1.0 for one in compress(tests, judged)]))
    return [next(known) if one else nan for one in judged]


def _verdict(
    plan: Plan, tests: Sequence[Compared], adjusted: Sequence[float], alpha: float
) -> tuple[Verdict, str | None]:
    """A winner is a variant that beats the control, or the control that beats them all. Of those that are judged."""
    sign = 1.0 if plan.better == "up" else -1.0
    found = [
        (sign * test.difference, variant.name)
        for variant, test, p in zip(plan.variants[1:], tests, adjusted, strict=True)
        if p <= alpha
    ]
    better = [one for one in found if one[0] > 0]
    if better:
        return "winner", max(better)[1]
    if len(found) == sum(isfinite(p) for p in adjusted):
        return "winner", plan.variants[0].name
    return "running", None


def _first(plan: Plan, control: Sample) -> VariantResult:
    return VariantResult(
        name=plan.variants[0].name,
        n=control.n,
        mean=_finite(control.mean),
        ci=_pair(*interval(control, plan.confidence)),
    )


def _told(
    plan: Plan, name: str, control: Sample, one: Sample, test: Compared, plain: Compared, p: float
) -> VariantResult:
    change, low, high = lift(control, one, plan.confidence)
    if plan.decide == "sequential" and control.mean:  # an interval that may be looked at whenever one likes
        ends = sorted((test.low / control.mean, test.high / control.mean))
        low, high = ends[0], ends[1]
    error2 = control.error2 + one.error2
    error = sqrt(error2) if isfinite(error2) and error2 > 0 else 0.0
    planned = plan.effect * abs(control.mean)
    return VariantResult(
        name=name,
        n=one.n,
        mean=_finite(one.mean),
        ci=_pair(*interval(one, plan.confidence)),
        difference=_finite(test.difference),
        difference_ci=_pair(test.low, test.high),
        lift=_finite(change),
        lift_ci=_pair(low, high),
        p_value=_finite(p) if isfinite(test.p_value) else None,
        fixed_p_value=_finite(plain.p_value),
        power=_finite(power.power_now(planned, error, 1 - plan.confidence)) if planned and error else None,
        detectable=power.detectable(error, 1 - plan.confidence) / abs(control.mean) if planned and error else None,
    )


def _needed(plan: Plan, control: Sample, others: Sequence[Sample]) -> int | None:
    """Units a variant that the planned effect needs, by what varies now."""
    spreads = [one.var for one in (control, *others) if isfinite(one.var)]
    if not spreads or not isfinite(control.mean) or not control.mean or max(spreads) <= 0:
        return None
    deviation = sqrt(sum(spreads) / len(spreads))
    try:
        return power.size_for_means(plan.effect * control.mean, deviation, 1 - plan.confidence)
    except Invalid:
        return None


def _finite(value: float) -> float | None:
    return float(value) if isfinite(value) else None


def _pair(low: float, high: float) -> tuple[float, float] | None:
    return (float(low), float(high)) if isfinite(low) and isfinite(high) else None
