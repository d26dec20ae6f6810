import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, ShopkeeperError, Stale
from shopkeeper.core.records import Rule
from shopkeeper.stores.etags import etag
from shopkeeper.stores.rules import RuleStore
from shopkeeper.stores.sql import Database, open_database


@pytest.fixture
def store(db: Database) -> RuleStore:
    return RuleStore(db, StoppedClock(1_000_000))


def rule(name: str = "big", condition: str = "spend > 1", **more: object) -> Rule:
    return Rule(name=name, condition=condition, **more)


def test_a_created_rule_is_there_with_version_1(store: RuleStore) -> None:
    made = store.create(rule(weight=0.5, description="d"), by="ada").result()
    assert (made.version, made.updated_by, made.weight, made.description) == (1, "ada", 0.5, "d")
    assert made.updated_at is not None
    assert made.updated_at.timestamp() == 1.0
    assert store.get("big") == made
    assert store.all() == [made]


def test_a_taken_name_is_refused(store: RuleStore) -> None:
    store.create(rule()).result()
    with pytest.raises(Invalid, match="exists already"):
        store.create(rule()).result()


def test_an_update_adds_a_version_and_keeps_what_is_not_named(store: RuleStore) -> None:
    store.create(rule(weight=2.0)).result()
    new = store.update("big", condition="spend > 9").result()
    assert (new.version, new.weight, new.condition) == (2, 2.0, "spend > 9")
    assert [r.condition for r in store.versions("big")] == ["spend > 9", "spend > 1"]
    assert store.get("big", version=1).condition == "spend > 1"


def test_if_match(store: RuleStore) -> None:
    first = store.create(rule()).result()
    second = store.update("big", weight=3, if_match=etag(first.updated_at)).result()
    with pytest.raises(Stale, match="read it again"):
        store.update("big", weight=4, if_match=etag(first.updated_at)).result()
    with pytest.raises(Stale):
        store.delete("big", if_match='"1"').result()
    store.update("big", weight=5, if_match="*").result()
    assert store.get("big").weight == 5
    assert second.version == 2


def test_of_two_racing_updates_one_wins(store: RuleStore) -> None:
    tag = etag(store.create(rule()).result().updated_at)
    with ThreadPoolExecutor(4) as pool:
        races = [pool.submit(store.update, "big", weight=k, if_match=tag) for k in range(8)]
        outcomes = [race.result().exception() for race in races]
    assert sum(outcome is None for outcome in outcomes) == 1
    assert sum(isinstance(outcome, Stale) for outcome in outcomes) == 7
    assert store.get("big").version == 2


def test_a_deleted_rule_is_gone_and_its_name_goes_on_counting(store: RuleStore) -> None:
    store.create(rule()).result()
    store.delete("big").result()
    assert store.all() == []
    with pytest.raises(NotFound):
        store.get("big")
    with pytest.raises(NotFound):
        store.update("big", weight=1).result()
    assert store.create(rule()).result().version == 3
    assert [r.version for r in store.versions("big")] == [3, 1]


def test_rules_survive_a_restart(engine_url: str) -> None:
    db = open_database(engine_url)
    made = RuleStore(db, StoppedClock(5)).create(rule()).result()
    db.close()
    db = open_database(engine_url)
    assert RuleStore(db, StoppedClock(9)).all() == [made]
    db.close()


def test_every_durable_write_is_counted_and_failed_ones_are_not(store: RuleStore) -> None:
    store.create(rule()).result()
    assert store.changes == 1
    with pytest.raises(Invalid):
        store.create(rule()).result()
    assert store.changes == 1


def test_defaults_are_added_once_and_a_deleted_one_does_not_come_back(store: RuleStore) -> None:
    assert store.add_missing([rule("a"), rule("b")]).result() == 2
    store.delete("a").result()
    assert store.add_missing([rule("a"), rule("b"), rule("c")]).result() == 1
    assert [r.name for r in store.all()] == ["b", "c"]


@pytest.mark.parametrize(
    "bad",
    [rule(""), rule("a/b"), rule("x" * 65), rule(weight=float("nan")), rule(weight=1e9), rule(description="x" * 1001)],
)
def test_bad_names_and_weights_are_refused(store: RuleStore, bad: Rule) -> None:
    with pytest.raises(Invalid):
        store.create(bad).result()
    assert store.all() == []


def test_unknown_names(store: RuleStore) -> None:
    store.create(rule()).result()
    for ask in (lambda: store.get("x"), lambda: store.versions("x"), lambda: store.get("big", version=7)):
        with pytest.raises(NotFound):
            ask()


def test_there_is_room_for_so_many_and_what_was_deleted_does_not_count(db: Database) -> None:
    store = RuleStore(db, StoppedClock(1), most=3)
    made = store.create_many([rule(name) for name in "abcd"]).result()
    assert [one.name for one in made[:3]] == ["a", "b", "c"]
    assert isinstance(made[3], Conflict)
    assert made[3].code == "too_many_rules"
    with pytest.raises(Conflict, match="remove one first"):
        store.create(rule("e")).result()
    store.update("a", weight=2).result()
    store.delete("b").result()
    store.create(rule("e")).result()
    assert [one.name for one in store.all()] == ["a", "c", "e"]


def test_writers_that_wait_together_do_not_pass_the_bound(db: Database) -> None:
    store = RuleStore(db, StoppedClock(1), most=5)
    assert store.all() == []
    gate = threading.Event()
    db.writer.submit(lambda _: gate.wait())
    waiting = [store.create(rule(f"r{k}")) for k in range(20)]
    gate.set()
    refused = [one for one in waiting if one.exception() is not None]
    assert len(refused) == 15
    assert len(store.all()) == 5


def test_of_many_the_good_ones_are_made_in_one_write(store: RuleStore) -> None:
    store.create(rule("taken")).result()
    before = store.changes
    made = store.create_many([rule("x"), rule("taken"), rule("bad/name"), rule("x"), rule("y")]).result()
    assert [type(one) for one in made] == [Rule, Invalid, Invalid, Invalid, Rule]
    assert store.changes == before + 1
    assert [one.name for one in store.all()] == ["taken", "x", "y"]


def test_what_is_in_memory_is_what_is_stored(db: Database) -> None:
    store = RuleStore(db, StoppedClock(1))
    store.all()
    store.create(rule("a")).result()
    store.create(rule("b")).result()
    store.update("a", weight=3, action="wave").result()
    store.delete("b").result()
    store.create(rule("b")).result()
    assert store.all() == RuleStore(db, StoppedClock(1)).all()
    assert [store.get(name) for name in "ab"] == store.all()


def test_a_reload_sees_what_another_hand_wrote(store: RuleStore, db: Database) -> None:
    assert store.all() == []
    other = RuleStore(db, StoppedClock(1))
    other.create(rule("theirs")).result()
    assert store.all() == []
    before = store.changes
    assert store.reload() == 1
    assert [one.name for one in store.all()] == ["theirs"]
    assert store.changes > before


def test_a_write_that_fails_leaves_memory_as_the_table_is(db: Database) -> None:
    store = RuleStore(db, StoppedClock(1))
    kept = store.create(rule("kept")).result()
    assert store.all() == [kept]
    full = "CREATE TRIGGER full BEFORE INSERT ON rules BEGIN SELECT RAISE(ABORT, 'disk is full'); END"
    db.writer.run(lambda connection: connection.exec_driver_sql(full))
    before = store.changes
    for write in (store.create(rule("new")), store.update("kept", weight=9), store.delete("kept")):
        assert isinstance(write.exception(), ShopkeeperError)
    assert isinstance(store.create_many([rule("a"), rule("b")]).exception(), ShopkeeperError)
    assert (store.all(), store.changes) == ([kept], before)
