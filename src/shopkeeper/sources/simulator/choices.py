"""What people do on a visit: look at products and buy some, use apps and try others, call friends."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np

from shopkeeper.core.clock import HOUR, MINUTE, SECOND
from shopkeeper.sources.simulator.config import PER_VISIT, SimConfig
from shopkeeper.sources.simulator.draws import Floats, Ints, choose
from shopkeeper.sources.simulator.people import TIES, People
from shopkeeper.sources.simulator.shelf import OFFER_OFF, OFFER_PULL, Shelf
from shopkeeper.sources.simulator.visits import amounts

CHUNK: Final = 2048
"""Visits at a time: what bounds the memory."""
TYPES: Final = ("order", "app_use", "call", "click", "click")
"""Event types of PER_VISIT."""
KINDS: Final = ("product", "app", "user", "product", "app")
SURE: Final = (1.35, 1.6, 1.0)
"""How much an order, a use and a click follow taste; 0 would be chance."""
BUYS_LOOKED_AT: Final = 0.5
_LAST_START: Final = 23 * HOUR
_EACH: Final = 75 * SECOND
_LONGEST: Final = 55 * MINUTE


@dataclass(frozen=True)
class Done:
    """Columns of n events. `what` is a place in PER_VISIT, `target` a number of its kind, `at` us after midnight.

    `value`: CNY of orders, seconds of calls and uses, NaN of clicks; `quantity` and `unit_price` NaN but for orders.
    """

    what: Ints
    person: Ints
    target: Ints
    at: Ints
    quantity: Floats
    unit_price: Floats
    value: Floats
    offered: Ints

    @classmethod
    def join(cls, parts: list[Done]) -> Done:
        if not parts:
            none, no = np.empty(0, dtype=np.int64), np.empty(0)
            return cls(none, none, none, none, no, no, no, none)
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


@dataclass(frozen=True)
class Offers:
    """What the shop has on a day: things, and the category of products that is on offer."""

    products: Shelf
    apps: Shelf
    on_offer: int

    def liking(self, guests: People, n: int, day: int) -> tuple[Floats, Floats]:
        """How well each guest likes each product and each app on day `n`, day `day` since 1970: (guests, things)."""
        offered = OFFER_PULL * (self.products.category == self.on_offer)
        products = guests.traits @ self.products.traits.T + self.products.pull(n, day) + offered
        return products, guests.traits @ self.apps.traits.T + self.apps.pull(n, day)


def do(
    random: np.random.Generator, config: SimConfig, here: Offers, people: People, who: Ints, n: int, day: int
) -> Done:
    """The visits of the people `who` on a day: a few at a time, see CHUNK."""
    guests = people.take(who)
    counts = amounts(random, guests, config)
    liking = here.liking(guests, n, day)
    looked = choose(random, SURE[2] * liking[0], counts[:, 3])
    targets = [
        _orders(random, choose(random, SURE[0] * liking[0], counts[:, 0]), counts, looked),
        choose(random, SURE[1] * liking[1], counts[:, 1]),
        _called(random, guests, who, counts[:, 2], len(people)),
        looked,
        choose(random, SURE[2] * liking[1], counts[:, 4]),
    ]
    visits = [np.repeat(np.arange(len(who)), counts[:, what]) for what in range(len(PER_VISIT))]
    lengths = [np.full(len(target), np.nan) for target in targets]
    lengths[1] = _seconds(random, 5.0 + 0.5 * np.tanh(liking[1][visits[1], targets[1]]), 0.8)
    lengths[2] = _seconds(random, 3.6 + 1.4 * guests.sociability[visits[2]], 0.9)
    quantity, price, offered = _paid(random, here, targets[0])
    lengths[0] = np.round(quantity * price, 2)
    orders = len(targets[0])
    visit, what = np.concatenate(visits), np.repeat(np.arange(len(PER_VISIT)), [len(target) for target in targets])
    at = _times(random, guests, counts.sum(axis=1), visit, what)
    nothing = np.full(len(visit) - orders, np.nan)
    return Done(
        what=what,
        person=who[visit],
        target=np.concatenate(targets),
        at=at,
        quantity=np.concatenate([quantity, nothing]),
        unit_price=np.concatenate([price, nothing]),
        value=np.concatenate(lengths),
        offered=np.concatenate([offered, np.zeros(len(nothing), dtype=np.int64)]),
    )


def _orders(random: np.random.Generator, wanted: Ints, counts: Ints, looked: Ints) -> Ints:
    """Half of what is ordered is something looked at on that visit, where there is such."""
    views = counts[:, 3]
    first = np.cumsum(views) - views
    visit = np.repeat(np.arange(len(counts)), counts[:, 0])
    pick = first[visit] + (random.random(len(visit)) * views[visit]).astype(np.int64)
    takes = (random.random(len(visit)) < BUYS_LOOKED_AT) & (views[visit] > 0)
    orders = wanted.copy()
    orders[takes] = looked[pick[takes]]
    return orders


def _called(random: np.random.Generator, guests: People, who: Ints, counts: Ints, present: int) -> Ints:
    """Whom they call: those they are close to more often. Nobody calls themselves or somebody who has yet to join."""
    place = choose(random, np.broadcast_to(np.log(TIES), (len(who), len(TIES))), counts)
    caller = np.repeat(np.arange(len(who)), counts)
    other = guests.contacts[caller, place] % present
    return np.where(other == who[caller], (other + 1) % present, other)


def _seconds(random: np.random.Generator, mean_log: Floats, spread: float) -> Floats:
    return np.clip(np.rint(np.exp(random.normal(mean_log, spread))), 1.0, 4 * 3600.0)


def _paid(random: np.random.Generator, here: Offers, products: Ints) -> tuple[Floats, Floats, Ints]:
    """Pieces, price of one, and whether it was on offer, of each order."""
    offered = (here.products.category[products] == here.on_offer).astype(np.int64)
    price = np.round(here.products.price[products] * (1 - OFFER_OFF * offered), 2)
    pieces = np.where(random.random(len(products)) < 0.12, 2.0, 1.0)
    return pieces, price, offered


def _times(random: np.random.Generator, guests: People, per_visit: Ints, visit: Ints, what: Ints) -> Ints:
    """When within the day: visits begin around each person's hour, clicks come first, orders late in a visit."""
    hour = np.clip(random.normal(guests.hour, 2.0), 0.0, _LAST_START / HOUR)
    begin = (hour * HOUR).astype(np.int64)
    span = np.minimum(per_visit * _EACH, _LONGEST)
    early, late = np.array([0.5, 0.0, 0.0, 0.0, 0.0]), np.array([1.0, 1.0, 1.0, 0.5, 1.0])
    part = early[what] + (late - early)[what] * random.random(len(visit))
    times: Ints = begin[visit] + (part * span[visit]).astype(np.int64)
    return times
