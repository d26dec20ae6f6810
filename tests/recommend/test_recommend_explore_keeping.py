"""What a learner knows as rounds of a training: measured on what it was kept from, or held where there is nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explore_world import ASKED, World

from shopkeeper import plugins
from shopkeeper.core.clock import MINUTE
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.protocols import TrainingContext, silent
from shopkeeper.core.records import Event
from shopkeeper.recommend.explore.asked import Exploring, is_held
from shopkeeper.recommend.explore.family import LEARNED_FROM, PolicyFamily
from shopkeeper.stores import exploring
from shopkeeper.stores.sql import sqlite_url

HALF = replace(ASKED, held_out=0.5)
SLATES = 60


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.db.close()


def drawn(world: World, asked: Exploring, slates: int = SLATES) -> list[str]:
    """Slates of two items, of which `i1` is always clicked; all learned."""
    shown = []
    for k in range(slates):
        shown.append(world.show(f"p{k}", ["i0", "i1"], asked=asked, slate_id=ulid(world.clock.wall() // 1000 + k)))
    world.write()
    world.clock.advance(MINUTE)
    told = [
        Event(event_type="order", user_id=f"p{k}", item_id="i1", value=9.0, context={"request_id": slate})
        for k, slate in enumerate(shown)
    ]
    assert not world.events.append(told).result().rejected
    world.pass_window()
    assert world.learning().turn() == slates
    return shown


def context(tmp_path: Path, world: World, scope: str = "scenario:home", **source: Any) -> TrainingContext:
    return TrainingContext(
        home=tmp_path, sql_url=sqlite_url(tmp_path), source={"kind": "learner", **source}, now=world.clock.now(),
        zone="UTC", seed=1, model="policy", scope=scope,
    )  # fmt: skip


def fitted(data: Any, algorithm: str = "thompson_beta") -> Any:
    trainer: Any = plugins.algorithm(algorithm)
    return trainer(trainer.Params(), 1).fit(data.train, silent)


def test_slates_that_are_held_out_are_not_learned_and_measure(world: World, tmp_path: Path) -> None:
    shown = drawn(world, HALF)
    held = sum(is_held(slate, HALF.begun_with) for slate in shown)
    assert 10 < held < SLATES - 10
    with world.db.read() as connection:
        stored = exploring.learned(connection, "home", HALF.key)
    assert stored is not None
    assert stored.rounds == 2 * (SLATES - held)
    family = PolicyFamily()
    data = family.data(context(tmp_path, world), None, silent)
    assert (data.facts["rows"], data.facts["holdout_rows"]) == (stored.rounds, 2 * held)
    policy = fitted(data)
    assert policy.kept.rounds == stored.rounds
    measures = family.evaluate(policy, data.holdout)
    assert LEARNED_FROM not in measures
    assert measures["logged"] == 0.5
    worth = dict(zip(policy.arm_ids, policy.estimates(np.arange(2, dtype=np.int32), None).tolist(), strict=True))
    assert worth["i1"] > 0.9 > 0.1 > worth["i0"]


def test_what_was_held_out_under_one_policy_stays_so_for_the_next(world: World, tmp_path: Path) -> None:
    shown = drawn(world, ASKED)
    other = replace(HALF, params={"a": 2.0})
    drawn(world, other, 1)
    with world.db.read() as connection:
        stored = exploring.learned(connection, "home", other.key)
    assert stored is not None
    state = plugins.algorithm("thompson_beta").learner.restore(stored.state)  # type: ignore[attr-defined]
    learned = [one for one in shown if not is_held(one, other.begun_with)]
    assert state.rounds in (2 * len(learned), 2 * len(learned) + 2)


def test_without_slates_held_out_a_version_is_never_promoted_by_itself(world: World, tmp_path: Path) -> None:
    drawn(world, ASKED, 400)
    family = PolicyFamily()
    data = family.data(context(tmp_path, world, scope="all", scenario="home"), None, silent)
    measures = family.evaluate(fitted(data), data.holdout)
    assert measures["effective"] > 200
    gate = family.judge(measures, None)
    assert gate.verdict == "HOLD"
    assert "learned" in gate.reasons[-1]
    del measures[LEARNED_FROM]
    assert family.judge(measures, None).verdict == "PROMOTE", "only for that"


def test_what_is_not_there_is_said(world: World, tmp_path: Path) -> None:
    family = PolicyFamily()
    with pytest.raises(NotFound, match="nothing was learned"):
        family.data(context(tmp_path, world), None, silent)
    with pytest.raises(Invalid, match=r"source\.scenario"):
        family.data(context(tmp_path, world, scope="all"), None, silent)
    drawn(world, ASKED, 4)
    with pytest.raises(Invalid, match="at least 20"):
        family.data(context(tmp_path, world), None, silent)
    drawn(world, ASKED, 20)
    data = family.data(context(tmp_path, world), None, silent)
    with pytest.raises(Invalid, match="a thompson_beta policy, not ucb1"):
        fitted(data, "ucb1")
    assert np.isfinite(family.probe(fitted(data), data.golden)).all()
