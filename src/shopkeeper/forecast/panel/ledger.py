"""Daily sums by (item, store, day), kept as sorted columns: small, fast to add to, and one item's days lie together.

A new day goes to a small overlay first and is merged into the columns when the overlay is full. A day's sums are always
added to in log order in one place, so n batches of one give bit for bit what one batch of n gives.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch

_OVERLAY = 2_048
_DAY_BITS, _STORE_BITS = 16, 15
LAST_STORE = (1 << _STORE_BITS) - 2
LAST_DAY = (1 << _DAY_BITS) - 1
"""Days before 1970 and after this one (in 2149) are not kept."""
FIELDS = ("quantity", "priced", "revenue", "promoted", "returned")
"""Columns of sums: pieces sold; those with a known price; what these brought in; those sold in a promotion; pieces
returned."""
SOLD, PRICED, REVENUE, PROMOTED, RETURNED = range(len(FIELDS))
_BLOCK = 256  # items

Keys = NDArray[np.int64]
Sums = NDArray[np.float64]


class Ledger:
    """`keys` are sorted int64, see `pack`; sums are (k, 5) in the order of FIELDS."""

    def __init__(self) -> None:
        self._keys: Keys = np.empty(0, dtype=np.int64)
        self._sums: Sums = np.empty((0, len(FIELDS)))
        self._fresh: dict[int, Sums] = {}

    def __len__(self) -> int:
        return len(self._keys) + len(self._fresh)

    def add(self, keys: Keys, amounts: Sums) -> None:
        """Adds amounts (m, 5) to the days of `keys` (m,), in that order."""
        if len(keys) <= 16:
            for key, amount in zip(keys.tolist(), amounts, strict=True):
                self._add_one(key, amount)
            return
        self._insert(distinct(np.sort(keys)))
        np.add.at(self._sums, np.searchsorted(self._keys, keys), amounts)

    def of_item(self, item: int) -> tuple[Keys, Sums]:
        """The days of one item, sorted by store and day."""
        self._merge()
        low, high = np.searchsorted(self._keys, [at << (_DAY_BITS + _STORE_BITS) for at in (item, item + 1)])
        return self._keys[low:high], self._sums[low:high]

    def all(self) -> tuple[Keys, Sums]:
        self._merge()
        return self._keys, self._sums

    def _add_one(self, key: int, amount: Sums) -> None:
        place = int(np.searchsorted(self._keys, key))
        if place < len(self._keys) and self._keys[place] == key:
            self._sums[place] += amount
        elif key in self._fresh:
            self._fresh[key] += amount
        else:
            self._fresh[key] = np.zeros(len(FIELDS)) + amount
            if len(self._fresh) > _OVERLAY:
                self._merge()

    def _insert(self, keys: Keys) -> None:
        """Makes room, with sums of 0, for those of the sorted unique keys that are not there yet."""
        self._merge()
        keys = keys[~np.isin(keys, self._keys, assume_unique=True)]
        place = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, place, keys)
        self._sums = np.insert(self._sums, place, 0.0, axis=0)

    def _merge(self) -> None:
        if not self._fresh:
            return
        fresh, self._fresh = self._fresh, {}
        keys = np.array(sorted(fresh), dtype=np.int64)
        place = np.searchsorted(self._keys, keys)
        self._keys = np.insert(self._keys, place, keys)
        self._sums = np.insert(self._sums, place, np.stack([fresh[key] for key in keys.tolist()]), axis=0)


def pack(item: NDArray[np.integer], store: NDArray[np.integer], day: NDArray[np.integer]) -> Keys:
    """One number that sorts by item, store (-1: none), day. Sales of a store beyond LAST_STORE count as of none."""
    known = np.where(store <= LAST_STORE, store, -1).astype(np.int64)
    return (item.astype(np.int64) << (_DAY_BITS + _STORE_BITS)) | ((known + 1) << _DAY_BITS) | day.astype(np.int64)


def unpack(keys: Keys) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """item, store, day."""
    store = ((keys >> _DAY_BITS) & ((1 << _STORE_BITS) - 1)) - 1
    return keys >> (_DAY_BITS + _STORE_BITS), store, keys & LAST_DAY


def amounts(batch: EventBatch) -> Sums:
    """(n, 5) what each order or return adds. A quantity that was not given is one piece; a price may be unknown."""
    quantity = np.where(np.isnan(batch.quantity), 1.0, batch.quantity)
    value = np.where(np.isnan(batch.value), quantity * batch.unit_price, batch.value)
    sold = np.maximum(quantity, 0.0)
    known = np.isfinite(value) & (value > 0) & (sold > 0)
    promoted = np.where(batch.promotion, sold, 0.0)
    returned = np.maximum(-quantity, 0.0)
    return np.stack([sold, np.where(known, sold, 0.0), np.where(known, value, 0.0), promoted, returned], axis=1)


def distinct(ordered: NDArray[np.int64]) -> NDArray[np.int64]:
    """Each number of a sorted column once; several times as fast as a search for what is alike."""
    if not len(ordered):
        return ordered
    return np.asarray(ordered[np.concatenate([[True], ordered[1:] != ordered[:-1]])])


def blocks(keys: Keys, sums: Sums) -> Iterator[tuple[Keys, Sums]]:
    """Sorted days in pieces of some hundred items, always cut at the same items."""
    begin = 0
    while begin < len(keys):
        block = int(keys[begin] >> (_DAY_BITS + _STORE_BITS)) // _BLOCK + 1
        end = int(np.searchsorted(keys, (block * _BLOCK) << (_DAY_BITS + _STORE_BITS)))
        yield keys[begin:end], sums[begin:end]
        begin = end
