"""Rows and labels: real outcomes, months that do not overlap, nothing of the future, nobody who refused."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
from fusion_world import CUSTOMERS, DAYS, context, filled, history, past_of
from profile_world import NOW, World

from shopkeeper.core.clock import DAY, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.protocols import silent
from shopkeeper.core.records import Event
from shopkeeper.profiles.fusion.algorithm import Fusion
from shopkeeper.profiles.fusion.blocks import Block, blocks, cutoffs, outcome, table_at
from shopkeeper.profiles.fusion.family import FusionFamily, takings
from shopkeeper.profiles.fusion.past import ShopPast, signature
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.meta import Meta

MONTH = 30 * DAY


def made(past: ShopPast, seed: int = 1, sample_size: int = 10_000) -> tuple[list[Block], Block, Block]:
    return blocks(past, cutoffs(int(past.events.time[0]), NOW), sample_size=sample_size, seed=seed, report=silent)


def test_the_months_follow_one_another_without_overlap() -> None:
    at = cutoffs(NOW - 400 * DAY, NOW)
    everything = [*at.training, at.validation, at.holdout, NOW]
    assert np.diff(everything).tolist() == [MONTH] * (len(everything) - 1)
    assert len(at.training) == 6
    assert len(cutoffs(NOW - 4 * MONTH, NOW).training) == 1
    with pytest.raises(Conflict, match="needs data of at least 120 days"):
        cutoffs(NOW - 4 * MONTH + 1, NOW)


def test_the_label_is_an_order_in_the_thirty_days_after(world: World, tmp_path: Path) -> None:
    """Up to and including the last moment of the month, which the next month then knows of."""
    world.profiles.seed_defaults()
    for user, days in (("at", 60), ("after", 60 - 1e-9), ("last", 30), ("later", 30 - 1e-9), ("looked", 45)):
        world.order(user, 100)
        world.event(user, "view" if user == "looked" else "order", days, quantity=2, price=5.0)
    past = past_of(tmp_path)
    rows = np.array([world.vocabularies.users.row(name) for name in ("at", "after", "last", "later", "looked")])
    ordered, spend = outcome(past, NOW - 60 * DAY, rows)
    assert ordered.tolist() == [0, 1, 1, 0, 0]
    assert spend.tolist() == [0, 10, 10, 0, 0]


def test_what_is_known_does_not_change_with_what_comes(tmp_path: Path) -> None:
    """Two shops with one past: in the second everybody buys a telling thing after the last cutoff."""
    cut = NOW - MONTH
    known = [one for one in history() if one.time is not None and one.time.timestamp() * 1e6 <= cut]
    found = []
    for name, tell in (("a", False), ("b", True)):
        (tmp_path / name).mkdir()
        world = filled(World(tmp_path / name), known)
        for user in range(0, CUSTOMERS, 3 if tell else 2):
            world.order(f"u{user}", 20, item="tell-tale" if tell else "I0")
        past = past_of(tmp_path / name)
        found.append((made(past), takings(past, cutoffs(int(past.events.time[0]), NOW).training[0])))
        world.close()
    ((first, check, held), taken), ((first_b, check_b, held_b), taken_b) = found
    for one, other in zip([*first, check, held], [*first_b, check_b, held_b], strict=True):
        np.testing.assert_array_equal(one.rows, other.rows)
        for name in ("score", "rules", "activity"):
            np.testing.assert_array_equal(getattr(one.facts, name), getattr(other.facts, name), name)
        for name in ("place", "item", "mass", "age"):
            np.testing.assert_array_equal(getattr(one.facts.interest, name), getattr(other.facts.interest, name), name)
    np.testing.assert_array_equal(taken.item, taken_b.item)
    assert held.ordered.tolist() != held_b.ordered.tolist(), "the outcomes do differ"


def test_rows_are_drawn_evenly_and_by_the_seed(world: World, tmp_path: Path) -> None:
    filled(world)
    past = lambda: past_of(tmp_path)  # noqa: E731  a replay fills the state, so each needs its own
    training, _, held = made(past(), sample_size=64)
    assert sum(len(block) for block in training) == 64
    assert max(map(len, training)) - min(map(len, training)) <= 1
    assert len(held) > 50, "what is measured is not thinned"
    again, other = made(past(), sample_size=64)[0], made(past(), seed=2, sample_size=64)[0]
    assert [block.rows.tolist() for block in again] == [block.rows.tolist() for block in training]
    assert [block.rows.tolist() for block in other] != [block.rows.tolist() for block in training]


def test_nobody_who_refused_is_learned_of(world: World, tmp_path: Path) -> None:
    filled(world)
    before = past_of(tmp_path)
    assert any(0 in block.rows for block in made(before)[0])
    consents = ConsentStore(world.db, world.vocabularies, world.clock)
    consents.change("u0", {"profiling": False}).result()
    row = world.vocabularies.users.row("u0")
    past = past_of(tmp_path)
    training, check, held = made(past)
    assert not any(row in block.rows for block in [*training, check, held])
    assert row not in takings(past, NOW).user
    past = past_of(tmp_path)
    past.state.apply(past.events)
    assert table_at(past, past.state, NOW)[0].scale.customers == CUSTOMERS - 1, "as a live shop's RFM scale"
    Meta(world.db).set("consent.default", "no").result()
    with pytest.raises(Conflict, match="needs data"):
        made(past_of(tmp_path))


def test_too_little_is_told_in_words(world: World, tmp_path: Path) -> None:
    family, params = FusionFamily(), Fusion.Params()
    with pytest.raises(Conflict, match="no events yet"):
        family.data(context(tmp_path), params, silent)
    world.profiles.seed_defaults()
    world.order("u1", DAYS)
    with pytest.raises(Conflict, match=r"needs data: its training rows are .* with a larger sample_size"):
        family.data(context(tmp_path), params, silent)
    for user in range(30):
        times = [moment(NOW - day * 5 * DAY) for day in range(48)]
        world.log.append([_order(f"u{user}", at, number) for number, at in enumerate(times)]).result()
    with pytest.raises(Conflict, match="some who did and some who did not"):
        family.data(context(tmp_path), params, silent)


def _order(user: str, time: datetime, number: int) -> Event:
    return Event(event_id=f"{user}-{number}", event_type="order", user_id=user, item_id="I0", time=time)


def test_other_sources_and_spaces_that_are_not_there_are_refused(world: World, tmp_path: Path) -> None:
    filled(world)
    family, given = FusionFamily(), context(tmp_path)
    table = type(given)(**{**vars(given), "source": {"kind": "file", "path": "x.csv"}})
    with pytest.raises(Invalid, match="not from source kind 'file'"):
        family.data(table, Fusion.Params(), silent)
    with pytest.raises(NotFound, match="graph"):
        family.data(given, Fusion.Params(space="graph"), silent)


def test_a_signature_follows_what_the_rules_say(world: World) -> None:
    filled(world)
    book = world.profiles.rulebook
    first = signature(book.compiled())
    book.update("loyal", description="other words").result()
    book.create("silent", "orders >= 1", weight=0.0).result()
    assert signature(book.compiled()) == first
    book.update("loyal", weight=0.9).result()
    assert signature(book.compiled()) != first
