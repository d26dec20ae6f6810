"""Stock levels of the bundled shop, simulated: the data has sales and no warehouse.

The policy is plain on purpose. Every Monday each product is ordered up to

    S = d x (lead time + 7) + z x sigma x sqrt(lead time + 7)

with d and sigma the mean and the standard deviation of daily pieces over the 28 days before, lead time 7 days, z = 1.28
(nine days of ten are served). Orders arrive after the lead time; demand that meets an empty shelf is lost. The shelf is
full 56 days before the opening; what is left at the opening is the level. Levels carry `simulated: true` everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

LEAD_DAYS = 7
REVIEW_DAYS = 7
WINDOW_DAYS = 28
RUN_DAYS = 56
Z = 1.28


@dataclass(frozen=True)
class Levels:
    """Pieces (n_items,) on hand and on order at the end of the last day."""

    on_hand: NDArray[np.float64]
    on_order: NDArray[np.float64]


def simulate(demand: NDArray[np.float64], *, first_weekday: int) -> Levels:
    """`demand` (n_items, WINDOW_DAYS + RUN_DAYS): pieces ordered a day, the last column the day before the opening.

    `first_weekday` of the first column, Monday 0.
    """
    items, days = demand.shape
    assert days == WINDOW_DAYS + RUN_DAYS
    on_hand = _order_up_to(demand[:, :WINDOW_DAYS])
    arriving = np.zeros((items, days + LEAD_DAYS + 1))
    for day in range(WINDOW_DAYS, days):
        on_hand = np.maximum(on_hand + arriving[:, day] - demand[:, day], 0.0)
        if (first_weekday + day) % REVIEW_DAYS == 0:
            target = _order_up_to(demand[:, day - WINDOW_DAYS + 1 : day + 1])
            coming = arriving[:, day + 1 :].sum(axis=1)
            arriving[:, day + LEAD_DAYS] += np.maximum(target - on_hand - coming, 0.0)
    return Levels(on_hand, arriving[:, days:].sum(axis=1))


def _order_up_to(window: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n_items,) whole pieces; at least one, so that what sold nothing lately can still be sold."""
    cover = LEAD_DAYS + REVIEW_DAYS
    level = window.mean(axis=1) * cover + Z * window.std(axis=1) * math.sqrt(cover)
    pieces: NDArray[np.float64] = np.maximum(np.ceil(level), 1.0)
    return pieces
