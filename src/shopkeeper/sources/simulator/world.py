"""A simulated phone company, day by day: `World.make(SimConfig(), seed=1, first_day=20_000).day(17)`.

A day hangs on seed and number alone: history and live stream are the same function, and a stream goes on anywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from shopkeeper.core.days import day_start
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Item, User
from shopkeeper.sources.simulator.choices import CHUNK, Done, Offers, do
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.draws import DAYS, generator
from shopkeeper.sources.simulator.frame import as_frame
from shopkeeper.sources.simulator.people import Population
from shopkeeper.sources.simulator.shelf import Shelf, offer
from shopkeeper.sources.simulator.visits import calibrate, visitors

if TYPE_CHECKING:
    import polars as pl

ZONE: Final = "Asia/Shanghai"
CURRENCY: Final = "CNY"


@dataclass(frozen=True)
class World:
    """`first_day` is the local day (since 1970) that is day 0. Days 0 to history_days - 1 are the history, then the
    stream goes on without end. Make it by `make`."""

    config: SimConfig
    seed: int
    first_day: int
    products: Shelf
    apps: Shelf
    population: Population
    chance: float

    @classmethod
    def make(cls, config: SimConfig, seed: int, *, first_day: int) -> World:
        """Raises Invalid for a negative seed."""
        if seed < 0:
            raise Invalid(f"seed is {seed}, expected 0 or more", field="seed")
        population = Population(config, seed)
        return cls(
            config=config,
            seed=seed,
            first_day=first_day,
            products=Shelf.products(config.product_count, seed),
            apps=Shelf.apps(config.app_count, seed),
            population=population,
            chance=calibrate(config, population, first_day),
        )

    def users(self) -> list[User]:
        """The `user_count` people on record when the history ends."""
        people = self.population.upto(self.config.user_count)
        return [self.population.record(k, people, self.config.history_days) for k in range(len(people))]

    def items(self) -> list[Item]:
        """Products, then apps."""
        return self.products.records() + self.apps.records()

    def newcomers(self, n: int) -> list[User]:
        """Who joins on day `n` (1 or later): records to put before the events of that day."""
        people = self.population.on(n)
        return [self.population.record(k, people, n) for k in range(self.population.count(n - 1), len(people))]

    def starts(self, n: int) -> int:
        """When day `n` begins, microseconds UTC."""
        return day_start(self.first_day + n, ZoneInfo(ZONE))

    def day(self, n: int) -> pl.DataFrame:
        """The events of day `n`, 0 or later, in order of time.

        event_id, event_type (order, app_use, call, click), user_id, target_kind (product, app, user), target_id, time
        (us UTC), quantity, unit_price (orders), value (CNY of orders, seconds of calls and app use), promotion.
        """
        if n < 0:
            raise Invalid(f"day {n} lies before the world, expected 0 or later", field="day")
        random = generator(self.seed, DAYS, n)
        people, day = self.population.on(n), self.first_day + n
        coming = visitors(random, people, self.chance, n, day)
        here = Offers(self.products, self.apps, offer(self.seed, n, len(self.products.categories)))
        chunks = [coming[start : start + CHUNK] for start in range(0, len(coming), CHUNK)]
        done = Done.join([do(random, self.config, here, people, who, n, day) for who in chunks])
        return as_frame(done, n, self.starts(n))
