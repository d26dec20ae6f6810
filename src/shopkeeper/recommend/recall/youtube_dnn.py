"""The algorithm `youtube_dnn`: a classifier of the next item whose layers are vectors of users and of items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, cast

from shopkeeper.core.protocols import Report
from shopkeeper.recommend.recall.tower_model import YoutubeModel
from shopkeeper.recommend.recall.towers import TowerTrainer, about
from shopkeeper.recommend.recall.training import RecallData

if TYPE_CHECKING:
    from shopkeeper.recommend.recall.tower_net import YoutubeNet


class YoutubeDnn(TowerTrainer):
    """A classifier of the next item among all, learned by a sampled softmax that is corrected by how probably each item
    is drawn (logQ). The vectors of items are those of its output layer, which is the one that was trained for this.

    Reference: Covington, Adams, Sargin, "Deep neural networks for YouTube recommendations", RecSys 2016.
    """

    name: ClassVar[str] = "youtube_dnn"
    description: ClassVar[str] = (
        "YouTube DNN: the next item as a softmax over all, by history and what is said of a user"
    )
    tags: ClassVar[tuple[str, ...]] = ("recall", "neural", "vectors")
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[YoutubeModel]] = YoutubeModel

    class Params(TowerTrainer.Params, kw_only=True, forbid_unknown_fields=True):
        negatives: Annotated[int, about("Items drawn for each step, in place of all others", ge=1, le=100_000)] = 512

    def fit(self, data: RecallData, report: Report) -> YoutubeModel:
        """Raises Unavailable without torch, Invalid (`diverged`), Cancelled."""
        return cast(YoutubeModel, self.towers(data, report))

    def net(self) -> type[YoutubeNet]:
        from shopkeeper.recommend.recall.tower_net import YoutubeNet

        return YoutubeNet
