"""The scenario `bandit`: slates whose every slot a policy draws, and what is known of how it does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

import numpy as np

from shopkeeper.core.records import Record
from shopkeeper.recommend.explore.asked import ALIASES, FLOOR, Exploring
from shopkeeper.recommend.explore.context import GIVEN
from shopkeeper.recommend.explore.snapshots import policies, trainer_of
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario
from shopkeeper.stores import exploring
from shopkeeper.stores.sql import Database

NAME: Final = "bandit"
POLICY: Final = "thompson_beta"
CONTEXT: Final = ("user_orders_30d", "user_views_24h", "user_days_since_event")
"""What a policy reads that needs a context, unless it is told."""
MOST_POOL: Final = 100
_BEST = 20


class Arm(Record, kw_only=True):
    """`estimate`: the reward that is expected; of a policy that goes by contexts, for somebody nothing is known of."""

    item_id: str
    estimate: float


class Statistics(Record, kw_only=True):
    """`slates` that were drawn and are kept, `learned` of them; `rounds` that the newest `snapshot` was made of, 0:
    none yet; `arms` it knows, the `best` of them."""

    policy: str
    slates: int
    learned: int
    rounds: int
    snapshot: int
    arms: int
    average_reward: float | None
    best: list[Arm]


def bandit(
    n_items: int,
    configs: Mapping[str, Mapping[str, Any]],
    *,
    cold_start: bool = True,
    evaluation: bool = True,
    held_out: float = 0.0,
) -> Scenario:
    """`n_items` are drawn from, 2 to 100. The first of `configs` is the policy; its config are the policy's parameters,
    and `context` the names of what it reads. Without `cold_start` the channel of new items is not asked; without
    `evaluation` nothing is spread evenly, and other policies cannot be judged on what was drawn. `held_out`: share of
    the slates that the policy does not learn."""
    home = BUILT_IN["content"]
    recall = tuple(quota for quota in home.recall if cold_start or quota.channel != "new")
    policy = next(iter(configs), POLICY)
    pool = min(max(n_items, 2), MOST_POOL)
    explore = explored_by(
        policy, configs.get(policy, {}), pool=pool, floor=FLOOR if evaluation else 0.0, held_out=held_out
    )
    return replace(
        home,
        name=NAME,
        help="Every slot is drawn by a policy",
        recall=recall,
        ranker=None,
        explore=explore,
        ttl_s=0.0,
        version=1,
    )


def explored_by(
    name: str, config: Mapping[str, Any], *, pool: int, floor: float, held_out: float = 0.0
) -> dict[str, Any]:
    """Raises Invalid (`unknown_policy`)."""
    policy = ALIASES.get(name, name)
    names = config.get("context", CONTEXT if trainer_of(policy).contextual else ())
    params = {key: value for key, value in config.items() if key != "context"}
    held = {"held_out": held_out} if held_out else {}
    return {
        "policy": policy,
        "share": 1.0,
        "pool": pool,
        "floor": floor,
        "context": list(names) if isinstance(names, list | tuple) else names,
        "params": params,
        **held,
    }


def statistics(db: Database, asked: Exploring, bound: Any, scenario: str = NAME) -> Statistics:
    """`bound`: the snapshot that draws. Not for the loop. Raises Unavailable."""
    with db.read() as connection:
        slates, learned = exploring.count(connection, scenario)
        found = exploring.learned(connection, scenario, asked.key)
        earned = exploring.average(connection, scenario)
    policy = bound.policy
    arms = np.array([place for place, id in enumerate(policy.arm_ids) if id], dtype=np.int32)
    vector = np.array([1.0, *np.zeros(len(asked.context))]) if policy.contextual else None
    worth = policy.estimates(arms, vector) if len(arms) else np.empty(0)
    best = np.argsort(-worth, kind="stable")[:_BEST].tolist()
    return Statistics(
        policy=asked.policy,
        slates=slates,
        learned=learned,
        rounds=0 if found is None else found.rounds,
        snapshot=bound.number,
        arms=len(arms),
        average_reward=earned,
        best=[Arm(item_id=policy.arm_ids[arms[at]], estimate=round(float(worth[at]), 6)) for at in best],
    )


def told_context(names: Sequence[str], attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a user's record that a policy asks for as numbers of the request."""
    wanted = [name.removeprefix(GIVEN) for name in names if name.startswith(GIVEN)]
    return {name: attributes[name] for name in wanted if isinstance(attributes.get(name), int | float)}


__all__ = ["NAME", "POLICY", "Arm", "Statistics", "bandit", "explored_by", "policies", "statistics", "told_context"]
