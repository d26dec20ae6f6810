"""Skew: whether what rankers saw when they served is what a replay of the log computes for the same moment.

Live, an event counts from when it arrived; replayed, from when it happened. So events that came late differ, and
nothing else should.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from zoneinfo import ZoneInfo

import numpy as np

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.records import Record
from shopkeeper.features.crosses import SIGN
from shopkeeper.features.kinds import TypeNames
from shopkeeper.features.registry import registered
from shopkeeper.features.replay import Question, replay
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet
from shopkeeper.stores.served_vectors import ServedVectors


class ColumnSkew(Record, kw_only=True):
    """One feature: the share of logged values that a replay computes otherwise, and by how much at most."""

    name: str
    differing: float
    largest: float


class Skew(Record, kw_only=True):
    """`values` that were compared; `columns` with a difference, the worst first."""

    slates: int
    values: int
    differing: int
    columns: list[ColumnSkew]


def skew(events: EventBatch, served: Iterable[ServedVectors], zone: ZoneInfo, types: TypeNames) -> Skew:
    """`events` in order of time. Features that read the context of a request are left out: that is not logged."""
    slates = sorted(served, key=lambda one: one.made_at)
    names = _replayable(slates[0].names) if slates else []
    slates = [one for one in slates if set(names) <= set(one.names)]
    state = FeatureState(zone, types)
    # What arrives in the very microsecond of an answer may have been seen: live asks include it.
    questions = [Question(_user(one), one.made_at + 1, one.items) for one in slates]
    wrong = np.zeros(len(names), dtype=np.int64)
    largest = np.zeros(len(names), dtype=np.float64)
    values = 0
    for one, matrix in zip(slates, replay(events, questions, FeatureSet(names), state), strict=True):
        logged = one.values[:, [one.names.index(name) for name in names]]
        values += logged.size
        wrong += np.count_nonzero(logged != matrix, axis=0)
        if len(logged):
            largest = np.maximum(largest, np.abs(logged.astype(np.float64) - matrix).max(axis=0))
    count = sum(len(one.items) for one in slates)
    columns = [
        ColumnSkew(name=names[at], differing=float(wrong[at] / count), largest=float(largest[at]))
        for at in np.argsort(-wrong, kind="stable").tolist()
        if wrong[at]
    ]
    return Skew(slates=len(slates), values=values, differing=int(wrong.sum()), columns=columns)


def _user(one: ServedVectors) -> int:
    return -1 if one.user_row is None else one.user_row


def _replayable(names: Sequence[str]) -> list[str]:
    known = registered()

    def fits(name: str) -> bool:
        return all(part in known and not getattr(known[part], "reads_request", False) for part in name.split(SIGN))

    return [name for name in names if fits(name)]
