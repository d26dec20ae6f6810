"""Events as accumulators read them: roles instead of types, exact amounts instead of floats that may be missing.

Amounts are whole millionths ("micros") of a piece or of the currency, so that sums are exact and do not depend on the
order in which events arrived. An amount beyond 1e9 counts as 1e9.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.features.kinds import EventKinds, Role

MICRO = 1_000_000
_LARGEST = 1e9


@dataclass(frozen=True, slots=True)
class Arrivals:
    """n events in the order in which they are applied, all (n,). `value`, `quantity` in micros; `unit_price` NaN: none.

    `user` is -1 for a sale that nobody's profile gets, `item` -1 when the target is not an item.
    """

    user: NDArray[np.int32]
    item: NDArray[np.int32]
    type: NDArray[np.int32]
    role: NDArray[np.int8]
    is_order: NDArray[np.bool_]
    time: NDArray[np.int64]
    quantity: NDArray[np.int64]
    value: NDArray[np.int64]
    unit_price: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.time)


def arrivals(batch: EventBatch, kinds: EventKinds) -> Arrivals:
    """A batch made readable. A sale without a quantity is one piece; a missing value is quantity x unit price, or 0."""
    role = kinds.roles(batch.type)
    is_order = role == Role.ORDER
    quantity, value = batch.quantity, batch.value
    missing = np.isnan(quantity)
    if missing.any():
        quantity = np.where(missing, np.where(is_order, 1.0, 0.0), quantity)
    missing = np.isnan(value)
    if missing.any():
        value = np.where(missing, _bounded(quantity) * _bounded(np.nan_to_num(batch.unit_price)), value)
    return Arrivals(
        user=batch.user,
        item=batch.item,
        type=batch.type,
        role=role,
        is_order=is_order,
        time=batch.time,
        quantity=_micros(quantity),
        value=_micros(value),
        unit_price=batch.unit_price,
    )


def _micros(amounts: NDArray[np.float64]) -> NDArray[np.int64]:
    return np.rint(_bounded(amounts) * MICRO).astype(np.int64)


def _bounded(amounts: NDArray[np.float64]) -> NDArray[np.float64]:
    bounded: NDArray[np.float64] = np.minimum(np.maximum(amounts, -_LARGEST), _LARGEST)
    return bounded


def run_starts(values: NDArray[Any]) -> list[int]:
    """Where a run of equal values begins in a sorted array (n,), n > 0."""
    return [0, *((values[1:] != values[:-1]).nonzero()[0] + 1).tolist()] if len(values) > 1 else [0]
