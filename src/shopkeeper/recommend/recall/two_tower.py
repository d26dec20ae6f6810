"""The algorithm `two_tower`: users and items, each through a tower of their own, meet where they go together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.tower_model import TwoTowerModel
from shopkeeper.recommend.recall.towers import TowerTrainer, about
from shopkeeper.recommend.recall.training import RecallData

if TYPE_CHECKING:
    from shopkeeper.recommend.recall.tower_net import TwoTowerNet


class TwoTower(TowerTrainer):
    """Learned by a softmax among the items of a batch and some drawn evenly beside, corrected by how often each is
    there (logQ). An item's id is left out of its tower now and then, so what is said of an item places one that nobody
    has taken yet.

    References: Yi et al., "Sampling-bias-corrected neural modeling for large corpus item recommendations", RecSys 2019;
    Yang et al., "Mixed negative sampling for learning two-tower neural networks in recommendations", WWW 2020;
    Volkovs, Yu, Poutanen, "DropoutNet: addressing cold start in recommender systems", NeurIPS 2017.
    """

    name: ClassVar[str] = "two_tower"
    description: ClassVar[str] = "Two towers: vectors of users and of items, by what is said of them and what was taken"
    tags: ClassVar[tuple[str, ...]] = ("recall", "neural", "vectors")
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[TwoTowerModel]] = TwoTowerModel

    class Params(TowerTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        temperature: Annotated[float, about("Of the softmax over cosines; lower is sharper", gt=0.005, le=10)] = 0.07
        negatives: Annotated[int, about("Items drawn evenly beside those of the batch", ge=0, le=100_000)] = 256

    @property
    def temperature(self) -> float:
        return float(self.params.temperature)

    def fit(self, data: RecallData, report: Report) -> TwoTowerModel:
        """Raises Unavailable without torch, Invalid (`diverged`), Cancelled."""
        return cast(TwoTowerModel, self.towers(data, report))

    def net(self) -> type[TwoTowerNet]:
        from shopkeeper.recommend.recall.tower_net import TwoTowerNet

        return TwoTowerNet

    def beside(self, data: RecallData, kept: NDArray[np.int64]) -> NDArray[np.int64]:
        """Those of which something is said."""
        said = np.array(sorted(row for row, traits in data.items.items() if traits), dtype=np.int64)
        bought = np.unique(data.orders.item)
        fresh = np.setdiff1d(said, np.union1d(bought, kept))
        return fresh[-max(self.params.max_items - len(kept), 0) :] if len(kept) < self.params.max_items else fresh[:0]
