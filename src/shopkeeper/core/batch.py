"""Events as columns: what followers of the log read.

One batch holds n events in log order; every array has length n. Ids are the int32 rows that the SQL store gave out;
-1 stands for "none". Followers must give the same state for one batch of n and for n batches of one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Shapes: all (n,). `time` in microseconds since 1970 UTC; `quantity` in pieces; `unit_price`, `value` in currency.

    `user` is the row of the user (or of the anonymous visitor); `item` the row of the target when it is an item of any
    kind; `other` the row of the target when it is a user. `type` indexes the event-type vocabulary. NaN: not given.
    """

    seq: NDArray[np.int64]
    user: NDArray[np.int32]
    item: NDArray[np.int32]
    other: NDArray[np.int32]
    type: NDArray[np.int32]
    store: NDArray[np.int32]
    time: NDArray[np.int64]
    quantity: NDArray[np.float64]
    unit_price: NDArray[np.float64]
    value: NDArray[np.float64]
    promotion: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.seq)

    def take(self, where: NDArray[np.int64] | NDArray[np.bool_] | slice) -> EventBatch:
        """The events at `where` (positions, mask or slice), in that order."""
        columns: list[Any] = [getattr(self, f.name)[where] for f in fields(self)]
        return EventBatch(*columns)

    def by_time(self) -> EventBatch:
        """The same events in order of time, ties in log order: the order that as-of replay uses."""
        return self.take(np.argsort(self.time, kind="stable"))

    @classmethod
    def empty(cls) -> EventBatch:
        columns: list[Any] = [np.empty(0, dtype=dtype) for dtype in _DTYPES]
        return cls(*columns)

    @classmethod
    def join(cls, batches: list[EventBatch]) -> EventBatch:
        if not batches:
            return cls.empty()
        return cls(*(np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(cls)))

    @classmethod
    def from_rows(cls, rows: Sequence[tuple[Any, ...]]) -> EventBatch:
        """From tuples in field order; None becomes -1 (rows) or NaN (amounts), a promotion's name True."""
        if not rows:
            return cls.empty()
        columns = list(zip(*rows, strict=True))
        return cls(*(_column(values, dtype) for values, dtype in zip(columns, _DTYPES, strict=True)))


_DTYPES = (
    np.int64, np.int32, np.int32, np.int32, np.int32, np.int32, np.int64, np.float64, np.float64, np.float64, np.bool_,
)  # fmt: skip


def _column(values: tuple[Any, ...], dtype: type[np.generic]) -> Any:
    if dtype is np.float64:
        return np.array(values, dtype=np.float64)
    if dtype is np.bool_:
        return np.fromiter(map(bool, values), dtype=np.bool_, count=len(values))
    known = [-1 if v is None else v for v in values] if None in values else values
    return np.array(known, dtype=dtype)
