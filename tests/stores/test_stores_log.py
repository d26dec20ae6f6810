from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from ready_database import ready
from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import SECOND, ReplayClock, StoppedClock, micros, moment
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.records import Event, StoredEvent
from shopkeeper.stores.catalog import Catalog
from shopkeeper.stores.events import EventLog, EventRow, validate_event
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 20_000 * 86_400 * SECOND


def click(event_id: str | None = None, user: str | None = "u", item: str = "i", **fields: object) -> Event:
    return Event(event_type="click", user_id=user, item_id=item, event_id=event_id, **fields)


def row(event_id: str, user: str | None = "u", item: str = "i", time: int = NOW) -> EventRow:
    return (event_id, user, None, "order", "product", item, "online", time, 2.0, 3.5, 7.0, None, None)


class TestAppending:
    def test_what_was_appended_is_read_back_whole(self, log: EventLog) -> None:
        sent = Event(
            event_type="order",
            event_id="e1",
            user_id="u1",
            anonymous_id="cookie",
            item_id="i1",
            store_id="s1",
            time=moment(NOW - 5),
            quantity=2.0,
            unit_price=1.25,
            value=2.5,
            promotion="spring",
            context={"page": "home", "depth": [1, {"a": None}]},
        )
        answer = log.append([sent]).result(30)
        assert (answer.accepted, answer.duplicates, answer.first_seq, answer.last_seq) == (1, 0, 1, 1)
        expected = {name: getattr(sent, name) for name in Event.__struct_fields__} | {"target_id": "i1"}
        assert log.recent() == [StoredEvent(seq=1, **expected)]

    def test_a_repeat_changes_nothing(self, log: EventLog) -> None:
        log.append([click("a"), click("b")]).result(30)
        answer = log.append([click("b"), click("c"), click("c"), click("a")]).result(30)
        assert (answer.accepted, answer.duplicates) == (1, 3)
        assert (answer.first_seq, answer.last_seq) == (3, 3)
        assert [event.event_id for event in log.recent()] == ["c", "b", "a"]

    def test_a_bad_event_never_fails_its_list(self, log: EventLog) -> None:
        answer = log.append([click("a"), Event(event_type="click", user_id="u"), click("b")]).result(30)
        assert answer.accepted == 2
        assert [(rejection.index, "no target" in rejection.reason) for rejection in answer.rejected] == [(1, True)]

    def test_a_list_of_bad_events_or_none_is_answered_at_once(self, log: EventLog) -> None:
        assert log.append([]).result(0).accepted == 0
        assert log.append([click(item="a/b")]).result(0).rejected[0].index == 0

    def test_events_without_id_get_different_ones(self, log: EventLog) -> None:
        log.append([click(), click()]).result(30)
        assert len({event.event_id for event in log.recent()}) == 2

    def test_unknown_names_get_rows_in_the_same_transaction(
        self, log: EventLog, vocabularies: Vocabularies, catalog: Catalog
    ) -> None:
        log.append(
            [
                click("a", user="u1", item="i1", store_id="s1"),
                Event(event_type="open", anonymous_id="u1", target_kind="app", target_id="mail"),
                Event(event_type="follow", user_id="u1", target_kind="user", target_id="u2"),
            ]
        ).result(30)
        assert (vocabularies.users.row("u1"), vocabularies.users.row("u2")) == (0, 1)
        visitor = vocabularies.users.anonymous_row("u1")
        assert visitor == 2
        assert vocabularies.users.is_anonymous(visitor)
        assert vocabularies.users.id(visitor) == "u1"
        assert [catalog.kind[int(at)] for at in vocabularies.items.rows(["i1", "mail"])] == ["product", "app"]
        batch = log.read()
        assert batch.user.tolist() == [0, 2, 0]
        assert batch.item.tolist() == [0, 1, -1]
        assert batch.other.tolist() == [-1, -1, 1]
        assert batch.store.tolist() == [0, -1, -1]
        assert [event.target_id for event in log.recent()] == ["u2", "mail", "i1"]

    def test_a_sale_without_a_customer_belongs_to_nobody(self, log: EventLog) -> None:
        log.append([click(user=None)]).result(30)
        assert log.read().user.tolist() == [-1]
        assert log.recent()[0].user_id is None

    def test_after_close_it_is_unavailable(self, log: EventLog, db: Database) -> None:
        db.close()
        with pytest.raises(Unavailable):
            log.append([click()])

    def test_many_threads_append_each_event_once_and_without_gaps(self, log: EventLog) -> None:
        seen: list[int] = []
        log.subscribe(lambda batch, _: seen.extend(batch.seq.tolist()))

        def send(worker: int) -> list[int]:
            answers = [log.append([click(f"{worker}-{n}"), click(f"shared-{n}")]).result(60) for n in range(30)]
            return [a.accepted for a in answers]

        with ThreadPoolExecutor(8) as pool:
            accepted = sum(sum(answers) for answers in pool.map(send, range(8)))
        assert accepted == 8 * 30 + 30
        assert seen == list(range(1, accepted + 1))
        assert log.read().seq.tolist() == seen

    def test_answers_of_lists_that_shared_a_commit_are_their_own(self, log: EventLog, db: Database) -> None:
        entered, go = threading.Event(), threading.Event()

        def hold(_: Connection) -> None:
            entered.set()
            assert go.wait(30)

        db.writer.submit(hold)
        assert entered.wait(30)
        futures = [log.append([click("a"), click("b")]), log.append([click("b")]), log.append([click("c")])]
        go.set()
        answers = [future.result(30) for future in futures]
        assert [(a.accepted, a.duplicates, a.first_seq, a.last_seq) for a in answers] == [
            (2, 0, 1, 2),
            (0, 1, 0, 0),
            (1, 0, 3, 3),
        ]


class TestBulk:
    def test_rows_become_events(self, log: EventLog) -> None:
        answer = log.append_columns([row("a"), row("b", user=None)]).result(30)
        assert (answer.accepted, answer.first_seq, answer.last_seq) == (2, 1, 2)
        newest = log.recent()[0]
        assert (newest.event_id, newest.user_id, newest.quantity, newest.store_id) == ("b", None, 2.0, "online")
        assert micros(newest.time) == NOW

    def test_a_second_import_changes_nothing(self, log: EventLog) -> None:
        rows = [row(f"f:{n}") for n in range(1500)]
        log.append_columns(rows[:700]).result(30)
        again = log.append_columns(rows).result(30)
        assert (again.accepted, again.duplicates) == (800, 700)
        assert log.append_columns(rows).result(30).accepted == 0
        assert log.read().seq.tolist() == list(range(1, 1501))

    def test_rows_are_undone_with_the_write_they_belong_to(
        self, log: EventLog, db: Database, vocabularies: Vocabularies
    ) -> None:
        def fail(connection: Connection) -> None:
            log.insert_rows(connection, [row("a", user="ghost")])
            raise Invalid("the chunk is broken")

        with pytest.raises(Invalid):
            db.writer.run(fail)
        assert vocabularies.users.row("ghost") is None
        assert log.append([click("a", user="real")]).result(30).first_seq == 1
        assert vocabularies.users.row("real") == 0

    def test_two_bulk_inserts_of_one_write_are_numbered_on(self, log: EventLog, db: Database) -> None:
        def both(connection: Connection) -> list[int]:
            first, second = (log.insert_rows(connection, [row(name)]) for name in "ab")
            return [first.last_seq, second.first_seq]

        assert db.writer.run(both) == [1, 2]
        assert log.last_seq == 2


class TestReading:
    @pytest.fixture
    def filled(self, log: EventLog) -> EventLog:
        log.append_columns(
            [row(f"e{n}", user=f"u{n % 3}", item=f"i{n % 2}", time=NOW - (10 - n) * SECOND) for n in range(10)]
        ).result(30)
        log.append([click("live", user="u0")]).result(30)
        return log

    @pytest.mark.parametrize(
        ("ask", "expected"),
        [
            ({}, ["live", "e9", "e8", "e7", "e6", "e5", "e4", "e3", "e2", "e1", "e0"]),
            ({"limit": 2}, ["live", "e9"]),
            ({"user_id": "u1"}, ["e7", "e4", "e1"]),
            ({"user_id": "u1", "item_id": "i0"}, ["e4"]),
            ({"event_type": "click"}, ["live"]),
            ({"user_id": "nobody"}, []),
            ({"from_": NOW - 3 * SECOND, "to": NOW - SECOND}, ["e8", "e7"]),
            ({"after_seq": 8}, ["live", "e9", "e8"]),
            ({"before_seq": 3}, ["e1", "e0"]),
        ],
    )
    def test_recent_is_newest_first_and_filtered(
        self, filled: EventLog, ask: dict[str, int | str], expected: list[str]
    ) -> None:
        assert [event.event_id for event in filled.recent(**ask)] == expected

    def test_slices_join_to_the_whole(self, filled: EventLog) -> None:
        slices = [filled.read(after, 4) for after in (0, 4, 8, 12)]
        joined, whole = EventBatch.join(slices), filled.read()
        assert len(slices[-1]) == 0
        for name in ("seq", "user", "item", "other", "type", "store", "time", "quantity", "value", "promotion"):
            np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))

    def test_subscribers_see_the_columns_that_are_read_later(self, log: EventLog) -> None:
        seen: list[EventBatch] = []
        unsubscribe = log.subscribe(lambda batch, _: seen.append(batch))
        log.append([click("a", promotion="x"), Event(event_type="follow", target_kind="user", target_id="z")]).result(
            30
        )
        log.append_columns([row("b")]).result(30)
        unsubscribe()
        log.append([click("late")]).result(30)
        joined, stored = EventBatch.join(seen), log.read(limit=3)
        for name in EventBatch.__slots__:
            np.testing.assert_array_equal(getattr(joined, name), getattr(stored, name))
            assert getattr(joined, name).dtype == getattr(stored, name).dtype

    def test_live_subscribers_get_the_events_bulk_ones_do_not(self, log: EventLog) -> None:
        seen: list[list[StoredEvent] | None] = []
        log.subscribe(lambda _, events: seen.append(events))
        log.append([click("a")]).result(30)
        log.append_columns([row("b")]).result(30)
        assert seen == [[log.recent(before_seq=2)[0]], None]

    def test_a_listener_that_fails_does_not_stop_the_others(self, log: EventLog) -> None:
        seen: list[int] = []

        def fail(batch: EventBatch, _: object) -> None:
            raise Invalid("listener")

        log.subscribe(fail)
        log.subscribe(lambda batch, _: seen.extend(batch.seq.tolist()))
        log.append([click()]).result(30)
        log.append([click()]).result(30)
        assert seen == [1, 2]

    def test_another_reader_follows_the_file(self, engine_url: str, filled: EventLog, clock: StoppedClock) -> None:
        other = open_database(engine_url, read_only=True)
        reader = EventLog(other, Vocabularies.load(other), clock)
        filled.append([click("more")]).result(30)
        assert reader.last_seq == reader.count() == filled.last_seq == 12
        other.close()

    @pytest.mark.usefixtures("filled")
    def test_a_reopened_log_goes_on_where_it_stood(self, engine_url: str, db: Database) -> None:
        db.close()
        again = open_database(engine_url)
        log = EventLog(again, Vocabularies.load(again), StoppedClock(NOW))
        assert log.append([click("next", user="u2"), click("e3")]).result(30).first_seq == 12
        assert [event.user_id for event in log.recent(limit=1)] == ["u2"]
        again.close()


class TestEventCheck:
    @pytest.mark.parametrize(
        ("event", "reason"),
        [
            (Event(event_type="Click", item_id="i"), "event_type"),
            (Event(event_type="click"), "no target"),
            (Event(event_type="click", target_kind="app", item_id="i"), "item_id names a product"),
            (Event(event_type="click", item_id="i", target_id="j"), "different targets"),
            (Event(event_type="click", item_id="i", target_kind="Bad Kind"), "target_kind"),
            (click(item="a/b"), "slash"),
            (click(item="a\x00b"), "control"),
            (click(item=""), "0 characters"),
            (click(item="x" * 129), "129 characters"),
            (click(user="\ud800"), "control"),
            (click(quantity=float("nan")), "quantity"),
            (click(unit_price=float("inf")), "unit_price"),
            (click(value=-1e300), "value"),
            (click(promotion="p" * 129), "promotion"),
            (click(promotion="p\n"), "promotion"),
            (click(context={"x": "y" * 20_000}), "context"),
            (click(context={"x": object()}), "context"),
            (click(time=moment(NOW) + timedelta(seconds=301)), "future"),
            (click(time=moment(0) - timedelta(seconds=1)), "before 1970"),
        ],
    )
    def test_what_is_refused_says_why(self, event: Event, reason: str, log: EventLog) -> None:
        checked = validate_event(event, StoppedClock(NOW))
        assert isinstance(checked, str)
        assert reason in checked
        assert log.append([event]).result(0).rejected[0].reason == checked

    def test_no_time_means_now_and_a_near_future_is_the_shops_present(self) -> None:
        clock = StoppedClock(NOW)
        for time in (None, moment(NOW), moment(NOW) + timedelta(seconds=300)):
            checked = validate_event(click(time=time), clock)
            assert isinstance(checked, Event)
            assert checked.time == moment(NOW)

    def test_the_clients_present_is_the_shops_present(self) -> None:
        behind = ReplayClock(NOW, 0.0)
        checked = validate_event(click(time=moment(behind.wall())), behind)
        assert isinstance(checked, Event)
        assert checked.time == moment(NOW)

    def test_a_past_time_is_kept(self) -> None:
        checked = validate_event(click(time=moment(NOW - 7)), StoppedClock(NOW))
        assert isinstance(checked, Event)
        assert checked.time == moment(NOW - 7)


@pytest.fixture
def fresh_log(tmp_path_factory: pytest.TempPathFactory) -> Callable[[], tuple[Database, EventLog]]:
    def make() -> tuple[Database, EventLog]:
        db = open_database(sqlite_url(ready(tmp_path_factory.mktemp("log"))))
        return db, EventLog(db, Vocabularies.load(db), StoppedClock(NOW))

    return make


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(lists=st.lists(st.lists(st.integers(0, 15), max_size=8), max_size=6), bulk=st.booleans())
def test_each_id_is_in_the_log_once_in_order_of_first_arrival(
    fresh_log: Callable[[], tuple[Database, EventLog]], lists: list[list[int]], bulk: bool
) -> None:
    db, log = fresh_log()
    accepted = 0
    for ids in lists:
        names = [f"e{id}" for id in ids]
        future = log.append_columns([row(n) for n in names]) if bulk else log.append([click(n) for n in names])
        answer = future.result(30)
        assert answer.accepted + answer.duplicates == len(ids)
        accepted += answer.accepted
    first = list(dict.fromkeys(f"e{id}" for ids in lists for id in ids))
    assert [event.event_id for event in reversed(log.recent(limit=1000))] == first
    assert accepted == len(first)
    db.close()
