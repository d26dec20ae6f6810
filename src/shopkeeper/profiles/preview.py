"""What a condition would do before anybody keeps it: whom it matches, and how the scores would move.

The fields are collected on the profiles' thread; what is given back runs on any thread, so that a look at everybody
holds nobody up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import Rule
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.columns import Columns
from shopkeeper.rules.vectors import Numbers

_SAMPLE = 20

Work: TypeAlias = "Callable[[], Preview]"


class ScoreShift(msgspec.Struct, frozen=True):
    """By how much (logits) the rule scores of all customers would move; null without customers."""

    mean: float | None = None
    p10: float | None = None
    p90: float | None = None


class Preview(msgspec.Struct, frozen=True):
    """`matches` of `total` customers, and some of their ids, spread over all who match."""

    matches: int
    total: int
    sample: list[str]
    score_shift: ScoreShift


def preview(
    table: ProfileTable,
    customers: NDArray[np.bool_],
    condition: Condition,
    weight: float = 0.0,
    replaced: tuple[Rule, Condition] | None = None,
) -> Work:
    """`customers` bool (n,): who counts. `replaced` is the rule that would go: the shift is the difference to it."""
    names = condition.fields | (replaced[1].fields if replaced is not None else frozenset())
    columns = Columns(table.source.n, {name: table[name] for name in names})
    people = table.people

    def work() -> Preview:
        inside = condition.many(columns)[customers]
        shift = np.where(inside, weight, 0.0)
        if replaced is not None:
            old, was = replaced
            shift -= np.where(was.many(columns)[customers], old.weight, 0.0)
        rows = np.flatnonzero(customers)[inside]
        some = rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows)), dtype=np.int64)]
        return Preview(
            matches=len(rows),
            total=len(inside),
            sample=[person.user_id for row in some.tolist() if (person := people[row]) is not None],
            score_shift=_summary(shift),
        )

    return work


def _summary(shift: Numbers) -> ScoreShift:
    if not len(shift):
        return ScoreShift()
    low, high = np.quantile(shift, (0.1, 0.9))
    return ScoreShift(float(shift.mean()), float(low), float(high))
