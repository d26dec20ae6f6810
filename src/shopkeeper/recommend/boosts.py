"""Boosts and buries: for which items the rules of a scenario hold, as one factor for every item."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.cover import SOON_DAYS, Cover
from shopkeeper.recommend.itemrules import ItemRules
from shopkeeper.recommend.scenarios import Boost


def factors(boosts: Iterable[Boost], rules: ItemRules, cover: Cover, n: int, now: int) -> NDArray[np.float64]:
    """float64 (n,): the product of the factors whose rule holds. What will be sold out within two days is not lifted:
    its factor is 1 at most."""
    result = np.ones(n)
    for boost in boosts:
        holds = rules.holds(boost.rule, now)[:n]
        result[: len(holds)][holds] *= boost.factor
    days = cover.days(n)
    soon = days < SOON_DAYS  # not counted (NaN) is not soon
    result[soon] = np.minimum(result[soon], 1.0)
    return result
