"""Calendar entries and numbers of days: written by the writer, read from memory, undone with a write that fails."""

from typing import Any

import pytest
from sqlalchemy import text

from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.core.records import CalendarEntry
from shopkeeper.stores import calendar
from shopkeeper.stores.calendar import CalendarStore
from shopkeeper.stores.sql import Database

CLOCK = StoppedClock(5_000_000)


@pytest.fixture
def store(db: Database) -> CalendarStore:
    return CalendarStore(db, CLOCK)


def entry(kind: str = "promotion", first: str = "2024-06-03", last: str = "2024-06-09", **more: Any) -> CalendarEntry:
    return CalendarEntry(kind=kind, name="Sale", from_=first, to=last, **more)  # type: ignore[arg-type]


def test_an_entry_is_there_when_its_future_is_done_and_after_another_start(db: Database, store: CalendarStore) -> None:
    made = store.add(entry(item_ids=["b", "a", "a"], discount=0.2), by="ada").result()
    assert store.all()[0].item_ids == ["a", "b"]
    assert store.get(made.id).discount == 0.2
    changed = store.put(made.id, entry("holiday", "2024-01-01", "2024-01-01")).result()
    assert (changed.id, store.get(made.id).kind) == (made.id, "holiday")
    assert CalendarStore(db, CLOCK).all() == store.all()
    store.delete(made.id).result()
    assert store.all() == ()


def test_lists_are_of_those_that_touch_the_days(store: CalendarStore) -> None:
    store.add(entry()).result()
    store.add(entry("closed", "2024-12-25", "2024-12-26")).result()
    day = 19_877  # 2024-06-03
    assert [one.kind for one in store.list(day + 6, day + 300)] == ["promotion", "closed"]
    assert [one.kind for one in store.list(day + 7)] == ["closed"]
    assert store.list(None, day - 1) == []
    assert [one.kind for one in store.list(kind="closed")] == ["closed"]
    with pytest.raises(Invalid, match="kind"):
        store.list(kind="party")


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"kind": "party"}, "kind"),
        ({"first": "soon"}, "from"),
        ({"last": "1969-01-01"}, "to"),
        ({"first": "2024-06-10"}, "to"),
        ({"first": "2010-01-01"}, "to"),
        ({"kind": "holiday", "item_ids": ["a"]}, "item_ids"),
        ({"item_ids": []}, "item_ids"),
        ({"store_ids": ["a/b"]}, "store_ids"),
        ({"discount": 1.5}, "discount"),
        ({"discount": float("nan")}, "discount"),
    ],
)
def test_what_makes_no_sense_is_refused(store: CalendarStore, wrong: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as told:
        store.add(entry(**wrong))
    assert told.value.field == field
    assert store.all() == ()


def test_what_is_not_there_cannot_be_changed(store: CalendarStore) -> None:
    for future in (store.put("ghost", entry()), store.delete("ghost")):
        with pytest.raises(NotFound):
            future.result()
    with pytest.raises(NotFound):
        store.get("ghost")


def test_the_same_entries_are_added_once_and_a_full_calendar_takes_none(
    store: CalendarStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    both = [entry(), entry("closed", "2024-12-25", "2024-12-25"), entry()]
    assert store.put_many(both).result() == 2
    assert store.put_many(both).result() == 0
    monkeypatch.setattr(calendar, "MOST_ENTRIES", 3)
    with pytest.raises(Conflict, match="3 entries already"):
        store.put_many([entry(first="2024-01-01"), entry(first="2024-01-02")]).result()
    assert len(store.all()) == 2  # all or none


def test_a_database_that_cannot_answer_is_unavailable(db: Database, store: CalendarStore) -> None:
    db.writer.run(lambda connection: connection.execute(text("DROP TABLE calendar")))
    with pytest.raises(Unavailable):
        store.add(entry()).result()
    with pytest.raises(Unavailable):
        CalendarStore(db, CLOCK)
