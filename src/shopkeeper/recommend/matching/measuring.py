"""How well queries and documents are matched: by labelled pairs, by the order of a query's own documents, by search."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Metrics
from shopkeeper.quality import classification
from shopkeeper.recommend.matching.text import Floats

K = 10
AT_ONCE = 4_000_000
Search: TypeAlias = Callable[[NDArray[np.int64]], Floats]
"""Rows of queries -> scores (queries, documents), the higher the better."""


def of_pairs(label: Floats, probability: Floats) -> Metrics:
    """Of labelled pairs (n,). Empty where all bear one label."""
    if not len(label) or label.min() == label.max():
        return {}
    return {
        "auc": classification.auc(label, probability),
        "log_loss": classification.logloss(label, probability),
        "accuracy": classification.accuracy(label, probability),
    }


def of_lists(label: Floats, score: Floats, query: NDArray[Any]) -> Metrics:
    """MAP and MRR over the queries with a right and a wrong document, the highest score first; ties stand as the worse
    order would have them. Empty where there is none."""
    order = np.lexsort((label, -score, query))
    label, query = label[order], query[order]
    cuts = np.flatnonzero(np.diff(query)) + 1
    precisions, firsts = [], []
    for one in np.split(label > 0.5, cuts) if len(label) else ():
        places = np.flatnonzero(one) + 1
        if 0 < len(places) < len(one):
            precisions.append(float((np.arange(1, len(places) + 1) / places).mean()))
            firsts.append(1 / float(places[0]))
    if not precisions:
        return {}
    return {"map": float(np.mean(precisions)), "mrr": float(np.mean(firsts)), "lists": float(len(precisions))}


def rows_of(search: Search, queries: NDArray[np.int64], docs: int) -> Iterator[Floats]:
    """The scores (docs,) of one query after another; those of AT_ONCE pairs are held, however many documents there
    are."""
    many = max(1, AT_ONCE // max(docs, 1))
    for first in range(0, len(queries), many):
        yield from search(queries[first : first + many])


def of_search(scores: Iterable[Floats], right: list[NDArray[np.int64]]) -> Metrics:
    """For each query the scores (m,) of all documents; `right[i]` those that belong to query i. Share of right ones
    among the first ten, and 1 / the place of the first, 0 below ten."""
    recall, firsts = [], []
    for row, wanted in zip(scores, right, strict=True):
        # Equal scores: the worse order.
        places = [int((row > row[doc]).sum() + (row == row[doc]).sum()) for doc in wanted.tolist()]
        recall.append(sum(place <= K for place in places) / min(len(places), K))
        firsts.append(max((1 / place for place in places if place <= K), default=0.0))
    return {f"recall@{K}": float(np.mean(recall)), f"mrr@{K}": float(np.mean(firsts))} if recall else {}
