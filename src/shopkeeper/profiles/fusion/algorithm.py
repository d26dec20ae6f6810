"""The algorithm `fusion`: rules and learned vectors in one calibrated score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Annotated, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Params as BaseParams
from shopkeeper.core.protocols import Report
from shopkeeper.lifecycle.reporting import within
from shopkeeper.lifecycle.spaces import ItemSpace
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.blocks import Block
from shopkeeper.profiles.fusion.calibration import calibration
from shopkeeper.profiles.fusion.fitting import NEEDS_TORCH, Gated, Pace, fit
from shopkeeper.profiles.fusion.inputs import Frame, Places
from shopkeeper.profiles.fusion.model import FusionInputs, FusionModel
from shopkeeper.profiles.fusion.rows import FusionRows
from shopkeeper.profiles.fusion.spending import spend_head
from shopkeeper.profiles.fusion.vectors import learned_vectors

HALF_LIFE_DAYS = 180.0


class Fusion:
    """score = gate * rules + (1 - gate) * learned, in logits: will the customer order in the next 30 days?

    Item vectors are learned on what lies before the first cutoff, or come from another model (`space`). A second head
    says how much will be spent.
    """

    name: ClassVar[str] = "fusion"
    family: ClassVar[str] = "fusion"
    description: ClassVar[str] = "Rules and learned vectors joined by a gate: chance of an order, and expected spend"
    tags: ClassVar[tuple[str, ...]] = ("profiles", "rules", "neural")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[FusionModel]] = FusionModel
    needs: ClassVar[Mapping[str, str]] = {"torch": NEEDS_TORCH}

    class Params(BaseParams):
        sample_size: Annotated[int, msgspec.Meta(ge=32, le=10_000, description="Training rows, from all blocks")] = 256
        epochs: Annotated[int, msgspec.Meta(ge=1, le=200, description="Passes over the rows at most")] = 3
        learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1, description="Step of Adam")] = 1e-3
        batch_size: Annotated[int, msgspec.Meta(ge=8, le=1024, description="Rows of a step")] = 64
        dims: Annotated[int, msgspec.Meta(ge=2, le=256, description="Numbers of a learned item vector")] = 16
        decay: Annotated[float, msgspec.Meta(ge=0, le=10, description="Weight decay: more smooths more")] = 1.0
        space: Annotated[
            str,
            msgspec.Meta(max_length=200, description="Model whose champion has the item vectors; empty: learned here"),
        ] = ""

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: FusionRows, report: Report) -> FusionModel:
        """Raises Unavailable without torch."""
        params = self.params
        report(0, 1, message="learning item vectors")
        space = data.space or replace(
            learned_vectors(data.takings, data.items, params.dims, self.seed), until=data.training[0].cutoff
        )
        frame, train = _framed(data, space)
        label = np.concatenate([block.ordered for block in data.training])
        check = data.validation.facts.inputs(frame)
        pace = Pace(params.epochs, params.batch_size, params.learning_rate, params.decay)
        gated = fit(train, label, check, data.validation.ordered, pace, self.seed, within(report, 5, 100))
        spend = np.concatenate([block.spend for block in data.training])
        model = replace(_model(frame, space, gated, train, spend), rule_rates=_rates(data.training))
        model = model.calibrated(*calibration(model.fuse(check).score, data.validation.ordered))
        return _scaled(model, check, data.validation.spend)


def _framed(data: FusionRows, space: ItemSpace) -> tuple[Frame, FusionInputs]:
    """The scales under which the training rows have mean 0 and spread 1 in activity, and mean square 1 in embedding."""
    known = [block.facts for block in data.training]
    activity = np.concatenate([facts.activity for facts in known])
    spread = activity.std(axis=0)
    places = Places(space.item_ids, data.items)
    raw = Frame(places, space.vectors, activity.mean(axis=0), np.where(spread > 1e-9, spread, 1.0), HALF_LIFE_DAYS)
    made = FusionInputs.join([facts.inputs(raw) for facts in known])
    length = np.sqrt((made.embedding.astype(np.float64) ** 2).mean(axis=0))
    vectors = (space.vectors / np.where(length > 1e-9, length, 1.0)).astype(np.float32)
    frame = replace(raw, vectors=vectors)
    return frame, FusionInputs.join([facts.inputs(frame) for facts in known])


def _model(
    frame: Frame, space: ItemSpace, gated: Gated, train: FusionInputs, spend: NDArray[np.float64]
) -> FusionModel:
    return FusionModel(
        items=replace(space, vectors=frame.vectors),
        activity_names=ACTIVITY,
        activity_mean=frame.activity_mean,
        activity_scale=frame.activity_scale,
        alpha=gated.alpha,
        beta=gated.beta,
        w_embedding=gated.w_embedding,
        w_activity=gated.w_activity,
        bias=gated.bias,
        kappa=gated.kappa,
        net=gated.net,
        head=spend_head(train, spend),
        baseline=train.mean(),
        half_life_days=frame.half_life_days,
        samples=len(train),
        epochs=gated.epochs,
        final_loss=gated.final_loss,
    )


def _rates(training: Sequence[Block]) -> dict[str, float]:
    """How often each rule matches, over all training rows."""
    names = dict.fromkeys(name for block in training for name in block.matches)
    rows = sum(len(block) for block in training)
    return {name: sum(block.matches.get(name, 0) for block in training) / rows for name in names}


def _scaled(model: FusionModel, check: FusionInputs, spend: NDArray[np.float64]) -> FusionModel:
    """The model whose expected spend on the later block adds up to what was spent there."""
    said, true = float(model.fuse(check).spend.sum()), float(spend.sum())
    if not (said > 0 and true > 0):
        return model
    return replace(model, head=replace(model.head, scale=model.head.scale * true / said))
