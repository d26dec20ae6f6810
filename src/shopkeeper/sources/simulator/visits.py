"""Who visits on a day, and how much they do then."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.sources.simulator.config import PER_VISIT, SimConfig
from shopkeeper.sources.simulator.draws import Floats, Ints
from shopkeeper.sources.simulator.people import FADE_DAYS, People, Population
from shopkeeper.sources.simulator.seasons import busy, is_weekend

MOST: Final = 0.95
"""Nobody visits with a higher chance on any day."""
_FAINT: Final = 0.15
_SAMPLE: Final = 2048
_MOST_DAYS: Final = 61


def eagerness(people: People, n: int, day: int) -> Floats:
    """How readily each person visits on day `n`, day `day` since 1970; 0 for who has left."""
    left = people.leaves - n
    fading = np.where(left > 0, np.clip(left / FADE_DAYS, _FAINT, 1.0), 0.0)
    weekend = np.exp(people.weekend) if is_weekend(day) else 1.0
    eager: Floats = people.activity * weekend * fading * busy(n, day)
    return eager


def fullness(people: People) -> Floats:
    """(people, PER_VISIT): which share of the room between least and most a person fills on a visit."""
    buying = np.clip(0.32 + 0.12 * people.income, 0.05, 0.9)
    return np.stack([buying, 0.6 * people.curiosity + 0.15, people.sociability, people.curiosity, people.curiosity], 1)


def amounts(random: np.random.Generator, people: People, config: SimConfig) -> Ints:
    """(people, PER_VISIT): how many events of each type on this visit, between the least and the most of the config."""
    least, most = _ranges(config)
    return least + random.binomial(most - least, fullness(people))


def calibrate(config: SimConfig, population: Population, first_day: int) -> float:
    """What eagerness is multiplied with so that a person makes `avg_events_per_user` in the history, on average.

    Bounds go first: where they leave too little room, the average is as near as they allow.
    """
    people = population.upto(min(config.user_count, _SAMPLE))
    if config.user_count > _SAMPLE:
        spread = np.linspace(0, config.user_count - 1, _SAMPLE).astype(np.int64)
        people = population.upto(config.user_count).take(spread)
    least, most = _ranges(config)
    each = (least + (most - least) * fullness(people)).sum(axis=1)
    days = np.unique(np.linspace(0, config.history_days - 1, _MOST_DAYS).astype(np.int64))
    eager = np.stack([np.where(people.joined <= n, eagerness(people, n, first_day + n), 0.0) for n in days.tolist()])
    wanted = config.avg_events_per_user / config.history_days
    low, high = 0.0, 1e4
    for _ in range(60):
        middle = (low + high) / 2
        enough = float((np.minimum(eager * middle, MOST) * each).mean()) >= wanted
        low, high = (low, middle) if enough else (middle, high)
    return high


def visitors(random: np.random.Generator, people: People, chance: float, n: int, day: int) -> NDArray[np.int64]:
    """Numbers of the people who visit on day `n`."""
    return np.flatnonzero(random.random(len(people)) < np.minimum(eagerness(people, n, day) * chance, MOST))


def _ranges(config: SimConfig) -> tuple[Ints, Ints]:
    least, most = np.array([config.range_of(what) for what in PER_VISIT]).T
    return least, most
