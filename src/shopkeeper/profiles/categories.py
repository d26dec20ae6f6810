"""Which categories users order from: counts of order lines, ever."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.kinds import Role
from shopkeeper.features.purchases import Purchases
from shopkeeper.features.trails import Trail
from shopkeeper.profiles.surroundings import Shelf, categories_of
from shopkeeper.rules.vectors import MapColumn, Numbers, TextColumn


@dataclass(frozen=True)
class CategoryLines:
    """One entry for each user and category ordered from, by user, then category; all (p,).

    `user` is a place among n users, `category` one in `names` (sorted), `lines` order lines, `spend` the value of the
    kept ones in micros.
    """

    n: int
    names: tuple[str, ...]
    user: NDArray[np.int64]
    category: NDArray[np.int64]
    lines: NDArray[np.int64]
    spend: NDArray[np.int64]

    def preferred(self) -> TextColumn:
        """The category with most lines (n,), of equals that with more spend, then the first by name."""
        best = np.lexsort((self.category, -self.spend, -self.lines, self.user))
        first = np.ones(len(best), dtype=np.bool_)
        first[1:] = self.user[best][1:] != self.user[best][:-1]
        codes = np.full(self.n, -1, dtype=np.int32)
        codes[self.user[best][first]] = self.category[best][first]
        return TextColumn(codes, self.names)

    def shares(self) -> MapColumn:
        """Category -> share of the order lines that have a category."""
        total = np.bincount(self.user, weights=self.lines, minlength=self.n)
        share = self.lines / total[self.user]
        keys: dict[str, Numbers] = {}
        for code, name in enumerate(self.names):
            mine = self.category == code
            keys[name] = np.full(self.n, np.nan)
            keys[name][self.user[mine]] = share[mine]
        return MapColumn(keys, self.n)


def category_lines(trail: Trail, purchases: Purchases, catalog: Shelf) -> CategoryLines:
    """Items without a category are left out."""
    baskets = [purchases.of(row) for row in trail.rows.tolist()]
    user = np.repeat(np.arange(len(baskets)), [len(basket.items) for basket in baskets])
    item = np.concatenate([_NO_ITEMS, *(basket.items for basket in baskets)])
    lines = np.concatenate([_NO_ITEMS, *(basket.times for basket in baskets)]).astype(np.int64)
    ordered = np.flatnonzero((trail.role == Role.ORDER) & (trail.item >= 0))

    items, code = np.unique(np.concatenate([item, trail.item[ordered]]), return_inverse=True)
    words = categories_of(catalog, items)
    names = tuple(sorted({word for word in words if word is not None}))
    places = {name: place for place, name in enumerate(names)}
    category = np.array([-1 if word is None else places[word] for word in words], dtype=np.int64)[code]
    key = np.concatenate([user, trail.user[ordered]]).astype(np.int64) * max(len(names), 1) + category
    bought = np.concatenate([lines, np.zeros(len(ordered), dtype=np.int64)])
    spent = np.concatenate([np.zeros(len(item), dtype=np.int64), trail.value[ordered]])

    known = category >= 0
    pairs, where = np.unique(key[known], return_inverse=True)
    # bincount sums in floats, exact up to 2^53: 9 thousand million in micros.
    total, spend = (
        np.bincount(where, weights=w[known], minlength=len(pairs)).astype(np.int64) for w in (bought, spent)
    )
    kept = total > 0
    pairs, width = pairs[kept], max(len(names), 1)
    return CategoryLines(len(baskets), names, pairs // width, pairs % width, total[kept], spend[kept])


_NO_ITEMS = np.empty(0, dtype=np.int32)
