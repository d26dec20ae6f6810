"""The algorithm `dssm`: queries and documents as vectors that lie near each other where they belong together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.torch_needed import importing_torch, without_torch
from shopkeeper.recommend.matching.drawing import Drawing
from shopkeeper.recommend.matching.fitting import Grader, fitted, validation, with_wrong, words_alone
from shopkeeper.recommend.matching.lexical import MEASURES
from shopkeeper.recommend.matching.model import Matcher, Words
from shopkeeper.recommend.matching.pairs import Pairs
from shopkeeper.recommend.matching.params import MatchingParams

NEEDS_TORCH = without_torch("the algorithm dssm needs")


def _about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class Dssm:
    """Two towers over hashed words, pairs of words and pieces of words (and numbers, where a table has some), 128 / 64
    -> 64, and beside the cosine of their vectors how well the words themselves agree, weighed by how rare they are.

    References: Huang et al., "Learning deep structured semantic models for web search using clickthrough data", CIKM
    2013 (towers, pieces of words); Yi et al., "Sampling-bias-corrected neural modeling for large corpus item
    recommendations", RecSys 2019 (the softmax); Robertson, Zaragoza, "The probabilistic relevance framework: BM25 and
    beyond", 2009.
    """

    name: ClassVar[str] = "dssm"
    family: ClassVar[str] = "matching"
    description: ClassVar[str] = "Queries and documents as vectors (DSSM) of words and pieces of words, any language"
    tags: ClassVar[tuple[str, ...]] = ("matching", "text", "vectors", "neural")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[Matcher]] = Matcher
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}
    brief: ClassVar[dict[str, Any]] = {
        "wide": 64, "narrow": 32, "dimensions": 32, "buckets": 8192, "batch_size": 16, "lr": 5e-3, "epochs": 12,
    }  # fmt: skip

    class Params(MatchingParams):
        wide: Annotated[int, _about("Numbers of a tower's first layer", ge=4, le=1024)] = 128
        narrow: Annotated[int, _about("Numbers of a tower's second layer", ge=4, le=1024)] = 64
        dimensions: Annotated[int, _about("Numbers of a vector", ge=2, le=1024)] = 64
        buckets: Annotated[int, _about("Places of the hashed words, pairs and pieces", ge=256, le=4_194_304)] = 65_536
        shared: Annotated[bool, _about("One tower for both sides: where both say the same kind of thing")] = False
        words: Annotated[bool, _about("Count beside the vectors how well the words themselves agree")] = True
        epochs: Annotated[int, _about("Passes over the right pairs at most", ge=1, le=1000)] = 20
        batch_size: Annotated[int, _about("Right pairs of a step", ge=2, le=65_536)] = 64
        negatives: Annotated[int, _about("Wrong pairs beside each right one", ge=1, le=100)] = 4
        lr: Annotated[float, _about("Highest step of Adam", gt=0, le=1)] = 1e-3
        temperature: Annotated[float, _about("What cosines are divided by before the softmax", gt=0, le=1)] = 0.07
        dropout: Annotated[float, _about("Share of words and of hidden numbers left out in training", ge=0, lt=1)] = 0.2
        patience: Annotated[int, _about("Passes without a gain before it stops", ge=1, le=1000)] = 5
        minutes: Annotated[float, _about("Most minutes of learning", gt=0, le=1440)] = 60

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: Pairs, report: Report) -> Matcher:
        """A tenth of the queries tells when to stop. Raises Unavailable without torch, Invalid (`no_data` without a
        right pair, `diverged`), Cancelled."""
        with importing_torch(NEEDS_TORCH):
            from shopkeeper.recommend.matching.net import Plan, learn
        p = self.params
        learned, told = validation(data, self.seed)
        if not (learned.label > 0.5).any():
            raise Invalid("no pair to learn from is right (label 1)", code="no_data", field="label")
        text = bool(data.query_columns.texts and data.doc_columns.texts)
        basis = fitted(learned, p.buckets if text else 1, p.characters, shared=p.shared and text)
        left, right = basis.reading.ready(data.queries, "query"), basis.reading.ready(data.docs, "doc")
        words = Words(basis.reading.lexicon, left, right) if text and p.words else None
        query, doc, label = with_wrong(learned, self.seed)
        begin = np.zeros(1 + len(MEASURES), dtype=np.float32)
        if words is not None:
            begin = words_alone(words, query, doc, label)
        plan = Plan(
            wide=p.wide,
            narrow=p.narrow,
            dimensions=p.dimensions,
            shared=basis.about.shared,
            dropout=p.dropout,
            temperature=p.temperature,
            epochs=p.epochs,
            patience=p.patience,
            minutes=p.minutes,
            learning_rate=p.lr,
        )
        drawing = Drawing(
            learned.query, learned.doc, learned.label, size=p.batch_size, negatives=p.negatives, seed=self.seed
        )
        grader = Grader(basis, told if len(told) else learned, left, right, words, self.seed)
        arrays, epoch = learn((left, right), drawing, words, begin, plan, self.seed, grader, report)
        return basis.model(grader.mixed(arrays), epoch, data.docs, data.doc_ids)
