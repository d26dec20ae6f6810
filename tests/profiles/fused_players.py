"""Generated fusion models, and users of them, of any size."""

from __future__ import annotations

import numpy as np

from shopkeeper.core.records import Rule
from shopkeeper.lifecycle.spaces import ItemSpace
from shopkeeper.profiles.families import field_of
from shopkeeper.profiles.fusion.activity import ACTIVITY
from shopkeeper.profiles.fusion.inputs import summary_of
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, FusionModel, Net, SpendHead
from shopkeeper.profiles.players import Basket, Players, RuleSide

READS = (
    frozenset({"spend in 30 days", "net_spend"}),
    frozenset({"orders in 90 days"}),
    frozenset({"days_since_order", "lifecycle"}),
    frozenset({"event_counts"}),
    frozenset({"country", "level"}),
    frozenset(),
)


def model_of(
    seed: int,
    *,
    dims: int = 6,
    names: tuple[str, ...] = ACTIVITY,
    item_ids: tuple[str, ...] = ("a", "b", "c"),
    rates: dict[str, float] | None = None,
) -> FusionModel:
    """Random weights of a size at which the gate moves between 0 and 1."""
    random = np.random.default_rng(seed)
    width, hidden = len(SUMMARY) + dims + len(names), 64
    head = SpendHead(random.normal(size=dims), random.normal(size=len(names)), 0.3, 1.0, -2.0, 8.0, 1.1)
    return FusionModel(
        items=ItemSpace(item_ids, random.normal(size=(len(item_ids), dims)).astype(np.float32)),
        activity_names=names,
        activity_mean=random.normal(size=len(names)),
        activity_scale=random.uniform(1.0, 2.0, len(names)),
        alpha=float(random.uniform(0.3, 1.5)),
        beta=float(random.normal()),
        w_embedding=random.normal(size=dims) * 0.5,
        w_activity=random.normal(size=len(names)) * 0.2,
        bias=float(random.normal()),
        kappa=2.0,
        net=Net(
            random.normal(size=(width, hidden)) * 0.1, random.normal(size=hidden), random.normal(size=hidden) * 0.3, 0.1
        ),
        head=head,
        baseline=FusionInputs(
            np.array([0.4]),
            random.normal(size=(1, len(SUMMARY))),
            random.normal(size=(1, dims)).astype(np.float32),
            random.normal(size=(1, len(names))).astype(np.float32) * 0.1,
            np.array([5.0], dtype=np.float32),
        ),
        rule_rates=rates or {},
    )


def players_of(
    seed: int,
    *,
    rules: int = 7,
    items: int = 9,
    categories: int = 6,
    names: tuple[str, ...] = ACTIVITY,
    seen: float | None = None,
    model: FusionModel | None = None,
) -> Players:
    """A random user of a random model. Some items have no category; some rules weigh nothing."""
    random = np.random.default_rng(seed + 1)
    rates = {f"r{at}": float(random.uniform()) for at in range(rules) if at % 4}
    made = model or model_of(seed, names=names, rates=rates)
    side = RuleSide.of(
        [Rule(name=f"r{at}", condition="", weight=0.0 if at == 5 else float(random.normal())) for at in range(rules)],
        [READS[at % len(READS)] for at in range(rules)],
        random.uniform(size=rules) < 0.5,
        made,
    )
    weight = random.uniform(0.1, 1.0, items)
    length = np.sqrt((weight**2).sum()) or 1.0
    kinds = [f"k{int(one)}" if one < categories else None for one in random.integers(0, categories + 1, items)]
    vectors = random.normal(size=(items, made.dims)).astype(np.float32).astype(np.float64)
    basket = Basket(tuple(f"i{at}" for at in range(items)), tuple(kinds), weight / length, vectors)
    mass = (float(items) if items else 0.0) if seen is None else seen
    own = FusionInputs(
        *summary_of(side.weight, side.matched),
        embedding=(basket.weight @ basket.vectors)[None, :].astype(np.float32),
        activity=random.normal(size=(1, len(names))).astype(np.float32),
        seen=np.array([mass], dtype=np.float32),
    )
    return Players(made, own, side, basket, tuple(field_of(name) for name in names))
