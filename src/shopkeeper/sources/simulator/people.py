"""The subscribers: what they are like, what the shop has on record of them, whom they call, when they come and leave.

People are made block by block, each from its own stream of chance, in the order in which they join: who is number k
does not depend on how many there are. A leaver says why in advance: a fee that is high for the income, a place with bad
reception (shared with the neighbours that one calls), a young contract; and comes ever less often in the last weeks.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import User
from shopkeeper.sources.simulator import names
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.sources.simulator.draws import PEOPLE, Floats, Ints, choose, generator, sigmoid
from shopkeeper.sources.simulator.tastes import FREE, HOUR, INCOME, KINDS, PRICE_WEIGHT, WEEKEND, traits_of_people

BLOCK: Final = 1024
CIRCLE: Final = 32
"""People of a circle are alike, live in one place and call one another."""
ALIKE: Final = 0.7
"""How much of the free tastes people of a circle share (the correlation is its square)."""
CONTACTS: Final = (1, -1, 2, -2, 3, -3)
"""Neighbours in the circle, then FAR others from anywhere."""
FAR: Final = 2
TIES: Final = np.array([1.0, 1.0, 0.5, 0.5, 0.3, 0.3, 0.3, 0.15])
JOIN_DAYS: Final = 800
"""In so many days as many people join as there were at the opening."""
FADE_DAYS: Final = 28
LONG_GONE: Final = 0.05
LEAVING: Final = -6.7
MONTH: Final = 30


@dataclass(frozen=True)
class People:
    """Columns of n people, by number. Times are days of the world: 0 is the first of the history."""

    mix: Floats
    free: Floats
    income: Floats
    price_weight: Floats
    activity: Floats
    curiosity: Floats
    sociability: Floats
    hour: Floats
    weekend: Floats
    fee: Ints
    plan: Ints
    level: Ints
    brand: Ints
    region: Ints
    name: Ints
    joined: Ints
    leaves: Ints
    contacts: Ints

    def __len__(self) -> int:
        return len(self.fee)

    def first(self, n: int) -> People:
        return People(*(getattr(self, field.name)[:n] for field in fields(self)))

    def take(self, rows: NDArray[np.int64]) -> People:
        return People(*(getattr(self, field.name)[rows] for field in fields(self)))

    @property
    def traits(self) -> Floats:
        return traits_of_people(self.mix, self.free, self.price_weight)

    @classmethod
    def join(cls, parts: list[People]) -> People:
        return cls(*(np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(cls)))


def user_id(number: int) -> str:
    return f"u{number:06d}"


def number_of(id_: str) -> int | None:
    """Whose `user_id` that is; None for an id of nobody in a simulated shop."""
    digits = id_[1:]
    return int(digits) if digits.isascii() and digits.isdigit() and user_id(int(digits)) == id_ else None


class Population:
    """Everybody who has joined so far; grows as far as it is asked for."""

    def __init__(self, config: SimConfig, seed: int) -> None:
        self._size = config.user_count
        self._seed = seed
        self._at_first = self._size - (config.history_days - 1) * self._size // JOIN_DAYS
        self._blocks: list[People] = []
        self._people: People | None = None

    def count(self, n: int) -> int:
        """How many people have joined by the end of day `n` (0 or later)."""
        return self._at_first + n * self._size // JOIN_DAYS

    def on(self, n: int) -> People:
        """Who has joined by the end of day `n`, those included who have left since."""
        return self.upto(self.count(n))

    def upto(self, count: int) -> People:
        """The first `count` people."""
        if self._people is None or len(self._people) < count:
            while len(self._blocks) * BLOCK < count:
                self._blocks.append(self._block(len(self._blocks)))
            self._people = People.join(self._blocks)
        return self._people.first(count)

    def record(self, number: int, people: People, day: int) -> User:
        """What the shop knows of a person, as of the beginning of day `day`."""
        months = int(np.clip((day - int(people.joined[number])) // MONTH, 1, 180))
        return User(
            user_id=user_id(number),
            attributes={
                "name": names.full_name(int(people.name[number])),
                "plan_type": names.PLANS[people.plan[number]],
                "monthly_fee": int(people.fee[number]),
                "user_level": names.LEVELS[people.level[number]],
                "tenure_months": months,
                "device_brand": names.BRANDS[people.brand[number]],
                "region": names.REGIONS[people.region[number]],
            },
        )

    def _joined(self, numbers: Ints, random: np.random.Generator) -> Ints:
        """The day on which each joins. Of those who were there at first up to 15 years before."""
        old = -(MONTH * np.minimum(180, 1 + random.exponential(38.0, len(numbers)))).astype(np.int64)
        later = -(-(numbers - self._at_first + 1) * JOIN_DAYS // self._size)
        return np.where(numbers < self._at_first, old, later)

    def _block(self, place: int) -> People:
        random = generator(self._seed, PEOPLE, place)
        n, numbers = BLOCK, np.arange(place * BLOCK, (place + 1) * BLOCK)
        circle = np.repeat(np.arange(n // CIRCLE), CIRCLE)
        main = random.integers(0, len(KINDS), n // CIRCLE)
        mix = random.gamma(0.15 + 1.2 * (np.arange(len(KINDS)) == main[circle][:, None]))
        mix = (mix + 1e-9) / (mix + 1e-9).sum(axis=1, keepdims=True)
        free = ALIKE * random.normal(0.0, 1.0, (n // CIRCLE, FREE))[circle]
        free += np.sqrt(1 - ALIKE**2) * random.normal(0.0, 1.0, (n, FREE))
        income = mix @ INCOME + random.normal(0.0, 0.6, n)
        young = mix[:, KINDS.index("student")] + mix[:, KINDS.index("gamer")]
        joined = self._joined(numbers, random)
        plan = _plans(random, mix, income)
        low, high = np.array(names.FEES).T
        share = sigmoid(1.2 * (income - 0.1) + random.normal(0.0, 0.8, n))
        fee = np.rint(low[plan] + (high - low)[plan] * share).astype(np.int64)
        months = np.minimum(180, np.maximum(0, -joined) / MONTH)
        level = np.digitize(fee / 110 + months / 40 + random.normal(0.0, 0.4, n), (1.6, 3.0, 4.6))
        bad_reception = random.normal(0.0, 1.0, n // CIRCLE)[circle]
        burden = np.log(fee / 120) - 0.7 * income
        hazard = np.exp(
            LEAVING + 1.2 * burden + bad_reception - 0.6 * np.log1p(months / 12) - 0.5 * (plan == 2) + 0.3 * young
        )
        begins = np.maximum(joined, 0)
        leaves = begins + 1 + random.exponential(1.0 / np.minimum(hazard, 0.05)).astype(np.int64)
        gone = (random.random(n) < LONG_GONE) & (joined < 0)
        return People(
            mix=mix,
            free=free,
            income=income,
            price_weight=sigmoid(-1.3 * income + random.normal(0.0, 0.5, n)) * PRICE_WEIGHT,
            activity=np.exp(random.normal(0.0, 0.75, n) + 0.35 * young),
            curiosity=sigmoid(-0.4 + 0.8 * young + random.normal(0.0, 0.6, n)),
            sociability=sigmoid(-0.3 + random.normal(0.0, 0.7, n)),
            hour=HOUR[np.argmax(mix, axis=1)] + random.normal(0.0, 1.0, n),
            weekend=mix @ WEEKEND,
            fee=fee,
            plan=plan,
            level=level.astype(np.int64),
            brand=_brands(random, mix, income),
            region=random.integers(0, len(names.REGIONS), n // CIRCLE)[circle],
            name=random.integers(0, names.FULL_NAMES, n),
            joined=joined,
            leaves=np.where(gone, -1, leaves),
            contacts=self._contacts(random, numbers, circle),
        )

    def _contacts(self, random: np.random.Generator, numbers: Ints, circle: Ints) -> Ints:
        """(n, CONTACTS + FAR) numbers of people; who has not joined yet is replaced when a call is made."""
        begin = numbers[0] + circle * CIRCLE
        near = begin[:, None] + (numbers[:, None] - begin[:, None] + np.array(CONTACTS)) % CIRCLE
        known = np.maximum(numbers, self._size)
        far = (random.random((len(numbers), FAR)) * known[:, None]).astype(np.int64)
        return np.concatenate([near, far], axis=1)


def _plans(random: np.random.Generator, mix: Floats, income: Floats) -> Ints:
    likes = np.array(
        [
            [0.2, -0.2, -0.6, 0.6, -1.5, 1.0],
            [0.7, 1.0, -0.4, 0.5, -0.1, -0.8],
            [-0.5, -0.8, 2.2, -1.2, -0.5, 0.7],
            [-0.1, -1.0, -0.8, -1.8, 2.0, -1.2],
        ]
    )
    scores = 1.6 * mix @ likes.T + income[:, None] * np.array([-0.9, 0.2, 0.0, 0.7])
    return choose(random, scores, np.ones(len(mix), dtype=np.int64))


def _brands(random: np.random.Generator, mix: Floats, income: Floats) -> Ints:
    likes = np.array(
        [
            [0.2, -0.1, 0.6, -0.4, 0.9, 0.6],
            [0.3, 0.6, 0.2, 0.5, -0.6, 0.0],
            [0.5, 0.3, 0.1, -0.2, 0.8, -1.0],
            [0.0, 0.2, 0.3, 0.6, -0.7, 0.4],
            [-0.1, 0.6, 0.0, 0.7, -0.8, 0.2],
            [0.0, -0.2, 0.3, 0.2, -0.3, 0.8],
        ]
    )
    scores = 1.5 * mix @ likes.T + income[:, None] * np.array([0.4, -0.3, 0.8, -0.3, -0.4, -0.2])
    return choose(random, scores, np.ones(len(mix), dtype=np.int64))
