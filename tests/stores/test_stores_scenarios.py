"""Scenarios in SQL, and the book that follows what is written."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import insert

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.itemcolumns import FIELDS
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenariocheck import Known
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario
from shopkeeper.rules.schema import Schema
from shopkeeper.stores import scenarios as stored
from shopkeeper.stores.scenarios import ScenarioStore, tag_of
from shopkeeper.stores.schema import scenarios as table
from shopkeeper.stores.sql import Database

KNOWN = Known(recall=lambda: {"ease"}, rankers=lambda: {"home_ranker"}, schema=lambda: Schema(FIELDS))


@pytest.fixture
def store(db: Database) -> ScenarioStore:
    return ScenarioStore(db, StoppedClock(1_000_000))


def scenario(name: str = "night", **more: Any) -> Scenario:
    return Scenario(name, (Quota("ease", 10),), **more)


def test_versions_of_a_name_go_on_after_it_was_taken_away(store: ScenarioStore) -> None:
    first = store.put("night", {"a": 1}, first=0, by="ada").result()
    assert (first.version, first.changed_by, first.body) == (1, "ada", {"a": 1})
    assert store.put("night", None, first=0, by="bob").result().version == 2
    again = store.put("night", {"a": 2}, first=0, by="").result()
    assert again.version == 3
    assert store.all() == [again]
    assert [one.body for one in store.versions("night")] == [{"a": 2}, None, {"a": 1}]
    times = [one.changed_at for one in store.versions("night")]
    assert times == sorted(set(times), reverse=True)


def test_of_racing_writers_who_saw_the_same_one_wins(store: ScenarioStore) -> None:
    store.put("night", {}, first=0, by="").result()

    def change(k: int) -> bool:
        try:
            store.put("night", {"k": k}, first=0, by="", if_match=tag_of(1)).result()
        except Stale:
            return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(change, range(8))) == 1
    assert len(store.versions("night")) == 2


def test_if_match_of_what_is_not_there(store: ScenarioStore) -> None:
    with pytest.raises(Stale):
        store.put("night", {}, first=0, by="", if_match="*").result()
    assert store.put("home", {}, first=1, by="", if_match=tag_of(1)).result().version == 2, "built in: there"
    store.put("night", {}, first=0, by="").result()
    store.put("night", None, first=0, by="").result()
    with pytest.raises(Stale):
        store.put("night", {}, first=0, by="", if_match=tag_of(2)).result()


def test_there_is_an_end_to_their_number(store: ScenarioStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_SCENARIOS", 2)
    store.put("a", {}, first=0, by="").result()
    store.put("b", {}, first=0, by="").result()
    with pytest.raises(Conflict, match="as many as a shop may have"):
        store.put("c", {}, first=0, by="").result()
    store.put("b", {"more": 1}, first=0, by="").result()
    store.put("b", None, first=0, by="").result()
    store.put("c", {}, first=0, by="").result()
    with pytest.raises(Conflict):
        store.put("b", {}, first=0, by="").result()


def test_a_book_tells_each_durable_change_when_it_is_readable(store: ScenarioStore) -> None:
    told: list[tuple[str, int | None]] = []

    def tell(name: str) -> None:
        told.append((name, book.get(name).version if book.has(name) else None))

    book = ScenarioBook(store, KNOWN, tell)
    book.put(scenario(diversity=0.2), by="ada").result()
    book.put(scenario(diversity=0.3)).result()
    assert book.get("night").diversity == 0.3
    book.delete("night").result()
    with pytest.raises(Stale):
        book.put(scenario(), if_match=tag_of(3)).result()
    assert told == [("night", 1), ("night", 2), ("night", None)]
    with pytest.raises(NotFound):
        book.delete("night")
    with pytest.raises(Invalid, match=r"recall\[0\].channel"):
        book.put(Scenario("other", (Quota("nothing", 3),)))


def test_another_book_on_the_same_shop_reads_the_same(store: ScenarioStore) -> None:
    book = ScenarioBook(store, KNOWN)
    book.put(scenario(filters=("sellable", "price > 3"), boosts=(), objectives={"novelty": 1.0})).result()
    book.put(Scenario("home", (Quota("ease", 3),), ttl_s=1.0)).result()
    other = ScenarioBook(store, KNOWN)
    assert other.all() == book.all()
    book.delete("home").result()
    other.reload()
    assert other.get("home").recall == BUILT_IN["home"].recall
    assert other.get("home").version == 3


@pytest.mark.parametrize("body", [{}, {"recall": 7}, {"recall": [{"quota": 1}]}, {"recall": [], "boosts": [{}]}])
def test_what_nobody_can_read_is_passed_over(
    store: ScenarioStore, db: Database, body: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    row = {"name": "home", "version": 9, "body": body, "changed_at": 1, "changed_by": ""}
    db.writer.submit(lambda connection: connection.execute(insert(table).values(**row))).result()
    assert ScenarioBook(store, KNOWN).get("home") == BUILT_IN["home"]
    assert "cannot be read" in caplog.text


def test_a_rule_that_fits_no_more_is_told(store: ScenarioStore) -> None:
    wider = Schema([*FIELDS, FIELDS[0].__class__("brand", "text")])
    book = ScenarioBook(store, Known(KNOWN.recall, KNOWN.rankers, lambda: wider))
    book.put(scenario(filters=("sellable", "brand == 'Acme'"))).result()
    assert book.problems(book.get("night")) == []
    later = ScenarioBook(store, KNOWN)
    (problem,) = later.problems(later.get("night"))
    assert problem.startswith("filters[1]: at 1: unknown field 'brand'")


def test_a_version_of_a_ranker_must_exist_and_may_go(store: ScenarioStore) -> None:
    there = {("home_ranker", "7"), ("home_ranker", "candidate")}

    def find(model: str, ref: str) -> object:
        if (model, ref) not in there:
            raise NotFound(f"model {model!r} has no version {ref}", code="unknown_version")
        return object()

    book = ScenarioBook(store, replace(KNOWN, find=find))
    with pytest.raises(Invalid, match="ranker: model 'home_ranker' has no version 8") as error:
        book.put(scenario(ranker="home_ranker/8"))
    assert (error.value.code, error.value.field) == ("unknown_ranker", "ranker")
    for ranker in ("home_ranker", "home_ranker@candidate", "home_ranker/7", None):
        book.put(scenario(ranker=ranker)).result()
        assert book.problems(book.get("night")) == []
    book.put(scenario(ranker="home_ranker/7")).result()
    there.clear()
    (problem,) = book.problems(book.get("night"))
    assert problem.startswith("ranker: model 'home_ranker' has no version 7")
