"""What there is to buy and to use: products with prices, apps; how well each is liked by whom, and when."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from shopkeeper.core.records import Item
from shopkeeper.sources.simulator import names
from shopkeeper.sources.simulator.draws import APPS, OFFERS, PRODUCTS, Floats, Ints, generator
from shopkeeper.sources.simulator.seasons import Fashion
from shopkeeper.sources.simulator.tastes import APP_LIKES, FREE, LIKES, PRICE_WEIGHT, traits_of_items

OFFER_OFF: Final = 0.15
OFFER_PULL: Final = 0.7
OFFER_DAYS: Final = 7
POPULARITY: Final = 0.45


@dataclass(frozen=True)
class Shelf:
    """Columns of n things of one kind, by number. `price` is 0 for what is not sold."""

    kind: str
    categories: tuple[str, ...]
    category: Ints
    price: Floats
    traits: Floats
    liked: Floats
    fashion: Fashion

    def __len__(self) -> int:
        return len(self.category)

    @classmethod
    def products(cls, n: int, seed: int) -> Shelf:
        random = generator(seed, PRODUCTS)
        shelf = cls._drawn("product", n, LIKES, random)
        dear = random.normal(0.0, 1.0, n)
        base = np.array([names.PRICES[name] for name in shelf.categories])[shelf.category]
        price = np.rint(base * np.exp(0.5 * dear)) - 0.1
        shelf.traits[:, -1] = dear
        # What is dear is liked as well as other things by who minds the price half as much as others can.
        liked = shelf.liked + 0.5 * PRICE_WEIGHT * dear
        return cls(shelf.kind, shelf.categories, shelf.category, price, shelf.traits, liked, shelf.fashion)

    @classmethod
    def apps(cls, n: int, seed: int) -> Shelf:
        return cls._drawn("app", n, APP_LIKES, generator(seed, APPS))

    @classmethod
    def _drawn(cls, kind: str, n: int, likes: Mapping[str, tuple[float, ...]], random: np.random.Generator) -> Shelf:
        categories = tuple(likes)
        category = np.concatenate([np.arange(min(n, len(categories))), random.integers(0, len(categories), n)])[:n]
        table = np.array([likes[name] for name in categories])
        mine = table[category] + random.normal(0.0, 0.25, (n, table.shape[1]))
        traits = traits_of_items(mine, random.normal(0.0, 1.0, (n, FREE)), np.zeros(n))
        liked = random.normal(0.0, POPULARITY, n)
        return cls(kind, categories, category, np.zeros(n), traits, liked, Fashion.drawn(random, n))

    def pull(self, n: int, day: int) -> Floats:
        """How well each thing is liked by everybody (n,) on day `n`, day `day` since 1970."""
        return self.liked + self.fashion.at(n, day)

    def item_id(self, number: int) -> str:
        return f"{self.prefix}{number:04d}"

    @property
    def prefix(self) -> str:
        """What ids begin with."""
        return self.kind[0]

    def records(self) -> list[Item]:
        return [self._record(number) for number in range(len(self))]

    def _record(self, number: int) -> Item:
        category = self.categories[self.category[number]]
        if self.kind == "app":
            return Item(
                item_id=self.item_id(number), name=f"{names.APP_NAMES[category]} {number + 1}", kind="app",
                category=category,
            )  # fmt: skip
        models = names.MODELS[category]
        return Item(
            item_id=self.item_id(number),
            name=f"{models[number % len(models)]} {number + 1}",
            category=category,
            price=round(float(self.price[number]), 2),
            attributes={"model": models[number % len(models)]},
        )


def offer(seed: int, n: int, categories: int) -> int:
    """The category of products that is on offer in the week of day `n`."""
    return int(generator(seed, OFFERS, n // OFFER_DAYS).integers(0, categories))
