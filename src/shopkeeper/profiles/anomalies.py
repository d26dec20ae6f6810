"""What is unusual for this very user: the last order against the earlier ones, a day against the days before."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.features.trails import Trail
from shopkeeper.rules.vectors import Numbers

FEWEST_ORDERS = 5
USUAL = 0.05
"""A day as busy as this share of the user's days, or more of them, is not unusual."""
_MAD_TO_SIGMA = 1.4826
_LEAST_SPREAD = 0.05
"""Of the median: who always spends the same is not surprising by a few pence."""
_MOST = 300.0
_NEVER = int(np.iinfo(np.int64).max)


def order_surprise(trail: Trail) -> Numbers:
    """How far the value of the last order lies from the median of the earlier ones, in robust standard deviations (n,).

    NaN below 5 orders. The spread is 1.4826 times the median absolute deviation, at least 5 % of the median.
    """
    baskets, n = trail.baskets, len(trail)
    user, value = baskets.user[baskets.whole], baskets.value[baskets.whole].astype(np.float64)
    count = np.bincount(user, minlength=n)
    newest = np.cumsum(count) - 1
    enough = count >= FEWEST_ORDERS
    is_newest = np.zeros(len(user), dtype=np.bool_)
    is_newest[newest[enough]] = True
    earlier = enough[user] & ~is_newest
    median = _medians(user[earlier], value[earlier], n)
    deviation = _medians(user[earlier], np.abs(value[earlier] - median[user[earlier]]), n)
    spread = np.maximum(_MAD_TO_SIGMA * deviation, _LEAST_SPREAD * np.abs(median))
    last = np.full(n, np.nan)
    last[enough] = value[newest[enough]]
    out = np.full(n, np.nan)
    np.divide(last - median, spread, out=out, where=spread > 0)
    out[(spread == 0) & (last == median)] = 0.0
    return out


def activity_surprise(trail: Trail) -> Numbers:
    """-log10 of the chance of so many events in the 24 hours up to the last one, at the user's own rate before (n,).

    0 when such days are not unusual (a chance of 5 % or more) and when the last event is more than a day old; NaN for
    who had no event before those 24 hours. At most 300.
    """
    from scipy.special import gammainc

    last, first = trail.last_time, trail.first_time
    recent = np.bincount(trail.user[trail.time > (last - DAY)[trail.user]], minlength=len(trail)).astype(np.float64)
    before = trail.events - recent
    known = (last >= 0) & (before > 0)
    days = np.where(known, np.maximum((last - DAY - first) / DAY, 1.0), 1.0)
    # The chance of k events or more at a mean of m is the regularised incomplete gamma function P(k, m).
    chance = np.ones(len(trail))
    chance[known] = gammainc(recent[known], before[known] / days[known])
    usual = (chance >= USUAL) | (trail.now - last >= DAY)
    surprise = np.where(usual, 0.0, np.minimum(-np.log10(np.maximum(chance, 10.0**-_MOST)), _MOST))
    return np.where(known, surprise, np.nan)


def quiet_again(trail: Trail) -> NDArray[np.int64]:
    """When (us) `activity_surprise` falls to 0 if nothing happens (n,)."""
    ends = trail.last_time + DAY
    return np.where((trail.last_time >= 0) & (ends > trail.now), ends, _NEVER)


def _medians(user: NDArray[np.int32], value: Numbers, n: int) -> Numbers:
    """The median of each user's values (n,), NaN: none. `user` ascending."""
    value = value[np.lexsort((value, user))]
    count = np.bincount(user, minlength=n)
    begin = np.cumsum(count) - count
    have = count > 0
    out = np.full(n, np.nan)
    low, high = begin[have] + (count[have] - 1) // 2, begin[have] + count[have] // 2
    out[have] = (value[low] + value[high]) / 2.0
    return out
