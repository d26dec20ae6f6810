"""What the numbers of an experiment mean, in sentences for people who do not read intervals."""

from __future__ import annotations

from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.experiments import Experiment, Results, VariantResult


def sentences(found: Results, one: Experiment) -> list[str]:
    """One about each variant beside the control, then what stands in the way of a verdict."""
    control = plain(found.variants[0].name) if found.variants else ""
    told = [_about(each, control, found, one) for each in found.variants[1:]]
    least = min((each.n for each in found.variants), default=0)
    if found.verdict == "running" and least < one.min_sample:
        told.append(say("waits_for_people", n=f"{one.min_sample:,}", least=f"{least:,}"))
    if found.verdict == "running" and one.decide == "fixed":
        told.append(say("decides_at_the_end"))
    if not found.sample_ratio_ok:
        told.append(say("groups_uneven_why"))
    if found.left_out:
        told.append(say("robots_left_out", n=f"{found.left_out:,}"))
    told += [
        say(
            "guard_broken",
            metric=plain(each.metric),
            variant=plain(each.worst or "–"),
            tolerance=f"{each.tolerance:.0%}",
        )
        for each in found.guards
        if not each.ok
    ]
    return told


def standing(each: VariantResult, better: str) -> str:
    """`better` or `worse` for sure than the control, or `open`."""
    if each.lift_ci is None:
        return "open"
    low, high = each.lift_ci
    if better == "down":
        low, high = -high, -low
    return "better" if low > 0 else "worse" if high < 0 else "open"


def _about(each: VariantResult, control: str, found: Results, one: Experiment) -> str:
    name = plain(each.name)
    if each.lift is None or each.lift_ci is None:
        return say("variant_unknown", name=name, n=f"{each.n:,}")
    low, high = each.lift_ci
    blanks = {
        "name": name, "control": control, "metric": plain(found.metric), "change": f"{each.lift:+.1%}",
        "low": f"{low:+.1%}", "high": f"{high:+.1%}",
    }  # fmt: skip
    words = {
        "better": say("variant_better", **blanks),
        "worse": say("variant_worse", **blanks),
        "open": say("variant_open", **blanks),
    }
    return words[standing(each, one.better)]
