"""What is counted of a unit, in words: `orders`, `revenue`, `click_rate`, `count:save`, `ratio:order/view` ..."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from shopkeeper.core.errors import Invalid
from shopkeeper.stores.experiment_sums import Reward

Worth: TypeAlias = 'float | Literal["money", "value"] | Reward'
"""What one event counts: a number, its money (value, else quantity times price), its value as it was told, or what it
is worth as feedback."""
Kind: TypeAlias = Literal["mean", "share", "ratio"]


@dataclass(frozen=True)
class Term:
    """A sum over the events of a unit: what an event of each type counts. `told`: of events told by name instead."""

    types: Mapping[str, Worth]
    told: str | None = None


@dataclass(frozen=True)
class Measure:
    """`mean` of a sum a unit, `share` of units with anything at all, or `ratio` of the sums of two terms."""

    kind: Kind
    above: Term
    below: Term | None = None


NAMED = ("orders", "conversion", "revenue", "click_rate", "reward")
_FORM = re.compile(r"(count|share|sum|ratio|told|told_share):([a-z][a-z0-9_]{0,63})(?:/([a-z][a-z0-9_]{0,63}))?")


def read_metric(text: str, rewards: Mapping[str, Reward], field: str = "metric") -> Measure:
    """`rewards` of types of feedback. Raises Invalid."""
    match text:
        case "orders":
            return Measure("mean", Term({"order": 1.0}))
        case "conversion":
            return Measure("share", Term({"order": 1.0}))
        case "revenue":
            return Measure("mean", Term({"order": "money", "return": "money"}))
        case "click_rate":
            return Measure("ratio", Term({"click": 1.0}), Term({"view": 1.0}))
        case "reward":
            return Measure("mean", Term(dict(rewards)))
    found = _FORM.fullmatch(text)
    if found is None or (found[3] is None) == (found[1] == "ratio"):
        raise Invalid(
            f"{field} {text[:80]!r} is not known; there are: {', '.join(NAMED)}, count:TYPE, share:TYPE, sum:TYPE of "
            "any type of event, ratio:TYPE/TYPE, told:NAME and told_share:NAME of what is told by name",
            code="unknown_metric",
            field=field,
        )
    form, one = found[1], found[2]
    if form == "ratio":
        return Measure("ratio", Term({one: 1.0}), Term({found[3]: 1.0}))
    if form.startswith("told"):
        return Measure("mean" if form == "told" else "share", Term({}, told=one))
    return Measure("share" if form == "share" else "mean", Term({one: "value" if form == "sum" else 1.0}))
