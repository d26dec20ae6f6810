"""How two texts agree word for word: rare words that both hold, which no learned vector knows as exactly.

Every measure is an inner product of what stands for a query with what stands for a document, so that it is had for the
pairs of a table and for one query with all documents alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_matrix

from shopkeeper.recommend.matching.text import TERMS, Floats, Said

MEASURES = ("cosine", "coverage", "bm25", "pieces", "length")
K1, B = 1.2, 0.75


@dataclass(frozen=True)
class Lexicon:
    """How rare each term is, `idf` float32 (TERMS,), and how long a document is (terms on average). Learned from the
    training's texts."""

    idf: Floats
    usual_length: float

    @classmethod
    def of(cls, docs: Said) -> Lexicon:
        counts = _counts(docs)
        found_in = np.bincount(counts.indices, minlength=TERMS)
        n = len(docs)
        idf = np.log1p((n - found_in + 0.5) / (found_in + 0.5)).astype(np.float32)
        return cls(idf, max(float(len(docs.term)) / max(n, 1), 1.0))

    def queries(self, said: Said, bags: csr_matrix) -> list[csr_matrix]:
        """One sparse matrix (n, ...) a measure; `bags` (n, buckets) the weighed features of the same texts."""
        held = present(said)
        weighed = held.multiply(self.idf).tocsr()
        return [
            _unit(weighed),
            _shares(weighed),
            held,
            bags,
            csr_matrix(np.ones((len(said), 1), dtype=np.float32)),
        ]

    def documents(self, said: Said, bags: csr_matrix) -> list[csr_matrix]:
        held = present(said)
        length = np.diff(said.term_start).astype(np.float32)
        return [
            _unit(held.multiply(self.idf).tocsr()),
            held,
            bm25_documents(self, said) / 10,
            bags,
            csr_matrix(np.log1p(length)[:, None] / 4),
        ]


def of_pairs(
    queries: Sequence[csr_matrix], docs: Sequence[csr_matrix], query: NDArray[Any], doc: NDArray[Any]
) -> Floats:
    """(pairs, measures) of query row and document row; `query`, `doc` (pairs,)."""
    columns = [
        np.asarray(one[query].multiply(other[doc]).sum(axis=1)).ravel()
        for one, other in zip(queries, docs, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float32) if len(query) else np.zeros((0, len(MEASURES)), np.float32)


def bm25_documents(lexicon: Lexicon, said: Said) -> csr_matrix:
    """(n, TERMS): what BM25 gives a document for each of its terms, k1 = 1.2, b = 0.75."""
    held = _counts(said)
    length = np.diff(said.term_start).astype(np.float32)
    full = np.repeat(K1 * (1 - B + B * length / lexicon.usual_length), np.diff(held.indptr))
    held.data = held.data * (K1 + 1) / (held.data + full)
    return held.multiply(lexicon.idf).tocsr()


def present(said: Said) -> csr_matrix:
    """(n, TERMS): 1 for each term that a text holds."""
    found = _counts(said)
    found.data = np.ones_like(found.data)
    return found


def _counts(said: Said) -> csr_matrix:
    ones = np.ones(len(said.term), dtype=np.float32)
    found = csr_matrix((ones, said.term, said.term_start), shape=(len(said), TERMS), copy=True)  # summed in place
    found.sum_duplicates()
    return found


def _unit(matrix: csr_matrix) -> csr_matrix:
    """Rows of length 1."""
    return _over(matrix, lambda data: data**2, np.sqrt)


def _shares(matrix: csr_matrix) -> csr_matrix:
    """Rows that sum up to 1."""
    return _over(matrix, lambda data: data, lambda total: total)


def _over(matrix: csr_matrix, of: Callable[[Any], Any], root: Callable[[Any], Any]) -> csr_matrix:
    result = matrix.copy().astype(np.float32)
    row = np.repeat(np.arange(result.shape[0]), np.diff(result.indptr))
    total = root(np.bincount(row, weights=of(result.data.astype(np.float64)), minlength=result.shape[0]))
    result.data = (result.data / np.maximum(total[row], 1e-9)).astype(np.float32)
    return result
