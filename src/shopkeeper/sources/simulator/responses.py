"""Who clicks on what, when it is shown: one frozen model of clicks on slates, so that policies can be compared.

    chance = seen at this place x sigmoid(base + taste x liking + mood + novelty - fatigue)

`liking` is what the people of the world go by, in sigmas of one person's likings; the mood is that of the hour; what a
person was never shown has the charm of the new, what was shown lately tires. A version's numbers never change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, HOUR
from shopkeeper.core.errors import NotFound
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.draws import Floats, Ints, sigmoid
from shopkeeper.sources.simulator.people import People, user_id
from shopkeeper.sources.simulator.tastes import HOUR as KINDS_HOUR
from shopkeeper.sources.simulator.tastes import KINDS
from shopkeeper.sources.simulator.world import World


@dataclass(frozen=True)
class Responses:
    """The numbers of a version. `look`: the chance that place p is seen is look^p. `half_life` of fatigue in days."""

    config: SimConfig
    seed: int
    first_day: int
    look: float
    base: float
    taste: float
    mood: float
    novelty: float
    fatigue: float
    half_life: float
    stay: float
    stay_click: float
    stay_tired: float


VERSIONS: Final = {
    "v1": Responses(
        config=SimConfig(user_count=1000, product_count=200, app_count=100, history_days=90, avg_events_per_user=60),
        seed=1,
        first_day=20_000,
        look=0.88,
        base=-3.0,
        taste=1.1,
        mood=0.35,
        novelty=0.6,
        fatigue=0.8,
        half_life=3.0,
        stay=0.5,
        stay_click=0.35,
        stay_tired=0.25,
    )
}


@dataclass(frozen=True)
class ResponseModel:
    """People and items by number: items are the world's products, then its apps. Get one by `version`."""

    name: str
    numbers: Responses
    world: World

    @classmethod
    def version(cls, name: str, world: World | None = None) -> ResponseModel:
        """`v1` on its own frozen world, or on the people and items of another. Raises NotFound."""
        numbers = VERSIONS.get(name)
        if numbers is None:
            raise NotFound(f"there is no response model {name!r}, there are: {', '.join(VERSIONS)}", field="version")
        made = world or World.make(numbers.config, numbers.seed, first_day=numbers.first_day)
        return cls(name, numbers, made)

    @cached_property
    def user_ids(self) -> tuple[str, ...]:
        return tuple(user_id(number) for number in range(len(self._people)))

    @cached_property
    def item_ids(self) -> tuple[str, ...]:
        return tuple(item.item_id for item in self.world.items())

    @cached_property
    def starts(self) -> int:
        """Microseconds UTC at which the days after the history begin: when policies are tried."""
        return self.world.starts(self.world.config.history_days)

    def user(self, id_: str) -> int:
        """The number of a person. Raises NotFound."""
        return _number(self._user_numbers, id_, "user")

    def items(self, ids: Sequence[str]) -> Ints:
        """The numbers of items (k,). Raises NotFound."""
        return np.array([_number(self._item_numbers, id_, "item") for id_ in ids], dtype=np.int64)

    def appeal(self, users: Ints, items: Ints, at: int) -> Floats:
        """Log-odds of a click by people (m,) on items (m, k) at a time (us), each seen, and not shown before."""
        n = (at - self.world.starts(0)) // DAY
        products, apps = self.world.products.fashion, self.world.apps.fashion
        day = self.world.first_day + n
        fashion = np.concatenate([products.at(n, day), apps.at(n, day)])
        hour = (at - self.world.starts(n)) / HOUR
        mood = self._appearance[:, : len(KINDS)] @ np.cos(2 * np.pi * (hour - KINDS_HOUR) / 24) / len(KINDS)
        traits, mean, spread = self._tastes
        own = np.einsum("md,mkd->mk", traits[users], self._appearance[items]) + fashion[items]
        liking = (own - mean[users, None]) / spread[users, None]
        odds: Floats = self.numbers.base + self.numbers.taste * liking + self.numbers.mood * mood[items]
        return odds

    def chances(self, users: Ints, items: Ints, at: int, tired: Floats | None = None) -> Floats:
        """Chance of a click (m, k) by people (m,) on slates of items (m, k), best place first.

        `tired` (m, k): how often each was shown to them lately, NaN for never (so it is without `tired`).
        """
        numbers = self.numbers
        odds = self.appeal(users, items, at)
        charm = numbers.novelty * self._curiosity[users][:, None]
        odds += charm if tired is None else np.where(np.isnan(tired), charm, -numbers.fatigue * np.nan_to_num(tired))
        chances: Floats = self.looks(items.shape[1]) * sigmoid(odds)
        return chances

    def looks(self, places: int) -> Floats:
        """The chance that each place of a slate is seen (places,)."""
        chances: Floats = np.power(self.numbers.look, np.arange(places))
        return chances

    def click_probabilities(self, user: str, items: Sequence[str], at: int) -> Floats:
        """`chances` of one person by ids (k,), all items new to them. Raises NotFound."""
        chances: Floats = self.chances(np.array([self.user(user)]), self.items(items)[None, :], at)[0]
        return chances

    def respond(self, user: str, items: Sequence[str], at: int, random: np.random.Generator) -> NDArray[np.bool_]:
        """What the person clicks on (k,). For people who remember, see `audience.Audience`. Raises NotFound."""
        return random.random(len(items)) < self.click_probabilities(user, items, at)

    def stays(self, clicked: NDArray[np.bool_], tired: Floats) -> Floats:
        """The chance (m,) that people look at another slate: they do after a click, and less after what tires."""
        numbers = self.numbers
        bored = np.minimum(np.nan_to_num(tired).mean(axis=1), 2.0)
        stay = numbers.stay + numbers.stay_click * clicked.any(axis=1) - numbers.stay_tired * bored
        likely: Floats = np.clip(stay, 0.05, 0.95)
        return likely

    @cached_property
    def _people(self) -> People:
        return self.world.population.upto(self.world.config.user_count)

    @cached_property
    def _curiosity(self) -> Floats:
        return self._people.curiosity

    @cached_property
    def _appearance(self) -> Floats:
        """Traits of items, and how well they are liked by everybody (items, traits + 1)."""
        shelves = (self.world.products, self.world.apps)
        return np.concatenate([np.column_stack([shelf.traits, shelf.liked]) for shelf in shelves])

    @cached_property
    def _tastes(self) -> tuple[Floats, Floats, Floats]:
        """Of each person: traits (people, traits + 1), mean and spread of the likings of all items (people,)."""
        own = self._people.traits
        traits = np.column_stack([own, np.ones(len(own))])
        variance = np.cov(self._appearance, rowvar=False, ddof=0)
        return traits, traits @ self._appearance.mean(axis=0), np.sqrt(np.sum(traits @ variance * traits, axis=1))

    @cached_property
    def _user_numbers(self) -> dict[str, int]:
        return {id_: number for number, id_ in enumerate(self.user_ids)}

    @cached_property
    def _item_numbers(self) -> dict[str, int]:
        return {id_: number for number, id_ in enumerate(self.item_ids)}


def _number(numbers: dict[str, int], id_: str, what: str) -> int:
    found = numbers.get(id_)
    if found is None:
        raise NotFound(f"the simulated shop has no {what} {id_!r}", code=f"unknown_{what}", field=what)
    return found
