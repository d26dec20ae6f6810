"""What a condition would do before anybody keeps it: whom it matches, and how the scores would move.

It is a look at everybody, so it is taken in steps: whoever else asks is answered in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeAlias

import msgspec
import numpy as np

from shopkeeper.core.records import Rule
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.people import Person
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.vectors import Bools, Numbers

STEP = 1_000
"""Users of one step."""
_SAMPLE = 20

Few: TypeAlias = "tuple[ProfileTable, Bools]"
"""The fields of the next users by row, and who of them counts."""


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


class Previewing:
    """`steps` to the end, then `answer`; calling it does both at once. On the profiles' thread.

    `everybody` are all users in steps, `person_at` finds who has a row. `replaced` is the rule that would go: the shift
    is the difference to it.
    """

    def __init__(
        self,
        everybody: Iterable[Few],
        condition: Condition,
        weight: float,
        replaced: tuple[Rule, Condition] | None,
        person_at: Callable[[int], Person | None],
    ) -> None:
        self._everybody = everybody
        self._condition = condition
        self._weight = weight
        self._replaced = replaced
        self._person_at = person_at
        self._customers: list[Bools] = []
        self._inside: list[Bools] = []
        self._shift: list[Numbers] = []

    def steps(self) -> Iterator[None]:
        for table, customers in self._everybody:
            columns = table.columns()
            inside = self._condition.many(columns) & customers
            shift = np.where(inside, self._weight, 0.0)
            if self._replaced is not None:
                old, was = self._replaced
                shift -= np.where(was.many(columns), old.weight, 0.0)
            self._customers.append(customers)
            self._inside.append(inside)
            self._shift.append(shift[customers])
            yield

    def answer(self) -> Preview:
        rows = np.flatnonzero(_joined(self._inside))
        some = rows[np.linspace(0, len(rows) - 1, min(_SAMPLE, len(rows)), dtype=np.int64)]
        return Preview(
            matches=len(rows),
            total=sum(int(np.count_nonzero(customers)) for customers in self._customers),
            sample=[person.user_id for row in some.tolist() if (person := self._person_at(row)) is not None],
            score_shift=_summary(np.concatenate([np.empty(0), *self._shift])),
        )

    def __call__(self) -> Preview:
        for _ in self.steps():
            pass
        return self.answer()


def _joined(parts: list[Bools]) -> Bools:
    return np.concatenate([np.empty(0, dtype=np.bool_), *parts])


def _summary(shift: Numbers) -> ScoreShift:
    if not len(shift):
        return ScoreShift()
    low, high = np.quantile(shift, (0.1, 0.9))
    return ScoreShift(float(shift.mean()), float(low), float(high))
