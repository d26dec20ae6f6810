"""Visits: when a user came to buy, and what was bought then. The questions of the past that a ranker learns from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import HOUR
from shopkeeper.recommend.orders import Orders

GAP = 12 * HOUR


@dataclass(frozen=True)
class Visit:
    """`time` of the first order line in us; distinct `items` bought until the next pause of twelve hours."""

    user: int
    time: int
    items: NDArray[np.int32]


def visits(orders: Orders, start: int, end: int) -> list[Visit]:
    """Visits that begin in [start, end), in order of time. Lines at or after `end` are not looked at.

    A visit is a run of a user's order lines with pauses under twelve hours; one that began before `start` is left out
    whole, because its first lines would show the rest.
    """
    lines = orders.between(start - GAP, end)
    order = np.lexsort((lines.time, lines.user))
    user, item, time = lines.user[order], lines.item[order], lines.time[order]
    begins = np.ones(len(user), dtype=np.bool_)
    begins[1:] = (user[1:] != user[:-1]) | (time[1:] - time[:-1] >= GAP)
    first = np.flatnonzero(begins)
    found = [
        Visit(int(user[a]), int(time[a]), np.unique(item[a:b]))
        for a, b in zip(first.tolist(), [*first[1:].tolist(), len(user)], strict=True)
        if time[a] >= start
    ]
    return sorted(found, key=lambda visit: (visit.time, visit.user))


def sample(found: list[Visit], most: int, seed: int) -> list[Visit]:
    """At most `most` visits, drawn by `seed`, still in order of time."""
    if len(found) <= most:
        return found
    kept = np.sort(np.random.default_rng(seed).choice(len(found), most, replace=False))
    return [found[at] for at in kept]
