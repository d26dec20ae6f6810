"""Items alike by what is said of them: an index of terms over the catalogue, right at once when an item is put.

Needs no purchase, so it brings what nobody has bought yet. Terms weigh by how rare they are (idf); an item's vector of
terms has length 1, likeness is the inner product. An index of 4,000 items of eight terms takes about 1 MiB.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.recall.model import best
from shopkeeper.recommend.recall.votes import Votes
from shopkeeper.recommend.wording import terms, words

NEAR = 100
_KEPT_LISTS = 20_000
_FRESH = 64
"""So many changed items, and a twentieth of all, are kept beside the index before it is made anew."""


class Described(Protocol):
    """The catalogue as columns over item rows: `stores.catalog.Catalog`."""

    @property
    def names(self) -> Sequence[str]: ...

    @property
    def category(self) -> Sequence[str | None]: ...

    @property
    def price(self) -> NDArray[np.float32]: ...

    @property
    def attributes(self) -> Sequence[Mapping[str, Any]]: ...

    def __len__(self) -> int: ...


class _Postings:
    """For each term (numbered) the items that have it and how much it counts there; and the terms of each item."""

    def __init__(self, rows: Sequence[int], given: Sequence[tuple[NDArray[np.int32], NDArray[np.float32]]], n: int):
        self.rows = np.array(rows, dtype=np.int32)
        sizes = np.array([len(each) for each, _ in given], dtype=np.int64)
        self.begin = np.concatenate([[0], np.cumsum(sizes)])
        self.term = np.concatenate([each for each, _ in given]) if given else _NO_TERMS
        weight = np.concatenate([each for _, each in given]) if given else _NO_WEIGHTS
        item = np.repeat(np.arange(len(rows)), sizes)
        self.found_in = np.bincount(self.term, minlength=n)
        self.n_terms = n
        self._item, self._raw = item, weight
        self.of_row = dict(zip(rows, range(len(rows)), strict=True))
        self.weigh(np.ones(n, dtype=np.float32))

    def weigh(self, idf: NDArray[np.float32]) -> None:
        """Sets what a term counts in an item, and groups by term."""
        weight = self._raw * idf[self.term]
        length = np.sqrt(np.bincount(self._item, weights=weight**2, minlength=len(self.rows)))
        self.weight = (weight / np.maximum(length, 1e-9)[self._item]).astype(np.float32)
        order = np.argsort(self.term, kind="stable")
        self.start = np.concatenate([[0], np.cumsum(self.found_in)])
        self.items, self.shares = self.rows[self._item[order]], self.weight[order]

    def vector(self, at: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(terms, weights) of the item at a place of `rows`."""
        here = slice(self.begin[at], self.begin[at + 1])
        return self.term[here], self.weight[here]

    def votes(self, term: NDArray[Any], weight: NDArray[np.float32]) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """(items, share of each) that have the asked terms."""
        known = term < self.n_terms
        term, weight = term[known], weight[known]
        begin = self.start[term]
        count = self.start[term + 1] - begin
        where = np.arange(int(count.sum())) + np.repeat(begin - np.cumsum(count) + count, count)
        return self.items[where], self.shares[where] * np.repeat(weight, count)


class ContentIndex:
    """Used on one thread, but for `touch`. Made at the first question; an item that changed is read at the next."""

    def __init__(self, shelf: Described) -> None:
        self._shelf = shelf
        self._touched: deque[int] = deque()
        self._number: dict[str, int] = {}
        self._given: list[tuple[NDArray[np.int32], NDArray[np.float32]]] = []
        self._fresh: set[int] = set()
        self._base = self._beside = _Postings([], [], 0)
        self._stale = np.zeros(0, dtype=np.bool_)
        self._idf = np.zeros(0, dtype=np.float32)
        self._kept: dict[int, tuple[NDArray[np.int32], NDArray[np.float32]]] = {}

    @property
    def shelf(self) -> Described:
        return self._shelf

    def touch(self, rows: Iterable[int]) -> None:
        """Records of these items were put; from any thread."""
        self._touched.extend(rows)

    def warm(self) -> None:
        """Makes the index now, so that the first question does not wait for it."""
        self._refresh()

    def votes(self, items: Sequence[int], weights: NDArray[np.float32]) -> Votes:
        """What each of the items (rows, float32 (m,) weights) says of the hundred most like it, itself left out."""
        self._refresh()
        near = [self._near(item) for item in items]
        if not self._fresh:
            return Votes.of(near, weights)
        return Votes.of([self._with_fresh(item, *each) for item, each in zip(items, near, strict=True)], weights)

    def matching(self, text: str, n_items: int, categories: Sequence[str] = ()) -> NDArray[np.float32]:
        """float32 (n_items,): how much of a search text is said of an item, rare words counting more: 0 to about 1.

        The last word may be the beginning of one. `categories` are names of categories that are wanted too.
        """
        self._refresh()
        asked = list(dict.fromkeys(words(text)))
        numbers = [self._number[word] for word in asked if word in self._number]
        if asked and asked[-1] not in self._number:
            numbers += [at for word, at in self._number.items() if word.startswith(asked[-1])][:_PREFIXES]
        numbers += [at for name in categories if (at := self._number.get(f"category={name.casefold()[:100]}", -1)) >= 0]
        if not numbers:
            return np.zeros(n_items, dtype=np.float32)
        term = np.array(list(dict.fromkeys(numbers)), dtype=np.int64)
        idf = self._idf[term]
        weight = idf / np.float32(np.linalg.norm(idf))
        size = max(n_items, len(self._given))  # the catalogue may have grown since the question was asked
        items, shares = self._base.votes(term, weight)
        found = np.bincount(items, weights=shares, minlength=size)
        if self._fresh:
            found[np.flatnonzero(self._stale)] = 0
            items, shares = self._beside.votes(term, weight)
            found = found + np.bincount(items, weights=shares, minlength=size)  # of nothing it counts in integers
        result: NDArray[np.float32] = found[:n_items].astype(np.float32)
        return result

    def _near(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        if item in self._fresh:
            return self._nearest(item, self._base, NEAR)
        found = self._kept.get(item)
        if found is None:
            found = self._kept[item] = self._nearest(item, self._base, NEAR)
            if len(self._kept) > _KEPT_LISTS:
                del self._kept[next(iter(self._kept))]
        return found

    def _with_fresh(
        self, item: int, others: NDArray[np.int32], shares: NDArray[np.float32]
    ) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        keep = ~self._stale[others]
        more, theirs = self._nearest(item, self._beside, NEAR)
        return np.concatenate([others[keep], more]), np.concatenate([shares[keep], theirs])

    def _nearest(self, item: int, postings: _Postings, n: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        items, shares = postings.votes(*self._vector(item))
        found = np.bincount(items, weights=shares, minlength=item + 1).astype(np.float32)
        found[item] = 0
        others = best(found, n)
        return others, found[others]

    def _vector(self, item: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        postings = self._beside if item in self._fresh else self._base
        at = postings.of_row.get(item)
        return (_NO_TERMS, _NO_WEIGHTS) if at is None else postings.vector(at)

    def _refresh(self) -> None:
        n = len(self._shelf)
        if not self._touched and n == len(self._given):
            return
        touched = [self._touched.popleft() for _ in range(len(self._touched))]
        self._fresh.update(range(len(self._given), n), (row for row in touched if row < n))
        if not self._given or len(self._fresh) > _FRESH + n // 20:
            self._rebuild(n)
            return
        for row in sorted(self._fresh.intersection([*range(len(self._given), n), *touched])):
            self._read(row)
        self._stale = np.zeros(len(self._given), dtype=np.bool_)
        rows = sorted(self._fresh)
        self._stale[rows] = True
        self._beside = _Postings(rows, [self._given[row] for row in rows], len(self._number))
        new = len(self._number) - len(self._idf)
        self._idf = np.concatenate([self._idf, np.full(new, _idf(1, n), dtype=np.float32)])
        self._beside.weigh(self._idf)

    def _rebuild(self, n: int) -> None:
        """Of the first n items: the writer may add some meanwhile."""
        if len(self._number) > 2 * np.count_nonzero(self._base.found_in) + _SPARE:
            self._number, self._given = {}, []  # most words are no longer said of anything: forget them
        for row in range(n) if not self._given else sorted(self._fresh):
            self._read(row)
        self._fresh = set()
        self._kept = {}
        self._stale = np.zeros(n, dtype=np.bool_)
        self._base = _Postings(range(n), self._given[:n], len(self._number))
        self._idf = _idf(self._base.found_in, n)
        self._base.weigh(self._idf)

    def _read(self, row: int) -> None:
        shelf = self._shelf
        said = terms(shelf.names[row], shelf.category[row], float(shelf.price[row]), shelf.attributes[row] or {})
        number = self._number
        found = (
            np.array([number.setdefault(term, len(number)) for term in said], dtype=np.int32),
            np.array(list(said.values()), dtype=np.float32),
        )
        if row < len(self._given):
            self._given[row] = found
        else:
            self._given.append(found)


def _idf(found_in: Any, n: int) -> NDArray[np.float32]:
    return np.log1p(n / (1.0 + np.asarray(found_in, dtype=np.float64))).astype(np.float32)


_PREFIXES = 50
_SPARE = 10_000
"""So many words that nothing says any more are kept at least."""
_NO_TERMS = np.empty(0, dtype=np.int32)
_NO_WEIGHTS = np.empty(0, dtype=np.float32)
