"""Which days the shop is open, learned from what it sold.

A day on which nothing at all was sold was a closed day, if the shop is busy enough that an open day without any sale is
unlikely. A weekday that was closed most of the time is expected to stay closed. Holidays of the future are not known
here: a calendar of the shop's own has to say them.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BUSY = 5.0  # different products a selling day: by Poisson an open day sells none with p = exp(-5) < 1 %
_LOOK_BACK = 12  # occurrences of a weekday
_FEWEST = 4
_MOSTLY = 0.75


def closed_days(sold: NDArray[np.integer]) -> NDArray[np.bool_]:
    """(d,) different products sold a day -> (d,) closed. In a quiet shop a day without a sale is just that."""
    selling = sold[sold > 0]
    if not len(selling) or selling.mean() < BUSY:
        return np.zeros(len(sold), dtype=np.bool_)
    closed: NDArray[np.bool_] = sold == 0
    return closed


def closed_weekdays(closed: NDArray[np.bool_], first_day: int) -> NDArray[np.bool_]:
    """(7,) from Monday: weekdays closed in three of four of their last twelve occurrences (at least four seen)."""
    weekday = weekdays(first_day, len(closed))
    answer = np.zeros(7, dtype=np.bool_)
    for day in range(7):
        seen = closed[weekday == day][-_LOOK_BACK:]
        answer[day] = len(seen) >= _FEWEST and seen.mean() >= _MOSTLY
    return answer


def weekdays(first_day: int, count: int, apart: int = 1) -> NDArray[np.int64]:
    """(count,) weekday (0 Monday) of days `apart` days apart from `first_day` on (days since 1970-01-01)."""
    return (first_day + apart * np.arange(count) + 3) % 7
