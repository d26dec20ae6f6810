"""Experiments on versions of a model over a real registry: what the gate refuses, and what cannot be reckoned, ends."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from msgspec.structs import replace

from shopkeeper.core.clock import DAY, HOUR, StoppedClock
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.experiments import Plan, Target, VariantPlan
from shopkeeper.core.records import Event, Gate
from shopkeeper.lifecycle.experiments import Assignments, ExperimentBook, Keeper, Targets
from shopkeeper.lifecycle.experiments.models import ModelTarget
from shopkeeper.lifecycle.experiments.people import People
from shopkeeper.lifecycle.experiments.reckoning import Reckoning
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.stores import experiments as table
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.experiments import Kept, Unit
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies


@dataclass(frozen=True)
class Shop:
    db: Database
    clock: StoppedClock
    log: EventLog
    vocabularies: Vocabularies
    registry: Registry
    traffic: Traffic
    book: ExperimentBook
    keeper: Keeper

    def begun(self, model: str = "line", names: str = "ab", **more: Any) -> Kept:
        """Variant after variant a version, from 1 on."""
        variants = [VariantPlan(name=name, config={"version": at}) for at, name in enumerate(names, 1)]
        given: dict[str, Any] = {"name": f"versions of {model}", "metric": "orders", "min_sample": 2, **more}
        return self.book.start(
            self.book.create(Plan(target=Target(model=model), variants=variants, **given)).experiment_id
        )

    def look(self, times: int = 2) -> None:
        for _ in range(times):
            self.keeper.look()

    def champion(self) -> int:
        return int(self.registry.model("line").aliases["champion"])

    def answered(self) -> set[int]:
        active = self.traffic.active("line")
        return {self.champion()} if active is None else {one.version for one in active.split.variants}


@pytest.fixture
def shop(db: Database, registry: Registry, add_version: Callable[..., Any]) -> Shop:
    """Models with a champion v1; the gate lets v2 of `line` and of `other` through, and that of `held` not."""
    for model in ("line", "other", "held"):
        add_version(2.0, model=model)
        registry.promote(model, 1)
        add_version(3.0, model=model, against=1, verdict="HOLD" if model == "held" else "PROMOTE")
    clock = StoppedClock(20_000 * DAY)
    vocabularies = Vocabularies.load(db)
    log = EventLog(db, vocabularies, clock)
    traffic = Traffic(db, registry, Serving(registry), clock)
    models = ModelTarget(registry, traffic)
    targets = Targets(models, models)
    reckoning = Reckoning(db, vocabularies.event_types, clock, {})
    book = ExperimentBook(
        db,
        clock,
        targets=targets,
        people=People(vocabularies.users, lambda _row: True),
        assignments=Assignments(),
        reckoning=reckoning,
        last_seq=lambda: log.last_seq,
    )
    return Shop(db, clock, log, vocabularies, registry, traffic, book, Keeper(book, reckoning, targets, clock))


def test_nobody_is_given_a_version_that_the_gate_would_refuse_at_the_end(shop: Shop) -> None:
    begun = shop.begun("held")
    with pytest.raises(Conflict, match="the gate says HOLD for held v2: as the test wants it") as refused:
        shop.book.roll(begun.experiment_id, "b", steps=[0.1, 1.0])
    assert refused.value.code == "gate_says_no"
    assert shop.book.get(begun.experiment_id) == begun
    with pytest.raises(Invalid, match="there are: a, b"):
        shop.book.roll(begun.experiment_id, "c")
    assert shop.book.roll(begun.experiment_id, "a", steps=[0.9]).course.rolling is not None, "the champion may stay"


def test_a_roll_out_that_the_gate_lets_through_ends_with_a_champion(shop: Shop) -> None:
    begun = shop.begun()
    shop.book.roll(begun.experiment_id, "b", steps=[0.5, 1.0], step_hours=1)
    assert shop.book.step(begun.experiment_id).course.weights == [0.0, 1.0]
    shop.clock.advance(2 * HOUR)
    shop.look()
    done = shop.book.get(begun.experiment_id)
    assert (done.status, done.course.winner, shop.champion()) == ("done", "b", 2)
    assert done.course.reason == "rolled out step by step to 100%"
    assert shop.book.roll_back(begun.experiment_id).course.before is None
    assert shop.champion() == 1


@pytest.mark.parametrize("by_hand", [True, False])
def test_a_last_step_that_is_refused_ends_the_roll_out(
    shop: Shop, by_hand: bool, caplog: pytest.LogCaptureFixture
) -> None:
    begun = shop.begun()
    shop.book.roll(begun.experiment_id, "b", steps=[1.0], step_hours=1)
    assert shop.answered() == {1, 2}
    shop.registry.judge(shop.registry.version("line", 2), Gate(verdict="REJECT", reasons=["it is worse"]), against=1)
    shop.clock.advance(2 * HOUR)
    if by_hand:
        shop.book.step(begun.experiment_id)
    else:
        shop.look()
    done = shop.book.get(begun.experiment_id)
    assert (done.status, done.course.verdict, done.course.winner) == ("done", "no difference", None)
    assert done.course.reason == "not rolled out: the gate says REJECT for line v2: it is worse"
    assert (done.course.before, done.course.rolling) == (None, None)
    assert (shop.champion(), shop.answered()) == (1, {1})
    assert "is not rolled out: the gate says REJECT" in caplog.text


def test_who_was_merged_makes_no_groups_uneven(shop: Shop, add_version: Callable[..., Any]) -> None:
    """They keep a variant that has weight 0 now."""
    add_version(4.0, model="line", against=1)
    begun = shop.begun(names="abc")
    people = [f"u{number}" for number in range(5)]
    assert not shop.log.append([Event(event_type="view", user_id=id, item_id="i") for id in people]).result().rejected
    now = shop.book.reshare(begun.experiment_id, weights={"a": 1, "b": 1})
    assert (now.course.phase, now.course.weights, now.course.share) == (2, [0.5, 0.5, 0.0], 1.0)
    rows = [int(shop.vocabularies.users.row(id) or 0) for id in people]
    at = shop.clock.now()
    units = [
        Unit(begun.experiment_id, 2, row, variant, at, shop.log.last_seq, moved=variant == 2)
        for row, variant in zip(rows, (0, 0, 1, 1, 2), strict=True)
    ]
    assert shop.db.writer.run(lambda connection: table.add_units(connection, units)) == 5
    said = shop.book.results(begun.experiment_id)
    assert [one.n for one in said.variants] == [2, 2, 1]
    assert (said.sample_ratio_p, said.sample_ratio_ok, said.verdict) == (1.0, True, "running")
    assert shop.book.stop(begun.experiment_id).course.verdict == "no difference"


def test_shares_and_weights_are_changed_together_or_not_at_all(shop: Shop) -> None:
    begun = shop.begun()
    id = begun.experiment_id
    with pytest.raises(Invalid, match="there is no variant 'typo'"):
        shop.book.reshare(id, share=0.5, weights={"typo": 1})
    with pytest.raises(Invalid, match="one of them above 0"):
        shop.book.reshare(id, share=0.5, weights={"a": 0})
    beside = shop.book.reshare(id, share=0.4)
    assert (beside.course.share, beside.course.phase, beside.version) == (0.4, 1, begun.version + 1)
    shop.begun("other", share=0.5)
    with pytest.raises(Conflict, match="of the users left"):
        shop.book.reshare(id, share=0.6, weights={"a": 3, "b": 1})
    assert shop.book.get(id) == beside
    both = shop.book.reshare(id, share=0.5, weights={"a": 3, "b": 1}, if_match=beside.tag)
    assert (both.course.share, both.course.weights, both.course.phase) == (0.5, [0.75, 0.25], 2)
    assert (both.version, sum(stop - start for start, stop in both.course.spans)) == (beside.version + 1, 5000)


def unreadable(shop: Shop, kept: Kept) -> Kept:
    """As an earlier version may have left it: by a metric that is not known any more."""
    plan = replace(kept.plan, metric="smiles")
    return shop.db.writer.run(lambda c: table.put(c, table.get(c, kept.experiment_id), now=1, by="", plan=plan))


def test_what_cannot_be_reckoned_can_be_stopped(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    begun = unreadable(shop, shop.begun())
    with pytest.raises(Invalid):
        shop.book.results(begun.experiment_id)
    done = shop.book.stop(begun.experiment_id, winner="b", reason="enough")
    assert (done.status, done.course.winner, done.course.verdict) == ("done", "b", "no difference")
    assert done.course.reason == "enough; its results cannot be reckoned (Invalid)"
    assert f"{begun.experiment_id} cannot be reckoned" in caplog.text


def test_what_is_wrong_with_one_keeps_none_of_the_others(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """The oldest does not say what it tries, the second cannot be reckoned."""
    broken = shop.begun("held", share=0.2)
    variants = [VariantPlan(name=name) for name in "ab"]
    odd = Plan(name="odd", target=Target(model="held"), variants=variants, metric="orders", min_sample=2)
    shop.db.writer.run(lambda c: table.put(c, table.get(c, broken.experiment_id), now=1, by="", plan=odd))
    second = unreadable(shop, shop.begun("line", share=0.2, max_days=1))
    last = shop.begun("other", share=0.2, max_days=1)
    shop.clock.advance(2 * DAY)
    with caplog.at_level(logging.WARNING):
        shop.look()
    ended = [shop.book.get(one.experiment_id) for one in (broken, second, last)]
    assert [one.status for one in ended] == ["running", "done", "done"]
    assert ended[1].course.reason == "it has run for 1 days; its results cannot be reckoned (Invalid)"
    assert ended[2].course.reason == "it has run for 1 days"
    assert f"{broken.experiment_id} could not be looked at" in caplog.text


def test_a_roll_out_that_nothing_watches_goes_no_further(shop: Shop) -> None:
    begun = shop.begun()
    shop.book.roll(begun.experiment_id, "b", steps=[0.1, 1.0], step_hours=1)
    blind = unreadable(shop, shop.book.get(begun.experiment_id))
    shop.clock.advance(2 * HOUR)
    shop.look(3)
    assert shop.book.get(begun.experiment_id) == blind
    assert shop.book.stop(begun.experiment_id).status == "done"
    assert shop.answered() == {1}
