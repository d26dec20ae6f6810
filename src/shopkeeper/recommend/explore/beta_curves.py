"""Beta distributions as curves that are quick to read, for the chance that a drawing of one is the largest.

Over the angle phi = 2 arcsin(sqrt(x)) every Beta distribution is about as wide as any other with as many rounds, and
has no steep end. Each (a, b) gets a table over its own range: distribution function, density and slope at 32 steps,
joined by polynomials of the fifth degree. Tables are made once for a pair of numbers, and shared by all snapshots of
the process.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from scipy.special import betainc, betaincinv, betaln

from shopkeeper.recommend.explore.policy import Numbers
from shopkeeper.recommend.explore.quadrature import Places, largest

_STEPS = 32
_TAIL = 1e-10
_KEPT = 8192
"""Tables, 1.6 kB each; the oldest half goes when there are more."""

Table: TypeAlias = tuple[float, float, Numbers]
_made: dict[tuple[float, float], Table] = {}

_LAST = _STEPS - 1e-9
_FLOOR = 1e-12


def largest_beta(a: Numbers, b: Numbers) -> Numbers:
    """Chances (k,) that the drawing of each Beta(a, b), both (k,) and at least 1, is the largest."""
    if len(a) < 2:
        return np.ones(len(a))
    tables = _tables(list(zip(a.tolist(), b.tolist(), strict=True)))
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


def _tables(pairs: list[tuple[float, float]]) -> list[Table]:
    """From what was made before where it can be; threads may make the same table twice, and one of them stays."""
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in _made]
    if not missing:
        return [_made.get(pair) or _table(pair) for pair in pairs]
    new = dict(zip(missing, _make(np.array(missing)), strict=True))
    found = [new.get(pair) or _made.get(pair) or _table(pair) for pair in pairs]
    _made.update(new)
    if len(_made) > _KEPT:
        for pair in list(_made)[: len(_made) - _KEPT // 2]:
            _made.pop(pair, None)
    return found


def _table(pair: tuple[float, float]) -> Table:
    """Where another thread has just made room."""
    return _make(np.array([pair]))[0]


def _make(pairs: Numbers) -> list[Table]:
    """Of (n, 2) pairs: where each begins, the width of a step, and the polynomial of each step (6, steps), in steps."""
    a, b = pairs[:, :1], pairs[:, 1:]
    first = 2 * np.arcsin(np.sqrt(betaincinv(a, b, _TAIL)))
    last = np.pi - 2 * np.arcsin(np.sqrt(betaincinv(b, a, _TAIL)))
    step = (last - first) / _STEPS
    half = (first + step * np.arange(_STEPS + 1)) / 2
    sine, cosine = np.sin(half), np.cos(half)
    below = betainc(a, b, sine**2)
    density = np.exp((2 * a - 1) * np.log(sine) + (2 * b - 1) * np.log(cosine) - betaln(a, b)) * step
    slope = density * ((a - 0.5) * cosine / sine - (b - 0.5) * sine / cosine) * step
    powers = _joined(below, density, slope)
    return list(zip(first[:, 0].tolist(), step[:, 0].tolist(), powers, strict=True))


def _joined(value: Numbers, slope: Numbers, bend: Numbers) -> Numbers:
    """Polynomials (n, 6, m - 1) over steps of 1 that meet value, slope and bend (n, m) at both ends."""
    here, there = value[:, :-1], value[:, 1:]
    rise = there - here - slope[:, :-1] - bend[:, :-1] / 2
    turn = slope[:, 1:] - slope[:, :-1] - bend[:, :-1]
    curl = bend[:, 1:] - bend[:, :-1]
    quick = 10 * rise - 4 * turn + curl / 2, -15 * rise + 7 * turn - curl, 6 * rise - 3 * turn + curl / 2
    return np.stack([here, slope[:, :-1], bend[:, :-1] / 2, *quick], axis=1)
