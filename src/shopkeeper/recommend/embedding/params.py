"""Parameters that algorithms of this family share; the family reads its rows by them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

from shopkeeper.core.protocols import Params
from shopkeeper.recommend.embedding.skipgram import PARTS, Plan


def about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class EmbeddingParams(Params, kw_only=True):
    """Of every training with skip-gram and negative sampling."""

    dim: Annotated[int, about("Numbers of a vector", ge=2, le=1024)] = 128
    epochs: Annotated[int, about("Passes over everything", ge=1, le=1000)] = 10
    window: Annotated[int, about("How far apart two places may be to count as near", ge=1, le=1000)] = 5
    negatives: Annotated[int, about("Others drawn for each pair of near ones", ge=1, le=100)] = 5
    noise: Annotated[
        float,
        about("Exponent of the counts by which others are drawn: 0 all alike, 1 as often as they occur", ge=-2, le=2),
    ] = 0.75
    learning_rate: Annotated[float, about("First step; the last ones are small", gt=0, le=1)] = 0.025
    workers: Annotated[int, about("Threads; the vectors are the same for any number", ge=1, le=PARTS)] = 4

    def plan(self, *, thin: float = 0.0, even: bool = False) -> Plan:
        return Plan(
            dim=self.dim,
            epochs=self.epochs,
            window=self.window,
            negatives=self.negatives,
            rate=self.learning_rate,
            workers=self.workers,
            noise=self.noise,
            thin=thin,
            even=even,
        )


class SequenceParams(EmbeddingParams, kw_only=True):
    """Sequences of ids."""

    min_count: Annotated[int, about("What occurs less often gets no vector", ge=1, le=1_000_000)] = 1
    thin: Annotated[
        float, about("What makes up more than this share of all places is read less often; 0: all is read", ge=0, le=1)
    ] = 0.0
    sequences: Annotated[
        Literal["user", "basket"], about("From the shop: all that a user bought in order, or each basket by itself")
    ] = "user"
    sequence_col: Annotated[str, about("Column of a table that holds the sequence of ids")] = "sequence"
    user_col: Annotated[
        str | None, about("Column whose rows of one value are one sequence; null: each row is its own")
    ] = None


class TextParams(EmbeddingParams, kw_only=True):
    """Sentences."""

    min_count: Annotated[int, about("Words that occur less often get no vector", ge=1, le=1_000_000)] = 1
    thin: Annotated[
        float, about("Words that make up more than this share are read less often; 0: all are read", ge=0, le=1)
    ] = 0.001
    sequence_col: Annotated[str, about("Column of a table that holds the text")] = "text"
    user_col: Annotated[
        str | None,
        about("As the script for both item2vec and word2vec is told; not used here: each row is a text by itself"),
    ] = None


class EdgeParams(EmbeddingParams, kw_only=True):
    """Edges of a graph."""

    dim: Annotated[int, about("Numbers of a vector", ge=2, le=1024)] = 64
    from_col: Annotated[str, about("Column of a table that holds where an edge begins")] = "from_id"
    to_col: Annotated[str, about("Column of a table that holds where it ends")] = "to_id"
    weight_col: Annotated[str | None, about("Column of a table that holds an edge's weight; null: all alike")] = None
    directed: Annotated[bool, about("Whether an edge leads one way only")] = False
    social: Annotated[bool, about("Nodes are accounts that may all be recalled; else only what no edge begins at")] = (
        False
    )
    repeats: Annotated[bool, about("Whether what a user is linked with already is recalled too")] = False
