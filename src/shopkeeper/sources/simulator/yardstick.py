"""How good a policy is in the simulated shop: beside one that knows nothing, and one that knows everything."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np

from shopkeeper.core.clock import HOUR
from shopkeeper.core.errors import Invalid
from shopkeeper.sources.simulator.audience import Answer, Audience
from shopkeeper.sources.simulator.draws import CLICKS, Ints, generator
from shopkeeper.sources.simulator.responses import ResponseModel

Policy: TypeAlias = Callable[[Audience, Ints, int, int], Ints]
"""Of the audience, people (m,), a time (us) and a number of places: the slates (m, places)."""
Learn: TypeAlias = Callable[[Ints, Ints, int, Answer], None]
ROUNDS: Final = 60
PEOPLE: Final = 200
EVERY: Final = 7 * HOUR
PLACES: Final = 10


@dataclass(frozen=True)
class Yardstick:
    """Expected clicks a slate."""

    random: float
    oracle: float

    def share(self, clicks: float) -> float:
        """Which share of the gap between random and oracle a policy of so many clicks a slate closes."""
        return (clicks - self.random) / (self.oracle - self.random)


def uniform(seed: int) -> Policy:
    """Any items, each as likely."""
    random = generator(seed, CLICKS, 1)

    def policy(audience: Audience, users: Ints, _at: int, places: int) -> Ints:
        drawn = random.random((len(users), len(audience.model.item_ids)))
        return np.argpartition(drawn, places, axis=1)[:, :places]

    return policy


def oracle(audience: Audience, users: Ints, at: int, places: int) -> Ints:
    """What each person would most likely click on now, if seen; it knows all and does not think of tomorrow."""
    n_items = len(audience.model.item_ids)
    every = np.broadcast_to(np.arange(n_items), (len(users), n_items))
    odds = audience.chances(users, every, at) / audience.model.looks(n_items)
    return np.argsort(-odds, axis=1, kind="stable")[:, :places]


def clicks_of(
    model: ResponseModel,
    policy: Policy,
    *,
    seed: int = 1,
    rounds: int = ROUNDS,
    people: int = PEOPLE,
    places: int = PLACES,
    learn: Learn | None = None,
) -> float:
    """Expected clicks a slate: the same people at the same times for each policy of one seed; `learn` is told answers.

    Every seven hours after the history a draw of `people` is shown a slate each. Raises Invalid for too many.
    """
    if not 0 < people <= len(model.user_ids) or not 0 < places < len(model.item_ids) or rounds < 1:
        raise Invalid(
            f"{rounds} rounds of {people} people and {places} places in a shop of {len(model.user_ids)} people and "
            f"{len(model.item_ids)} items; expected at least one of each, people that exist and fewer places than items"
        )
    audience, draw, total = Audience(model, seed), generator(seed, CLICKS, 2), 0.0
    for number in range(rounds):
        users = draw.permutation(len(model.user_ids))[:people]
        at = model.starts + number * EVERY
        items = policy(audience, users, at, places)
        answer = audience.show(users, items, at)
        total += float(answer.chances.sum())
        if learn is not None:
            learn(users, items, at, answer)
    return total / (rounds * people)


def yardstick(
    model: ResponseModel, *, seed: int = 1, rounds: int = ROUNDS, people: int = PEOPLE, places: int = PLACES
) -> Yardstick:
    """Both ends of the scale, under the conditions in which a policy is tried."""
    ends = [
        clicks_of(model, policy, seed=seed, rounds=rounds, people=people, places=places)
        for policy in (uniform(seed), oracle)
    ]
    return Yardstick(*ends)
