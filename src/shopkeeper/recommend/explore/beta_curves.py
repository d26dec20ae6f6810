"""Beta distributions as curves that are quick to read, for the chance that a drawing of one is the largest.

Over the angle phi = 2 arcsin(sqrt(x)) every Beta distribution is about as wide as any other with as many rounds, and
has no steep end. Each (a, b) gets a table over its own range: distribution function, density and slope at 32 steps,
joined by polynomials of the fifth degree. Tables are made once for a pair of numbers, and shared by all snapshots of
the process.
"""

from __future__ import annotations

from functools import lru_cache
from math import asin, pi, sqrt

import numpy as np
from scipy.special import betainc, betaincinv, betaln

from shopkeeper.recommend.explore.policy import Numbers
from shopkeeper.recommend.explore.quadrature import Places, largest

_STEPS = 32
_TAIL = 1e-10
_KEPT = 8192
"""Tables, 1.6 kB each."""

_LAST = _STEPS - 1e-9
_FLOOR = 1e-12


def largest_beta(a: Numbers, b: Numbers) -> Numbers:
    """Chances (k,) that the drawing of each Beta(a, b), both (k,) and at least 1, is the largest."""
    if len(a) < 2:
        return np.ones(len(a))
    tables = [_table(*pair) for pair in zip(a.tolist(), b.tolist(), strict=True)]
    low = np.array([table[0] for table in tables])
    step = np.array([table[1] for table in tables])

    def curves(places: Places, points: Numbers) -> tuple[Numbers, Numbers]:
        powers = np.concatenate([tables[place][2] for place in places.tolist()], axis=1)
        narrow = 1.0 / step[places, None]
        at = (points - low[places, None]) * narrow
        np.clip(at, 0.0, _LAST, out=at)
        interval = at.astype(np.intp)
        at -= interval
        interval += _STEPS * np.arange(len(places))[:, None]
        power = powers.take(interval, axis=1)
        below, density = power[5], power[5] * at
        for degree in (4, 3, 2, 1):
            below *= at
            below += power[degree]
            if degree < 4:
                density *= at
            density += below
        below *= at
        below += power[0]
        density *= narrow
        return np.maximum(below, _FLOOR, out=below), np.maximum(density, 0.0, out=density)

    return largest(low, low + _STEPS * step, curves)


@lru_cache(maxsize=_KEPT)
def _table(a: float, b: float) -> tuple[float, float, Numbers]:
    """Where it begins, the width of a step, and the polynomial of each step (6, steps), in steps."""
    first = 2 * asin(sqrt(betaincinv(a, b, _TAIL)))
    last = pi - 2 * asin(sqrt(betaincinv(b, a, _TAIL)))
    angle = np.linspace(first, last, _STEPS + 1)
    step = (last - first) / _STEPS
    below = betainc(a, b, np.sin(angle / 2) ** 2)
    sine, cosine = np.sin(angle / 2), np.cos(angle / 2)
    density = np.exp((2 * a - 1) * np.log(sine) + (2 * b - 1) * np.log(cosine) - betaln(a, b)) * step
    slope = density * ((a - 0.5) * cosine / sine - (b - 0.5) * sine / cosine) * step
    return first, step, _joined(below, density, slope)


def _joined(value: Numbers, slope: Numbers, bend: Numbers) -> Numbers:
    """Polynomials (6, n - 1) over steps of 1 that meet value, slope and bend (n,) at both ends."""
    rise = value[1:] - value[:-1] - slope[:-1] - bend[:-1] / 2
    turn = slope[1:] - slope[:-1] - bend[:-1]
    curl = bend[1:] - bend[:-1]
    return np.stack(
        [
            value[:-1],
            slope[:-1],
            bend[:-1] / 2,
            10 * rise - 4 * turn + curl / 2,
            -15 * rise + 7 * turn - curl,
            6 * rise - 3 * turn + curl / 2,
        ]
    )
