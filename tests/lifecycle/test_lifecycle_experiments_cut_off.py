"""The winner is given to everybody, and then the end of the experiment cannot be written, or its process is killed:
what was there before is not lost, of a scenario and of a model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from shopkeeper.core.clock import DAY, HOUR, StoppedClock
from shopkeeper.core.errors import Conflict, Unavailable
from shopkeeper.core.experiments import Plan, Target, VariantPlan
from shopkeeper.core.records import Event
from shopkeeper.lifecycle.experiments import Assignments, ExperimentBook, Keeper, Targets
from shopkeeper.lifecycle.experiments.models import ModelTarget
from shopkeeper.lifecycle.experiments.people import People
from shopkeeper.lifecycle.experiments.reckoning import Reckoning
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.itemcolumns import FIELDS
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenariocheck import Known
from shopkeeper.recommend.scenarioform import body_of
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario
from shopkeeper.recommend.variants import ScenarioTarget
from shopkeeper.rules.schema import Schema
from shopkeeper.stores import experiments as table
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.experiments import Kept, Unit
from shopkeeper.stores.scenarios import ScenarioStore
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies

CHANNELS = {each.channel for one in BUILT_IN.values() for each in one.recall}
KNOWN = Known(recall=lambda: CHANNELS, rankers=lambda: {"home_ranker"}, schema=lambda: Schema(FIELDS))
SUBJECTS = ("built in", "written", "model")
CONFIGS: dict[str, list[dict[str, Any]]] = {
    "scenario": [{}, {"diversity": 0.5, "objectives": {"relevance": 1}}, {"filters": ["sellable"]}],
    "model": [{"version": 1}, {"version": 2}, {"version": 3}],
}
END = "CREATE TRIGGER refused BEFORE UPDATE ON experiments WHEN NEW.status = 'done' BEGIN SELECT json(NEW.status); END"
"""The end of an experiment is refused as a full disk is: an error of the database, of no constraint."""
FIRST = {
    "scenario": "CREATE TRIGGER refused BEFORE INSERT ON scenarios BEGIN SELECT json(NEW.name); END",
    "model": "CREATE TRIGGER refused BEFORE INSERT ON aliases BEGIN SELECT json(NEW.alias); END",
}


@dataclass
class Shop:
    db: Database
    registry: Registry
    subject: str
    clock: StoppedClock
    vocabularies: Vocabularies
    log: EventLog

    def __post_init__(self) -> None:
        self.restart()

    @property
    def kind(self) -> str:
        return "model" if self.subject == "model" else "scenario"

    def restart(self) -> None:
        """All that a process knows is read anew."""
        self.scenarios = ScenarioBook(ScenarioStore(self.db, self.clock), KNOWN)
        traffic = Traffic(self.db, self.registry, Serving(self.registry), self.clock)
        traffic.load()
        targets = Targets(
            ScenarioTarget(self.scenarios, KNOWN, lambda _name: None), ModelTarget(self.registry, traffic)
        )
        reckoning = Reckoning(self.db, self.vocabularies.event_types, self.clock, {})
        self.book = ExperimentBook(
            self.db,
            self.clock,
            targets=targets,
            people=People(self.vocabularies.users, lambda _row: True),
            assignments=Assignments(),
            reckoning=reckoning,
            last_seq=lambda: self.log.last_seq,
        )
        self.book.load()
        self.keeper = Keeper(self.book, reckoning, targets, self.clock)

    def begun(self, names: str = "ab", **more: Any) -> str:
        configs = CONFIGS[self.kind]
        variants = [VariantPlan(name=name, config=config) for name, config in zip(names, configs, strict=False)]
        name = {"built in": "home", "written": "night", "model": "line"}[self.subject]
        plan = Plan(
            name="a try",
            target=Target(model=name) if self.kind == "model" else Target(scenario=name),
            variants=variants,
            metric="orders",
            min_sample=2,
            **more,
        )
        return self.book.start(self.book.create(plan).experiment_id).experiment_id

    def given(self) -> Any:
        """What everybody gets."""
        if self.kind == "model":
            return self.registry.model("line").aliases["champion"]
        return body_of(self.scenarios.find("home" if self.subject == "built in" else "night"))

    @contextmanager
    def refusing(self, trigger: str) -> Iterator[None]:
        self.db.writer.run(lambda connection: connection.exec_driver_sql(trigger))
        yield
        self.db.writer.run(lambda connection: connection.exec_driver_sql("DROP TRIGGER refused"))

    def cut_off(self, id: str, winner: str = "b", **more: Any) -> Kept:
        """It is rolled out, the end is not written, and the process is gone."""
        before = self.given()
        with self.refusing(END), pytest.raises(Unavailable):
            self.book.stop(id, winner=winner, roll_out=True, reason="enough", **more)
        self.restart()
        kept = self.book.get(id)
        assert kept.status in ("running", "paused")
        assert kept.course.before is None
        assert self.given() != before
        return kept


@pytest.fixture(params=SUBJECTS)
def shop(request: Any, db: Database, registry: Registry, add_version: Callable[..., Any]) -> Shop:
    """A built-in scenario, one that was written, or a model with champion v1 whose gate lets v2 and v3 through."""
    clock = StoppedClock(20_000 * DAY)
    if request.param == "written":
        ScenarioBook(ScenarioStore(db, clock), KNOWN).put(Scenario("night", (Quota("ease", 10),))).result()
    if request.param == "model":
        add_version(2.0)
        registry.promote("line", 1)
        add_version(3.0, against=1)
        add_version(4.0, against=1)
    vocabularies = Vocabularies.load(db)
    return Shop(db, registry, request.param, clock, vocabularies, EventLog(db, vocabularies, clock))


@pytest.mark.parametrize("by_hand", [True, False])
def test_an_end_that_was_cut_off_is_finished_and_can_be_rolled_back(shop: Shop, by_hand: bool) -> None:
    before, id = shop.given(), shop.begun()
    shop.cut_off(id)
    out = shop.given()
    if by_hand:
        shop.book.stop(id, winner="b", roll_out=True, reason="enough")
    else:
        shop.keeper.look()
    done = shop.book.get(id)
    assert (done.status, done.course.winner, done.course.reason) == ("done", "b", "enough")
    assert (done.course.stopped_by, done.course.hand_over) == ("person", None)
    assert table.told(done).rolled_out
    assert shop.given() == out
    assert shop.book.roll_back(id).course.before is None
    assert shop.given() == before
    shop.restart()
    assert shop.given() == before


def test_the_last_step_that_was_cut_off_is_finished_by_the_next_look(shop: Shop) -> None:
    """A model's split is over with the promotion; it was not taken out."""
    before, id = shop.given(), shop.begun()
    shop.book.roll(id, "b", steps=[1.0], step_hours=1)
    shop.clock.advance(2 * HOUR)
    with shop.refusing(END):
        shop.keeper.look()
        shop.keeper.look()
    shop.restart()
    assert shop.book.get(id).status == "running"
    assert shop.given() != before
    shop.keeper.look()
    done = shop.book.get(id)
    assert (done.status, done.course.winner, done.course.rolling) == ("done", "b", None)
    assert done.course.reason == "rolled out step by step to 100%"
    shop.book.roll_back(id)
    assert shop.given() == before


def test_a_guard_that_trips_in_between_takes_it_back(shop: Shop) -> None:
    before, id = shop.given(), shop.begun(guards=["share:order"])
    people = [f"u{number}" for number in range(400)]
    shop.log.append([Event(event_type="view", user_id=one, item_id="i") for one in people]).result()
    rows = [int(shop.vocabularies.users.row(one) or 0) for one in people]
    at = shop.clock.now()
    units = [Unit(id, 1, row, number % 2, at, shop.log.last_seq) for number, row in enumerate(rows)]
    assert shop.db.writer.run(lambda connection: table.add_units(connection, units)) == len(people)
    shop.cut_off(id)
    orders = [Event(event_type="order", user_id=one, item_id="i", value=1.0) for one in people[::2]]
    shop.log.append(orders).result()
    shop.keeper.look()
    done = shop.book.get(id)
    assert (done.status, done.course.verdict, done.course.stopped_by) == ("done", "stopped by guard", "guard")
    assert (done.course.before, done.course.hand_over, done.course.winner) == (None, None, None)
    assert shop.given() == before


def test_who_ends_it_without_a_roll_out_has_it_taken_back(shop: Shop) -> None:
    before, id = shop.given(), shop.begun()
    shop.cut_off(id)
    with shop.refusing(END), pytest.raises(Unavailable):  # this one is cut off too, when it was taken back
        shop.book.stop(id)
    shop.restart()
    assert shop.given() == before
    done = shop.book.stop(id)
    assert (done.status, done.course.before, done.course.hand_over) == ("done", None, None)
    assert shop.given() == before


def test_who_chooses_another_one_goes_back_to_what_was_there_at_first(shop: Shop) -> None:
    before, id = shop.given(), shop.begun("abc")
    shop.cut_off(id)
    second = shop.given()
    done = shop.book.stop(id, winner="c", roll_out=True)
    assert done.course.winner == "c"
    assert shop.given() not in (before, second)
    shop.book.roll_back(id)
    assert shop.given() == before


def test_one_that_rests_is_finished_too(shop: Shop) -> None:
    before, id = shop.given(), shop.begun()
    shop.book.pause(id)
    shop.cut_off(id)
    shop.keeper.look()
    assert shop.book.get(id).status == "done"
    shop.book.roll_back(id)
    assert shop.given() == before


def test_a_roll_out_that_was_noted_and_not_made_changes_nothing(shop: Shop) -> None:
    before, id = shop.given(), shop.begun()
    with shop.refusing(FIRST[shop.kind]), pytest.raises(Unavailable):
        shop.book.stop(id, winner="b", roll_out=True)
    shop.restart()
    shop.keeper.look()
    kept = shop.book.get(id)
    assert (kept.status, shop.book.handed(kept), shop.given()) == ("running", None, before)
    assert kept.course.hand_over is not None
    assert table.told(kept).rolled_out is False
    assert table.told(shop.book.stop(id, winner="b", roll_out=True)).rolled_out
    assert shop.given() != before
    shop.book.roll_back(id)
    assert shop.given() == before


@pytest.mark.parametrize("shop", ["built in"], indirect=True)
def test_a_scenario_that_somebody_changed_since_is_theirs(shop: Shop) -> None:
    id = shop.begun()
    shop.cut_off(id)
    theirs = Scenario("home", (Quota(min(CHANNELS), 10),))
    shop.scenarios.put(theirs, by="anna").result()
    shop.keeper.look()
    kept = shop.book.get(id)
    assert (kept.status, shop.book.handed(kept)) == ("running", None)
    shop.book.stop(id)
    assert shop.given() == body_of(theirs)
    with pytest.raises(Conflict, match="has rolled nothing out"):
        shop.book.roll_back(id)


@pytest.mark.parametrize("shop", ["model"], indirect=True)
def test_what_cannot_be_taken_back_is_said_and_can_be_asked_again(shop: Shop) -> None:
    id = shop.begun()
    shop.cut_off(id)
    shop.registry.mark(shop.registry.version("line", 1), "removed")
    done = shop.book.stop(id)
    assert (done.status, shop.given()) == ("done", 2)
    assert done.course.reason.startswith("b stays with everybody: line v1 was removed")
    shop.registry.mark(shop.registry.version("line", 1), "ready")
    shop.book.roll_back(id)
    assert shop.given() == 1


@pytest.mark.parametrize("shop", ["model"], indirect=True)
def test_a_roll_out_that_is_refused_leaves_no_note(shop: Shop) -> None:
    id = shop.begun()
    shop.registry.promote("line", 3)
    with pytest.raises(Conflict, match="the gate says"):
        shop.book.stop(id, winner="b", roll_out=True)
    kept = shop.book.get(id)
    assert (kept.status, kept.course.hand_over, shop.given()) == ("running", None, 3)
