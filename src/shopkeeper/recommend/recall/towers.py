"""What the algorithms `two_tower` and `youtube_dnn` share: parameters, and the way from order lines to a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.learning.torch_needed import importing_torch, without_torch
from shopkeeper.recommend.recall.stretches import sequences_of
from shopkeeper.recommend.recall.tower_model import Towers
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.recall.traits import Traits

if TYPE_CHECKING:
    from shopkeeper.recommend.recall.tower_net import TwoTowerNet, YoutubeNet

NEEDS_TORCH = without_torch("towers learn by")
_FEWEST_USERS, _FEWEST_ITEMS = 5, 2
"""What fewer of them have is no token of its own: a person is not to be read out of a model."""


def about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class TowerTrainer:
    """A user's tower reads means of the items taken, in which the newest count most, each mean in its own way, and what
    is said of the user. An item is foretold from the items before it; each pass is measured on the last items of a few
    users, and the best one serves."""

    family: ClassVar[str] = "recall"
    knows_new_users: ClassVar[bool] = True
    model: ClassVar[type[Towers]]
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}
    brief: ClassVar[dict[str, Any]] = {
        "epochs": 20, "dimensions": 16, "hidden": [32], "batch_size": 8, "learning_rate": 0.01, "patience": 20,
    }  # fmt: skip

    class Params(BaseParams, kw_only=True, forbid_unknown_fields=True):
        dimensions: Annotated[int, about("Numbers of a vector", ge=2, le=1024)] = 64
        hidden: Annotated[
            tuple[Annotated[int, msgspec.Meta(ge=1, le=8192)], ...], about("Widths of a tower's layers", max_length=8)
        ] = (128, 64)
        length: Annotated[int, about("Newest items that are read", ge=1, le=500)] = 50
        epochs: Annotated[int, about("Passes at most", ge=1, le=1000)] = 20
        batch_size: Annotated[
            int, about("Stretches of a step, of up to 16 items to foretell each", ge=1, le=65_536)
        ] = 64
        learning_rate: Annotated[float, about("Highest step of Adam", gt=0, le=1)] = 1e-3
        patience: Annotated[int, about("Passes without a gain after which learning ends", ge=1, le=1000)] = 3
        minutes: Annotated[
            float, about("Most minutes of learning; the steps get small towards them", gt=0, le=1440)
        ] = 60
        dropout: Annotated[float, about("Share of the items before that is left out in training", ge=0, lt=1)] = 0.1
        forget: Annotated[
            float,
            about(
                "How often what is said of a user, or an item's id, is left out, so that each does alone", ge=0, lt=1
            ),
        ] = 0.2
        max_items: Annotated[int, about("Most bought items that take part", ge=2, le=1_000_000)] = 50_000

    def __init__(self, params: Any, seed: int) -> None:
        self.params = params
        self.seed = seed

    def towers(self, data: RecallData, report: Report) -> Towers:
        """Raises Unavailable without torch, Invalid (`diverged`), Cancelled."""
        with importing_torch(NEEDS_TORCH):
            from shopkeeper.recommend.recall.tower_net import Plan, Told, train
        p = self.params
        kept = data.most_bought(p.max_items, None)
        sequences, users = sequences_of(data, kept)
        rows = np.concatenate([kept, self.beside(data, kept)])
        said_of_users = [data.users.get(row, {}) for row in users.tolist()]
        said_of_items = [data.items.get(row, {}) for row in rows.tolist()] if self.knows_new_items else []
        user_traits = Traits.fitted(said_of_users, least=_FEWEST_USERS)
        item_traits = Traits.fitted(said_of_items[: len(kept)], least=_FEWEST_ITEMS)
        told = Told(
            users=user_traits.bag(said_of_users, strict=False),
            items=item_traits.bag(said_of_items or [{}] * len(rows), strict=False),
            user_tokens=user_traits.size,
            item_tokens=item_traits.size,
            n_items=len(rows),
            bought=len(kept),
            with_ids=not data.by_traits_only,
        )
        plan = Plan(
            dimensions=p.dimensions,
            hidden=p.hidden,
            length=p.length,
            dropout=p.dropout,
            forget=p.forget,
            epochs=p.epochs,
            minutes=p.minutes,
            batch=p.batch_size,
            negatives=p.negatives,
            learning_rate=p.learning_rate,
            patience=p.patience,
            temperature=self.temperature,
        )
        learned = train(self.net(), sequences, told, plan, self.seed, report)
        ids = tuple(data.orders.item_ids[i] for i in rows.tolist())
        return self.model(ids, learned.arrays, user_traits, item_traits, self.temperature, data.now)

    @property
    def temperature(self) -> float:
        return 1.0

    knows_new_items: ClassVar[bool] = False

    def net(self) -> type[TwoTowerNet] | type[YoutubeNet]:
        """The layers; torch is imported in here only."""
        raise NotImplementedError(f"{type(self).__name__} gives no net")

    def beside(self, data: RecallData, kept: NDArray[np.int64]) -> NDArray[np.int64]:
        """Rows of items that get a vector although nobody took them."""
        del data, kept
        return np.empty(0, dtype=np.int64)
