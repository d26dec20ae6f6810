"""A slot's draw: the chances that a policy and the best candidate share, and a number that is the slate's own.

    p = (1 - share) e_greedy + share ((1 - floor) pi + floor / m)

pi are the policy's chances over the pool of m; whatever may be drawn has a chance of share floor / m at least, so that
any policy can be judged on what was drawn (Strehl et al., "Learning from Logged Implicit Exploration Data", 2010).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.explore.asked import Exploring

Chances: TypeAlias = Callable[[NDArray[np.int32]], NDArray[np.float64]]
"""Of arms (m,) the chances (m,) with which a policy takes each."""
_KEY = b"shopkeeper slot"
_CLOSE = 1e-6


@dataclass
class Draws:
    """`order` are the positions of the items in the order in which they are shown. Of the s slots that were drawn:
    their places, the positions of their pools (the greedy one first) and the chance of what was drawn."""

    order: list[int]
    slots: list[int] = field(default_factory=list)
    pools: list[list[int]] = field(default_factory=list)
    chances: list[float] = field(default_factory=list)


def draw(
    arms: NDArray[np.int32],
    n: int,
    asked: Exploring,
    chances: Chances,
    slate_id: str,
    late: Callable[[], bool] = lambda: False,
) -> Draws:
    """`arms` (k,) of the candidates, best value first; the first `n` that come out are shown. Once it is `late` the
    order stays as it is. The chance of a slot's draw is given what was placed above it.

    Raises Invalid (`bad_chances`) when a policy gives what are no chances.
    """
    left, done = list(range(len(arms))), Draws([])
    for slot in range(min(n, len(left))):
        pool = left[: asked.pool]
        if len(pool) < 2 or (asked.slots is not None and slot not in asked.slots) or late():
            done.order.append(left.pop(0))
            continue
        p = mixed(chances(arms[pool]), asked)
        at = picked(p, number(slate_id, slot))
        done.slots.append(slot)
        done.pools.append(pool)
        done.chances.append(float(p[at]))
        done.order.append(left.pop(at))
    return done


def mixed(chances: NDArray[np.float64], asked: Exploring) -> NDArray[np.float64]:
    """With which chance each of a pool (m,) is drawn, the greedy one first; sums to 1. Raises Invalid."""
    total = float(chances.sum())
    if chances.ndim != 1 or not (abs(total - 1.0) < _CLOSE and chances.min() >= 0.0):
        raise Invalid(
            f"the policy gave what are no chances: {len(chances)} numbers that sum to {total:g}", code="bad_chances"
        )
    share, floor = asked.share, asked.floor
    p: NDArray[np.float64] = chances * (share * (1 - floor) / total) + share * floor / len(chances)
    p[0] += 1 - share
    return p


def picked(p: NDArray[np.float64], number: float) -> int:
    """Which of a pool a number of [0, 1) picks."""
    summed = p.cumsum()
    at = int(summed.searchsorted(number * summed[-1], side="right"))
    return at if at < len(p) and p[at] > 0 else int(p.argmax())


def number(slate_id: str, slot: int) -> float:
    """The slot's own number in [0, 1): the same whenever it is asked for."""
    digest = hashlib.blake2b(f"{slate_id}/{slot}".encode(), digest_size=8, key=_KEY).digest()
    return (int.from_bytes(digest) >> 11) * 2.0**-53
