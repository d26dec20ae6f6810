"""The algorithm `item2vec`: items are near each other when they stand in the same places of sequences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from shopkeeper.core.protocols import Report
from shopkeeper.recommend.embedding.artifact import unit
from shopkeeper.recommend.embedding.items import ItemEmbedding
from shopkeeper.recommend.embedding.needs import NEEDS
from shopkeeper.recommend.embedding.params import SequenceParams, about
from shopkeeper.recommend.embedding.rows import EmbeddingRows
from shopkeeper.recommend.embedding.sequences import SequenceCorpus
from shopkeeper.recommend.embedding.skipgram import train


class Item2Vec:
    """Skip-gram with negative sampling over what users took; what came at one moment has no order.

    References: Barkan, Koenigstein, "Item2Vec: neural item embedding for collaborative filtering", MLSP 2016; Caselles-
    Dupre et al., "Word2vec applied to recommendation: hyperparameters matter", RecSys 2018 (why `noise` does).
    """

    name: ClassVar[str] = "item2vec"
    family: ClassVar[str] = "embedding"
    description: ClassVar[str] = "Vectors of items from sequences of what was taken (skip-gram)"
    tags: ClassVar[tuple[str, ...]] = ("embedding", "vectors", "recall", "sequence")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[ItemEmbedding]] = ItemEmbedding
    needs: ClassVar[Mapping[str, str]] = NEEDS

    brief: ClassVar[dict[str, Any]] = {"dim": 16, "epochs": 30}
    """Parameters of a training that is only to be seen at work."""

    class Params(SequenceParams, kw_only=True):
        mode: Annotated[
            Literal["item2vec"],
            about("As the script for both item2vec and word2vec is told; here the algorithm says it"),
        ] = "item2vec"
        match: Annotated[
            Literal["beside", "alike"],
            about(
                "What goes with what was taken: what stood beside it, which brings what is bought along, or what is "
                "alike, and that itself first, which suits sessions of clicks"
            ),
        ] = "beside"
        half_life_days: Annotated[
            Annotated[float, msgspec.Meta(gt=0, le=3650)] | None,
            about("Days after which what was taken counts half; null: never"),
        ] = 60.0
        noise: Annotated[
            float,
            about("Exponent of the counts by which others are drawn: 0 all alike, 1 as they occur", ge=-2, le=2),
        ] = 0.5

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: EmbeddingRows, report: Report) -> ItemEmbedding:
        """Raises Invalid (`no_data`, `diverged`)."""
        p = self.params
        sequences, _ = data.the_sequences().often(p.min_count)
        learned = train(SequenceCorpus(sequences, self.seed), p.plan(thin=p.thin), self.seed, report)
        inner, outer = unit(learned.inner), learned.outer
        if p.match == "alike":
            inner = outer = unit(learned.inner + learned.outer)
        return ItemEmbedding(sequences.ids, inner, outer, p.half_life_days, learned.losses)
