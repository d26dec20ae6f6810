"""Exact Shapley values of a function of a few players (groups of inputs).

Each player's value is the mean, over all orders in which players can join, of what its joining adds. With n players all
2^n coalitions are asked in one vectorised call, so this is for n up to 14 (16,384 coalitions).
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

MOST_PLAYERS = 14


def coalitions(n: int) -> NDArray[np.bool_]:
    """bool (2^n, n): row k has player p exactly when bit p of k is set; row 0 is nobody, the last row everybody."""
    if not 1 <= n <= MOST_PLAYERS:
        raise Invalid(f"{n} players cannot be explained exactly; join them into 1 to {MOST_PLAYERS} groups")
    members: NDArray[np.bool_] = (np.arange(2**n)[:, None] >> np.arange(n)) & 1 == 1
    return members


def shapley(value: Callable[[NDArray[np.bool_]], NDArray[np.float64]], n: int) -> tuple[float, NDArray[np.float64]]:
    """`(base, values)`: the value of nobody and float64 (n,); base + sum(values) is the value of everybody.

    `value` takes coalitions bool (m, n) and gives float64 (m,).
    """
    members = coalitions(n)
    worth = np.asarray(value(members), dtype=np.float64)
    weights = np.array([factorial(k) * factorial(n - k - 1) / factorial(n) for k in range(n)])
    size = members.sum(axis=1)
    values = np.empty(n)
    for player in range(n):
        without = np.flatnonzero(~members[:, player])
        gain = worth[without + (1 << player)] - worth[without]
        values[player] = float(np.dot(weights[size[without]], gain))
    return float(worth[0]), values
