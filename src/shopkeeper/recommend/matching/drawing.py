"""Which pairs a step learns from: right ones, beside each some wrong ones, the query's own where it has any."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.matching.text import Floats

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Batch:
    """`queries` (a,) and `docs` (b,) are the rows that take part, each once. Pairs (p,), the right ones (r,) first, by
    their places in these: `pair_query`, `pair_doc`, with `label` and `weight`.

    `masked` bool (r, b): what is right for the query too, and so no alternative; `often` float32 (b,): log of how often
    a document is right. `lists` int64 (l, 1 + negatives): places of pairs of one query, the right one first, -1 fills.
    """

    queries: Rows
    docs: Rows
    pair_query: Rows
    pair_doc: Rows
    label: Floats
    weight: Floats
    masked: NDArray[np.bool_]
    often: Floats
    lists: Rows


class Drawing:
    """`query`, `doc`, `label` (n,) are the pairs to learn from."""

    def __init__(self, query: Rows, doc: Rows, label: Floats, *, size: int, negatives: int, seed: int) -> None:
        right = label > 0.5
        self._right_query, self._right_doc = query[right], doc[right]
        self._wrong_query, self._wrong_doc = query[~right], doc[~right]
        self._size, self._negatives = size, negatives
        self._random = np.random.default_rng(seed)
        self._right_docs = _grouped(self._right_query, self._right_doc)
        self._wrong_docs = _grouped(self._wrong_query, self._wrong_doc)
        found, counts = np.unique(self._right_doc, return_counts=True)
        self._frequency = dict(zip(found.tolist(), np.log(counts).tolist(), strict=True))
        many, few = len(self._wrong_query), len(self._right_query)
        self._wrong_weight = min(max(many / (few * negatives), 0.2), 5.0) if many and few and negatives else 1.0

    @property
    def steps(self) -> int:
        return -(-len(self._right_query) // self._size)

    def batches(self) -> Iterator[Batch]:
        """One pass over the right pairs, in a drawn order."""
        order = self._random.permutation(len(self._right_query))
        for first in range(0, len(order), self._size):
            yield self._batch(order[first : first + self._size])

    def _batch(self, right: Rows) -> Batch:
        wrong_query, wrong_doc, lists = self._wrong(right)
        queries, pair_query = _once(np.concatenate([self._right_query[right], wrong_query]))
        docs, pair_doc = _once(np.concatenate([self._right_doc[right], wrong_doc]))
        masked = np.zeros((len(right), len(docs)), dtype=np.bool_)
        for row, query in enumerate(self._right_query[right].tolist()):
            masked[row] = np.isin(docs, self._right_docs[query])
        masked[np.arange(len(right)), pair_doc[: len(right)]] = False
        label = np.concatenate([np.ones(len(right)), np.zeros(len(wrong_query))]).astype(np.float32)
        return Batch(
            queries=queries,
            docs=docs,
            pair_query=pair_query,
            pair_doc=pair_doc,
            label=label,
            weight=np.where(label > 0, 1.0, self._wrong_weight).astype(np.float32),
            masked=masked,
            often=np.array([self._frequency.get(doc, 0.0) for doc in docs.tolist()], dtype=np.float32),
            lists=lists,
        )

    def _wrong(self, right: Rows) -> tuple[Rows, Rows, Rows]:
        """(queries, documents) of wrong pairs, and lists as in `Batch`.

        A query's own come first; one without any is told some of other queries; where nothing is labelled wrong, what
        is right for others is taken.
        """
        queries, docs, lists = list[int](), list[int](), list[list[int]]()
        for at, query in enumerate(self._right_query[right].tolist()):
            own = self._wrong_docs.get(query)
            if own is not None:
                drawn = self._random.permutation(own)[: self._negatives].tolist()
                begin = len(right) + len(queries)
                places = [at, *range(begin, begin + len(drawn))]
                lists.append(places + [-1] * (1 + self._negatives - len(places)))
                docs += drawn
                queries += [query] * len(drawn)
            elif len(self._wrong_query):
                some = self._random.integers(len(self._wrong_query), size=self._negatives)
                queries += self._wrong_query[some].tolist()
                docs += self._wrong_doc[some].tolist()
            else:
                others = self._right_doc[self._random.integers(len(self._right_doc), size=self._negatives)]
                others = others[~np.isin(others, self._right_docs[query])]
                queries += [query] * len(others)
                docs += others.tolist()
        width = 1 + self._negatives
        return (
            np.array(queries, dtype=np.int64),
            np.array(docs, dtype=np.int64),
            np.array(lists, dtype=np.int64).reshape(-1, width),
        )


def _grouped(query: Rows, doc: Rows) -> dict[int, Rows]:
    """The documents of each query."""
    order = np.argsort(query, kind="stable")
    found, first = np.unique(query[order], return_index=True)
    return dict(zip(found.tolist(), np.split(doc[order], first[1:]), strict=True)) if len(found) else {}


def _once(rows: Rows) -> tuple[Rows, Rows]:
    """(each once, the place of every one among them)."""
    found, place = np.unique(rows, return_inverse=True)
    return found, place.reshape(-1)
