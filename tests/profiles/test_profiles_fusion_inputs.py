"""Inputs: of fixed size whatever the rules, the same for one and for many, and as a shop of that moment had them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from fused_players import model_of
from fusion_world import filled, history, past_of
from hypothesis import given, settings
from hypothesis import strategies as st
from profile_world import NOW, World

from shopkeeper.core.clock import DAY, moment
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import Event, Rule
from shopkeeper.features.history import KEPT
from shopkeeper.profiles.fusion.blocks import blocks, cutoffs, table_at
from shopkeeper.profiles.fusion.inputs import Frame, frame_of, gather, gather_one, parts, rule_summary, summary_of
from shopkeeper.profiles.fusion.model import SUMMARY
from shopkeeper.profiles.sources import Many, One
from shopkeeper.profiles.table import ProfileTable

ITEMS = tuple(f"I{at}" for at in range(12))


def frame(world: World) -> Frame:
    return frame_of(model_of(1, item_ids=ITEMS), world.vocabularies.items)


def one_user(world: World, row: int, now: int = NOW) -> ProfileTable:
    people = {person.row: person for person in world.profiles.people.all()}
    return ProfileTable(world.profiles.schema.refresh(), One(world.features, row, now), [people.get(row)])


def many(world: World, rows: list[int], now: int = NOW) -> ProfileTable:
    source = Many.some(world.features, np.array(rows), now)
    return ProfileTable(world.profiles.schema.refresh(), source, [None] * len(rows))


def test_a_rule_more_changes_no_size(world: World) -> None:
    filled(world)
    table, rules = one_user(world, 0), world.profiles.rulebook.compiled()
    before = gather(frame(world), table, rules, world.features, np.array([0]))
    world.profiles.rulebook.create("more", "orders >= 1", weight=2.0).result()
    after = gather(frame(world), table, world.profiles.rulebook.compiled(), world.features, np.array([0]))
    for name, values in vars(before).items():
        assert values.shape == vars(after)[name].shape, name
    assert after.score[0] == before.score[0] + 2.0


def test_a_rule_of_weight_nothing_does_not_count(world: World) -> None:
    filled(world)
    world.profiles.rulebook.create("silent", "orders >= 0", weight=0.0).result()
    rules = world.profiles.rulebook.compiled()
    assert any(rule.name == "silent" for rule, _ in rules)
    loud = [one for one in rules if one[0].weight]
    table = one_user(world, 0)
    for with_it, without in zip(
        rule_summary(rules, table.columns()), rule_summary(loud, table.columns()), strict=True
    ):  # fmt: skip
        np.testing.assert_array_equal(with_it, without)


def test_without_rules_the_summary_is_nothing(world: World) -> None:
    filled(world)
    score, summary = rule_summary([], one_user(world, 0).columns())
    assert (score == 0).all()
    assert (summary == np.zeros((1, len(SUMMARY)))).all()


@given(st.lists(st.tuples(st.floats(-1e6, 1e6), st.booleans()), max_size=30))
@settings(max_examples=60, deadline=None)
def test_the_summary_of_one_user_is_that_of_many(held: list[tuple[float, bool]]) -> None:
    class Says:
        """A condition that holds for both of two users, or for none."""

        def __init__(self, holds: bool) -> None:
            self.many = lambda columns: np.full(columns.n, holds)

    class Two:
        n = 2

    rules = [(Rule(name=f"r{at}", condition="", weight=weight), Says(holds)) for at, (weight, holds) in enumerate(held)]
    score, summary = rule_summary(rules, Two())  # type: ignore[arg-type]
    weights, matched = np.array([w for w, _ in held]), np.array([m for _, m in held], dtype=np.bool_)
    own_score, own = summary_of(weights, matched)
    np.testing.assert_allclose(score, np.repeat(own_score, 2), rtol=1e-9, atol=1e-6)
    np.testing.assert_allclose(summary, np.repeat(own, 2, axis=0), rtol=1e-9, atol=1e-9)


def test_one_user_and_many_have_the_same_inputs(world: World) -> None:
    filled(world)
    rules, bound = world.profiles.rulebook.compiled(), frame(world)
    rows = list(range(world.features.n_users))
    all_ = gather(bound, many(world, rows), rules, world.features, np.array(rows))
    for row in rows:
        alone = gather(bound, one_user(world, row), rules, world.features, np.array([row]))
        table = one_user(world, row)
        fields = frozenset().union(*(c.fields for _, c in rules))
        matched = np.array([condition.one(table.row(fields)) for _, condition in rules])
        weights = np.array([rule.weight for rule, _ in rules])
        live = gather_one(bound, table, weights, matched, world.features, row)
        for name, values in vars(alone).items():
            np.testing.assert_allclose(vars(all_)[name][row], values[0], rtol=1e-5, atol=1e-6, err_msg=name)
            np.testing.assert_allclose(vars(live)[name], values, rtol=1e-6, atol=1e-6, err_msg=name)


def test_an_embedding_is_the_sum_of_its_items(world: World) -> None:
    """It can be split into parts of the basket, exactly."""
    filled(world)
    bound = frame(world)
    taken = parts(bound, world.features, np.array([0]), NOW)
    whole = taken.embedding(bound.vectors)[0]
    np.testing.assert_allclose(whole, taken.weight @ bound.vectors[taken.at], rtol=1e-5, atol=1e-6)
    assert np.sum(taken.weight**2) == pytest.approx(1.0)
    assert [bound.places.of(np.array([item]))[0] for item in taken.item] == taken.at.tolist()


def test_who_did_nothing_has_no_embedding_and_was_not_seen(world: World) -> None:
    filled(world)
    world.user("new")
    row = world.vocabularies.users.row("new")
    assert row is not None
    found = gather(frame(world), one_user(world, row), [], world.features, np.array([row]))
    assert found.seen[0] == 0
    assert (found.embedding == 0).all()
    assert np.isfinite(found.activity).all()


def test_items_that_came_after_the_model_count_as_seen_only(world: World) -> None:
    filled(world)
    bound, row = frame(world), world.vocabularies.users.row("u0")
    assert row is not None
    before = parts(bound, world.features, np.array([row]), NOW)
    world.order("u0", 0, item="brand-new")
    after = parts(bound, world.features, np.array([row]), NOW)
    assert after.seen[0] == before.seen[0] + 1
    np.testing.assert_array_equal(after.item, before.item)


def test_what_comes_after_the_moment_is_not_seen(world: World) -> None:
    filled(world)
    rules, bound, then = world.profiles.rulebook.compiled(), frame(world), NOW - 30 * DAY
    before = gather(bound, one_user(world, 0, then), rules, world.features, np.array([0]))
    world.order("u0", 10)
    after = gather(bound, one_user(world, 0, then), rules, world.features, np.array([0]))
    for name, values in vars(before).items():
        np.testing.assert_array_equal(values, vars(after)[name], name)


def test_a_hundred_thousand_events_of_one_user_are_read_as_far_as_they_are_kept(world: World) -> None:
    events = [
        Event(event_type="view", user_id="busy", item_id=f"I{at % 12}", time=moment(NOW - (100_000 - at) * 1_000_000))
        for at in range(100_000)
    ]
    world.log.append(events).result()
    row = world.vocabularies.users.row("busy")
    assert row is not None
    found = gather(frame(world), one_user(world, row), [], world.features, np.array([row]))
    assert found.seen[0] == KEPT / 4
    assert np.isfinite(found.embedding).all()


def test_a_training_row_is_what_a_live_shop_had_then(tmp_path: Path) -> None:
    """Each customer of each block, against a shop that has no events after the block's cutoff."""
    (tmp_path / "whole").mkdir()
    whole = filled(World(tmp_path / "whole"))
    past = past_of(tmp_path / "whole")
    at = cutoffs(int(past.events.time[0]), NOW)
    training, validation, holdout = blocks(past, at, sample_size=10_000, seed=1, report=silent)
    for number, block in enumerate([training[0], training[-1], validation, holdout]):
        (tmp_path / str(number)).mkdir()
        then = World(tmp_path / str(number))
        try:
            filled(then, [event for event in history() if _us(event) <= block.cutoff])
            bound = frame(then)
            trained = block.facts.inputs(frame(whole))
            scale = table_at(past_of(tmp_path / str(number), block.cutoff), then.features, block.cutoff)[0].scale
            for place, row in enumerate(block.rows.tolist()):
                own = then.vocabularies.users.row(whole.vocabularies.users.id(row))
                assert own is not None
                table = one_user(then, own, block.cutoff)
                table.scale = scale
                live = gather(bound, table, then.profiles.rulebook.compiled(), then.features, np.array([own]))
                for name, values in vars(trained).items():
                    np.testing.assert_allclose(
                        values[place], vars(live)[name][0], rtol=1e-5, atol=1e-6, err_msg=f"{name} of {own}"
                    )
        finally:
            then.close()
    whole.close()


def _us(event: Event) -> int:
    assert event.time is not None
    return round(event.time.timestamp() * 1_000_000)
