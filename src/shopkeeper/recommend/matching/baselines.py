"""What a matcher has to beat: BM25, and how many words both texts hold."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.matching.lexical import Lexicon, bm25_documents, of_pairs, present
from shopkeeper.recommend.matching.pairs import Pairs
from shopkeeper.recommend.matching.text import Floats, Reader, Said


class Plain:
    """The rarity of words is that of the documents to learn from. Scores of pairs (n,), and of some queries with all
    documents (queries, documents)."""

    def __init__(self, train: Pairs, characters: int) -> None:
        self._reader = Reader(characters)
        told = self._reader.read(train.docs.take(np.unique(train.doc)).texts)
        self._lexicon = Lexicon.of(told)

    def shared(self, pairs: Pairs) -> Floats:
        asked, told = self._both(pairs)
        return of_pairs([present(asked)], [present(told)], pairs.query, pairs.doc)[:, 0]

    def bm25(self, pairs: Pairs) -> Floats:
        asked, told = self._both(pairs)
        return of_pairs([present(asked)], [bm25_documents(self._lexicon, told)], pairs.query, pairs.doc)[:, 0]

    def all_shared(self, pairs: Pairs, queries: NDArray[np.int64]) -> Floats:
        asked, told = self._both(pairs)
        return np.asarray((present(asked)[queries] @ present(told).T).toarray(), dtype=np.float32)

    def all_bm25(self, pairs: Pairs, queries: NDArray[np.int64]) -> Floats:
        asked, told = self._both(pairs)
        found = present(asked)[queries] @ bm25_documents(self._lexicon, told).T
        return np.asarray(found.toarray(), dtype=np.float32)

    def _both(self, pairs: Pairs) -> tuple[Said, Said]:
        return self._reader.read(pairs.queries.texts), self._reader.read(pairs.docs.texts)
