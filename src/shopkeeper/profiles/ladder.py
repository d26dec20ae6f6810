"""A fused score shared out exactly, at each level of the ladder. Pure: any thread may do it."""

from __future__ import annotations

from typing import Literal, TypeAlias, get_args

import numpy as np

from shopkeeper.core.records import Audit
from shopkeeper.explain.audit import audit
from shopkeeper.explain.contributions import Contributions
from shopkeeper.explain.shapley import shapley
from shopkeeper.profiles.fusion.model import Fused
from shopkeeper.profiles.game import Game
from shopkeeper.profiles.players import Players

Level: TypeAlias = Literal["two", "groups", "inputs", "audit"]
LEVELS: tuple[Level, ...] = get_args(Level)


def shared_out(players: Players, level: Level, fused: Fused) -> tuple[Contributions, Audit | None]:
    """base_value + sum(values) is the fused score. `fused`: what the model says of the user."""
    if level == "inputs":
        return frozen(players, float(fused.gate[0])), None
    game = Game.of(players)
    if level == "two":
        base, values = shapley(game.two, 2)
        return Contributions(("rules", "neural"), tuple(values.tolist()), base), None
    base, values = shapley(game.worth, len(game.names))
    found = Contributions(game.names, tuple(values.tolist()), base)
    return found, audit(game.asked, found) if level == "audit" else None


def frozen(players: Players, gate: float) -> Contributions:
    """Every rule, item and activity field, with the gate held where it is for this user: the score is then a sum.

    `data`: 1 where the rule matches, else 0; the item's share of the embedding; and of a field nothing, as it stands in
    several numbers.
    """
    model, rules, own, base = players.model, players.rules, players.own, players.base
    ruled = gate * model.alpha * rules.gains
    typical = base.embedding[0].astype(np.float64) @ model.w_embedding
    items = (1.0 - gate) * (players.item_parts() @ model.w_embedding - players.item_shares() * typical)
    moved = own.activity[0].astype(np.float64) - base.activity[0].astype(np.float64)
    fields = dict.fromkeys(players.fields)
    place = {field: at for at, field in enumerate(fields)}
    where = np.array([place[field] for field in players.fields], dtype=np.int64)
    active = (1.0 - gate) * np.bincount(where, moved * model.w_activity, len(fields))
    bought = tuple(f"item:{name}" for name in players.basket.names) or players.item_groups(1)[0]
    names = (*(f"rule:{name}" for name in rules.names), *bought, *(f"activity:{field}" for field in fields))
    start = gate * (model.alpha * rules.average + model.beta) + (1.0 - gate) * float(model.f_nn(base)[0])
    data = (*rules.matched.astype(float).tolist(), *players.item_shares().tolist(), *[None] * len(fields))
    return Contributions(names, (*ruled.tolist(), *items.tolist(), *active.tolist()), start, data)


def rule_values(players: Players, gate: float) -> dict[str, float]:
    """What each rule adds with the gate held: the `value` of its trace at every level."""
    gains = gate * players.model.alpha * players.rules.gains
    return dict(zip(players.rules.names, gains.tolist(), strict=True))
