"""How the rate of an online learner goes over its updates: as a share of the rate that was set, from 1 down to `least`.

References: Loshchilov and Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017 (`cosine`).
"""

from __future__ import annotations

import math

from shopkeeper.core.learning import Schedule


def share(schedule: Schedule, updates: int, period: int, least: float) -> float:
    """`updates` since the start or the last drift. `inverse_sqrt`: 1 / sqrt(1 + updates / period); `step`: half of it
    each `period`; `cosine`: down to `least` within `period`, and there until a drift begins it anew."""
    if schedule == "constant":
        return 1.0
    if schedule == "inverse_sqrt":
        return max(least, 1.0 / math.sqrt(1.0 + updates / period))
    if schedule == "step":
        return max(least, 0.5 ** min(updates // period, 64))
    along = min(updates / period, 1.0)
    return least + (1.0 - least) * 0.5 * (1.0 + math.cos(math.pi * along))
