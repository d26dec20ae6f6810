"""The algorithm `sasrec`: what comes next after what a user took, in the order it was taken."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.learning.torch_needed import importing_torch, without_torch
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.recall.sequence_model import SequenceModel
from shopkeeper.recommend.recall.training import RecallData

NEEDS_TORCH = without_torch("the algorithm sasrec needs")


def _about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class Sasrec:
    """A causal transformer reads the newest items of a user and foretells the next one. Learned with a softmax over all
    items, estimated with drawn ones; served in numpy, without torch.

    References: Kang, McAuley, "Self-attentive sequential recommendation", ICDM 2018; Klenitskiy, Vasilev, "Turning
    dross into gold loss: is BERT4Rec really better than SASRec?", RecSys 2023 (why the softmax).
    """

    name: ClassVar[str] = "sasrec"
    family: ClassVar[str] = "recall"
    description: ClassVar[str] = "Transformer over the order of purchases (SASRec): what comes next"
    tags: ClassVar[tuple[str, ...]] = ("recall", "sequence", "neural")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[SequenceModel]] = SequenceModel
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}

    class Params(BaseParams):
        width: Annotated[int, _about("Numbers of an item's vector", ge=4, le=512)] = 64
        blocks: Annotated[int, _about("Layers of attention", ge=1, le=8)] = 2
        heads: Annotated[int, _about("Attention heads; the width is a multiple of them", ge=1, le=16)] = 1
        length: Annotated[int, _about("Newest items that are read", ge=1, le=500)] = 50
        epochs: Annotated[int, _about("Passes over all users", ge=1, le=1000)] = 30
        minutes: Annotated[
            float, _about("Most minutes of learning; the steps get small towards them", gt=0, le=1440)
        ] = 60
        tokens: Annotated[int, _about("Items of a step, in sequences of about one length", ge=16, le=1_000_000)] = 2400
        negatives: Annotated[int, _about("Items drawn for each step, in place of all others", ge=1, le=100_000)] = 512
        learning_rate: Annotated[float, _about("Highest step of Adam", gt=0, le=1)] = 0.002
        dropout: Annotated[float, _about("Share that is left out in training", ge=0, lt=1)] = 0.1
        max_items: Annotated[int, _about("Most bought items that take part", ge=2, le=1_000_000)] = 50_000

        def __post_init__(self) -> None:
            if self.width % self.heads:
                raise ValueError(f"width {self.width} is no multiple of the {self.heads} heads")

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RecallData, report: Report) -> SequenceModel:
        """Raises Unavailable without torch."""
        with importing_torch(NEEDS_TORCH):
            from shopkeeper.recommend.recall.sequence_net import Plan, train
        p = self.params
        kept = data.most_bought(p.max_items, None)
        sequences, moments = _sequences(data.orders, kept)
        plan = Plan(
            width=p.width,
            blocks=p.blocks,
            heads=p.heads,
            length=p.length,
            dropout=p.dropout,
            epochs=p.epochs,
            minutes=p.minutes,
            tokens=p.tokens,
            negatives=p.negatives,
            learning_rate=p.learning_rate,
        )
        arrays = train(sequences, moments, len(kept), plan, self.seed, report)
        return SequenceModel(tuple(data.orders.item_ids[i] for i in kept), arrays, p.heads)


def _sequences(orders: Orders, kept: NDArray[np.int64]) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """(places in `kept`, moments) of each user with two or more distinct items, oldest first; an item once, at its last
    purchase, as a history holds it."""
    pairs = orders.pairs()
    place = np.full(orders.n_items, -1, dtype=np.int64)
    place[kept] = np.arange(len(kept))
    where = np.flatnonzero(place[pairs.item] >= 0)
    where = where[np.argsort(pairs.user[where], kind="stable")]
    cuts = np.flatnonzero(np.diff(pairs.user[where])) + 1
    parts = [part for part in np.split(where, cuts) if len(part) > 1]
    return [place[pairs.item[part]] for part in parts], [pairs.time[part] for part in parts]
