"""What a model of churn knows of a customer: three numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.features.trails import Trail
from shopkeeper.rules.vectors import Bools, Numbers

NEVER = int(np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Customers:
    """Each (n,): `repeats` orders after the first, `last` days from the first order to the last, `age` to today."""

    repeats: Numbers
    last: Numbers
    age: Numbers

    def __len__(self) -> int:
        return len(self.repeats)

    def take(self, where: NDArray[np.int64] | Bools) -> Customers:
        return Customers(self.repeats[where], self.last[where], self.age[where])


def customers_of(trail: Trail) -> tuple[Customers, Bools]:
    """All users of a trail, and who has ordered (n,); of who has not the numbers mean nothing.

    The time since the last order is counted in whole hours, so that nothing moves between them.
    """
    first, last = trail.first_order, trail.last_order
    away = np.where(last < 0, 0, trail.now - last) // HOUR * HOUR
    bought = last >= 0
    days = np.where(bought, last - first, 0) / DAY
    return Customers(np.maximum(trail.orders - 1, 0).astype(np.float64), days, days + away / DAY), bought


def next_hour(trail: Trail) -> NDArray[np.int64]:
    """When (us) the time since the last order is a whole hour longer (n,); far away for who has not ordered."""
    last = trail.last_order
    return np.where(last < 0, NEVER, last + ((trail.now - last) // HOUR + 1) * HOUR)
