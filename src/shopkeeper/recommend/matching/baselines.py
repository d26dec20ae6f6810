"""What a matcher has to beat: BM25, and how many words both texts hold."""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_matrix

from shopkeeper.recommend.matching.lexical import Lexicon, bm25_documents, of_pairs, present
from shopkeeper.recommend.matching.measuring import Search
from shopkeeper.recommend.matching.pairs import Pairs
from shopkeeper.recommend.matching.text import Floats, Reader, Said


class Plain:
    """The rarity of words is that of the documents to learn from. Scores of pairs (n,), and what searches all documents
    of pairs, read once."""

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

    def all_shared(self, pairs: Pairs) -> Search:
        asked, told = self._both(pairs)
        return _searching(present(asked), present(told))

    def all_bm25(self, pairs: Pairs) -> Search:
        asked, told = self._both(pairs)
        return _searching(present(asked), bm25_documents(self._lexicon, told))

    def _both(self, pairs: Pairs) -> tuple[Said, Said]:
        return self._reader.read(pairs.queries.texts), self._reader.read(pairs.docs.texts)


def _searching(asked: csr_matrix, told: csr_matrix) -> Search:
    across = told.T.tocsr()
    return lambda queries: np.asarray((asked[queries] @ across).toarray(), dtype=np.float32)
