"""What a fusion model is trained on, measured on, and probed with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Metrics
from shopkeeper.lifecycle.spaces import ItemSpace
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.blocks import Block
from shopkeeper.profiles.fusion.inputs import Facts, Interest, ItemIds, frame_of
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, FusionModel
from shopkeeper.profiles.fusion.vectors import Takings
from shopkeeper.stores.vocabulary import Vocabulary

_GOLDEN = (0.1, 0.5, 0.9)
_GOLDEN_ITEMS = 5


@dataclass(frozen=True)
class FusionRows:
    """`items` are the shop's, by row. Item vectors come from `space`, or are learned from `takings`: what was ordered
    up to the first cutoff."""

    training: Sequence[Block]
    validation: Block
    items: ItemIds
    takings: Takings
    space: ItemSpace | None = None

    def __len__(self) -> int:
        return sum(len(block) for block in self.training)


@dataclass(frozen=True)
class FusionHoldout:
    """`naive`: the rules alone on the same customers, calibrated on the same validation block."""

    block: Block
    items: ItemIds
    naive: Metrics

    def inputs(self, model: FusionModel) -> FusionInputs:
        """As this model wants them. Raises Invalid when it was trained with other activity numbers."""
        return self.block.facts.inputs(frame_of(model, self.items))


def golden_of(rows: FusionRows) -> dict[str, Any]:
    """Three customers who do not exist: the low, the middle and the high of every number, and what sells most."""
    known = [block.facts for block in rows.training]
    score, rules, activity = (
        np.quantile(np.concatenate([getattr(part, name) for part in known]), _GOLDEN, axis=0)
        for name in ("score", "rules", "activity")
    )
    sold = np.bincount(rows.takings.item) if len(rows.takings.item) else np.empty(0)
    best = np.argsort(-sold, kind="stable")[:_GOLDEN_ITEMS].tolist()
    users = [
        {
            "score": float(score[at]),
            "rules": rules[at].tolist(),
            "activity": activity[at].tolist(),
            "items": [[rows.items.id(row), 1.0, 30.0 * at] for row in best[at:]],
        }
        for at in range(len(_GOLDEN))
    ]
    return {"activity_names": list(ACTIVITY), "users": [*users, {**users[0], "items": []}]}


def golden_inputs(model: FusionModel, golden: Mapping[str, Any]) -> FusionInputs:
    users = golden["users"]
    found = [(place, *one) for place, user in enumerate(users) for one in user["items"]]
    items = Vocabulary(dict.fromkeys(id for _, id, _, _ in found))
    interest = Interest(
        n=len(users),
        place=_column([place for place, *_ in found], np.int64),
        item=items.rows([id for _, id, _, _ in found]),
        mass=_column([mass for *_, mass, _ in found], np.float64),
        age=_column([age for *_, age in found], np.float64),
    )
    facts = Facts(
        score=_column([user["score"] for user in users], np.float64),
        rules=_column([user["rules"] for user in users], np.float64).reshape(len(users), len(SUMMARY)),
        activity=_column([user["activity"] for user in users], np.float64),
        interest=interest,
    )
    return facts.inputs(frame_of(model, items))


def _column(values: Sequence[Any], dtype: type[np.generic]) -> NDArray[Any]:
    return np.array(values, dtype=dtype)
