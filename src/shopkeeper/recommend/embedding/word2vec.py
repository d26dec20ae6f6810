"""The algorithm `word2vec`: vectors of words, and through them of queries and items."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import numpy as np

from shopkeeper.core.protocols import Report
from shopkeeper.recommend.embedding.artifact import unit
from shopkeeper.recommend.embedding.needs import NEEDS
from shopkeeper.recommend.embedding.params import TextParams, about
from shopkeeper.recommend.embedding.rows import EmbeddingRows
from shopkeeper.recommend.embedding.sequences import SequenceCorpus
from shopkeeper.recommend.embedding.skipgram import train
from shopkeeper.recommend.embedding.text import TextEmbedding


class Word2Vec:
    """Skip-gram with negative sampling over sentences, or over what the shop says of its items. A text is the sum of
    its words, rare ones counting more (a / (a + share)); Chinese is read by pairs of characters.

    References: Mikolov et al., NIPS 2013; Arora et al., "A simple but tough-to-beat baseline for sentence embeddings",
    ICLR 2017 (the weights).
    """

    name: ClassVar[str] = "word2vec"
    family: ClassVar[str] = "embedding"
    description: ClassVar[str] = "Vectors of words from texts (skip-gram); of items and queries by their words"
    tags: ClassVar[tuple[str, ...]] = ("embedding", "vectors", "text")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[TextEmbedding]] = TextEmbedding
    needs: ClassVar[Mapping[str, str]] = NEEDS

    brief: ClassVar[dict[str, Any]] = {"dim": 16, "epochs": 30}
    """Parameters of a training that is only to be seen at work."""

    class Params(TextParams, kw_only=True):
        mode: Annotated[
            Literal["word2vec"],
            about("As the script for both item2vec and word2vec is told; here the algorithm says it"),
        ] = "word2vec"

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: EmbeddingRows, report: Report) -> TextEmbedding:
        """Raises Invalid (`no_data`, `diverged`)."""
        p = self.params
        sentences, _ = data.the_sequences().often(p.min_count)
        learned = train(SequenceCorpus(sentences, self.seed), p.plan(thin=p.thin), self.seed, report)
        counts = np.bincount(sentences.tokens, minlength=len(sentences.ids))
        rarity = (_RARE / (_RARE + counts / max(counts.sum(), 1))).astype(np.float32)
        vectors = unit(learned.inner)
        bare = TextEmbedding(sentences.ids, vectors, rarity, sentences.ids, vectors, learned.losses)
        if not data.items:
            return bare
        texts = np.stack([bare.of(item.words) for item in data.items])
        said = np.flatnonzero(texts.any(axis=1))
        ids = tuple(data.items[at].item_id for at in said)
        return TextEmbedding(sentences.ids, vectors, rarity, ids, texts[said], learned.losses)


_RARE = 1e-3
