"""The algorithm `hgt`: vectors of users and items from a heterogeneous graph transformer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.learning.torch_needed import importing_torch, without_torch
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.parameters import Shape
from shopkeeper.profiles.graph.rows import GraphRows

NEEDS_TORCH = without_torch("the algorithm hgt needs")


def _about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class Hgt:
    """Users, items and categories hear their neighbours along every relation; what was heard lately and what long ago
    is told apart. Trained to foresee, from what lies before a moment, the new links after it."""

    name: ClassVar[str] = "hgt"
    family: ClassVar[str] = "graph"
    description: ClassVar[str] = "Vectors of users and items from a heterogeneous graph transformer over who did what"
    tags: ClassVar[tuple[str, ...]] = ("graph", "profiles", "recall", "neural")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[HgtModel]] = HgtModel
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}

    brief: ClassVar[dict[str, Any]] = {"epochs": 2, "windows": 3, "width": 8, "dims": 8}
    """Parameters of a training that is only to be seen at work."""

    class Params(BaseParams):
        epochs: Annotated[int, _about("Passes over all windows at most", ge=1, le=200)] = 6
        train_ratio: Annotated[float, _about("Share of the links, oldest first, to learn from", gt=0, lt=1)] = 0.8
        val_ratio: Annotated[float, _about("Share of the links after them that tells when to stop", ge=0, lt=1)] = 0.1
        negative_ratio: Annotated[
            float, _about("Items drawn evenly for each link, beside those of others", ge=0, le=5)
        ] = 1
        temperature: Annotated[float, _about("What similarities are divided by", gt=0, le=5)] = 0.1
        learning_rate: Annotated[float, _about("Highest step of Adam; a warm start takes a fifth", gt=0, le=1)] = 0.01
        decay: Annotated[float, _about("Weight decay", ge=0, le=1)] = 0.0
        patience: Annotated[int, _about("Epochs without a gain after which training ends", ge=1, le=200)] = 4
        finish: Annotated[
            int, _about("Epochs after the best one that reach up to the links that told when to stop", ge=0, le=50)
        ] = 1
        width: Annotated[int, _about("Numbers of a node in every layer", ge=4, le=512)] = 64
        dims: Annotated[int, _about("Numbers of a vector before its offset", ge=2, le=512)] = 64
        heads: Annotated[int, _about("Attention heads; the width is a multiple of them", ge=1, le=32)] = 4
        layers: Annotated[int, _about("Layers: how many steps away a node can hear", ge=1, le=4)] = 2
        norm: Annotated[bool, _about("A layer norm after every layer")] = False
        recent: Annotated[int, _about("Newest edges of each relation that are read into a node", ge=1, le=1000)] = 32
        dropout: Annotated[float, _about("Share of what is heard that is left out in training", ge=0, lt=1)] = 0.1
        forget: Annotated[float, _about("Share of items that are met without their learned vector", ge=0, lt=1)] = 0.1
        windows: Annotated[int, _about("Moments from which the links after are foretold", ge=1, le=200)] = 16
        batch_size: Annotated[int, _about("Users of a step", ge=8, le=65_536)] = 2048
        fanout: Annotated[int, _about("Neighbours along each relation, in mode sampled", ge=1, le=1000)] = 10
        timed: Annotated[bool, _about("Whether how old an edge is counts")] = True
        training_mode: Annotated[
            Literal["full_graph", "sampled", "metis_sampling"], _about("Whole graphs, neighbourhoods, or METIS parts")
        ] = "full_graph"
        warm_start: Annotated[bool, _about("Begin with what the champion has learned, where there is one")] = False
        metis_num_parts: Annotated[int, _about("Parts of the graph, in mode metis_sampling", ge=2, le=100)] = 4
        metis_imbalance_factor: Annotated[float, _about("How much larger a part may be than even", ge=0, le=1)] = 0.01
        metis_seed: Annotated[
            Annotated[int, msgspec.Meta(ge=0)] | None, _about("Seed of the parts; empty: the training's")
        ] = None
        metis_recursive: Annotated[bool, _about("Parts by halving, not all at once")] = True
        metis_partition_id: Annotated[Annotated[int, msgspec.Meta(ge=0)] | None, _about("Train on this part only")] = (
            None
        )

        @property
        def shape(self) -> Shape:
            return Shape(self.width, self.dims, self.heads, self.layers, self.norm, self.timed)

        def __post_init__(self) -> None:
            if self.train_ratio + self.val_ratio >= 1:
                raise ValueError("train_ratio and val_ratio must sum to less than 1: the rest is the test")
            if self.width % self.heads:
                raise ValueError(f"width {self.width} is no multiple of the {self.heads} heads")
            if self.metis_partition_id is not None and self.metis_partition_id >= self.metis_num_parts:
                raise ValueError(f"metis_partition_id must be below metis_num_parts, {self.metis_num_parts}")

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: GraphRows, report: Report) -> HgtModel:
        """With `data.champion` a warm start: the family reads it where `warm_start` is asked for. Raises Unavailable
        without torch, Conflict with too little to learn from, Invalid when it diverges."""
        with importing_torch(NEEDS_TORCH):
            from shopkeeper.profiles.graph.fitting import Parting, Plan, train
        p = self.params
        if data.split.train_end >= data.split.until and p.val_ratio > 0:
            raise Invalid("the links that should tell when to stop all fall on one moment", field="val_ratio")
        seed = self.seed if p.metis_seed is None else p.metis_seed
        parting = Parting(p.metis_num_parts, p.metis_imbalance_factor, seed, p.metis_recursive, p.metis_partition_id)
        plan = Plan(
            shape=p.shape,
            recent=p.recent,
            mode=p.training_mode,
            epochs=p.epochs,
            patience=p.patience,
            finish=p.finish,
            learning_rate=p.learning_rate,
            decay=p.decay,
            temperature=p.temperature,
            negatives=p.negative_ratio,
            windows=p.windows,
            users=p.batch_size,
            fanout=p.fanout,
            drop=p.dropout,
            forget=p.forget,
            parting=parting,
        )
        return train(data, plan, self.seed, report)
