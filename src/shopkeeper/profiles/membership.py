"""Who belongs to which segment, for everybody at one moment; and when each was first seen to belong."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.conditions import Condition
from shopkeeper.rules.columns import Columns

UNKNOWN = -1


@dataclass(frozen=True)
class Membership:
    """`inside[name]` bool (n,) over user rows; `entered[name]` int64 (n,) us, -1: not seen to enter, or no member."""

    now: int
    inside: Mapping[str, NDArray[np.bool_]]
    entered: Mapping[str, NDArray[np.int64]]

    def rows(self, name: str) -> NDArray[np.int64]:
        """User rows of the members, ascending."""
        return np.flatnonzero(self.inside[name])

    def sizes(self) -> dict[str, int]:
        return {name: int(np.count_nonzero(mask)) for name, mask in self.inside.items()}


def membership(
    conditions: Mapping[str, Condition],
    columns: Columns,
    people: NDArray[np.bool_],
    now: int,
    before: Membership | None = None,
) -> Membership:
    """`people` bool (n,): rows that can be members at all. `before` tells who is new; without it entry is unknown."""
    inside = {name: condition.many(columns) & people for name, condition in conditions.items()}
    entered = {name: _entered(name, mask, now, before) for name, mask in inside.items()}
    return Membership(now, inside, entered)


def _entered(name: str, mask: NDArray[np.bool_], now: int, before: Membership | None) -> NDArray[np.int64]:
    entered = np.full(len(mask), UNKNOWN, dtype=np.int64)
    if before is None or name not in before.inside:
        return entered
    was, since = before.inside[name], before.entered[name]
    known = min(len(was), len(mask))
    stayed = mask[:known] & was[:known]
    entered[:known][stayed] = since[:known][stayed]
    arrived = mask.copy()
    arrived[:known] &= ~was[:known]
    entered[arrived] = now
    return entered
