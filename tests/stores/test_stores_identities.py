"""Binding and merging in SQL: one transaction, once, for good."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy import Connection, func, insert, select

from shopkeeper.core.clock import DAY, StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.records import Event, Identified, User
from shopkeeper.stores import jobs, schema
from shopkeeper.stores.audit import Actor
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.events import EventLog
from shopkeeper.stores.holdings import person_at
from shopkeeper.stores.identities import Done, IdentityStore, Moved
from shopkeeper.stores.preferences import PreferenceStore
from shopkeeper.stores.sql import Database, open_database
from shopkeeper.stores.users import UserStore
from shopkeeper.stores.vocabulary import Vocabularies


class Shop:
    """The stores of people on one database."""

    def __init__(self, db: Database, vocab: Vocabularies, clock: StoppedClock, log: EventLog) -> None:
        self.db, self.vocab, self.clock, self.log = db, vocab, clock, log
        self.users = UserStore(db, vocab, clock)
        self.consents = ConsentStore(db, vocab, clock)
        self.preferences = PreferenceStore(db, vocab, clock)
        self.identities = IdentityStore(db, vocab, clock, log, self.consents)

    def send(self, *people: tuple[str | None, str | None], type_: str = "view", about: str | None = None) -> None:
        """One event for each (user_id, anonymous_id)."""
        target: dict[str, Any] = {"item_id": "i"} if about is None else {"target_kind": "user", "target_id": about}
        events = [Event(event_type=type_, user_id=user, anonymous_id=visitor, **target) for user, visitor in people]
        assert self.log.append(events).result(30).accepted == len(events)

    def bind(self, anonymous_id: str, user_id: str) -> Identified:
        return self.identities.bind(anonymous_id, user_id, Actor("shop")).result(30).identity

    def merge(self, from_: str, into: str) -> Identified:
        return self.identities.merge(from_, into, Actor("owner")).result(30).identity

    def rows_of_events(self) -> list[int]:
        with self.db.read() as connection:
            return list(connection.scalars(select(schema.events.c.user_row).order_by(schema.events.c.seq)))

    def row(self, user_id: str) -> int:
        row = self.vocab.users.row(user_id)
        assert row is not None
        return row


@pytest.fixture
def shop(db: Database, vocabularies: Vocabularies, clock: StoppedClock, log: EventLog) -> Shop:
    return Shop(db, vocabularies, clock, log)


@pytest.fixture
def reopened(shop: Shop, engine_url: str) -> Any:
    """The same database, opened again by somebody who knows nothing."""
    opened: list[Database] = []

    def reopen() -> Shop:
        shop.db.close()
        db = open_database(engine_url)
        opened.append(db)
        vocab = Vocabularies.load(db)
        return Shop(db, vocab, shop.clock, EventLog(db, vocab, shop.clock))

    yield reopen
    for db in opened:
        db.close()


class TestBinding:
    def test_what_the_visitor_did_and_will_do_is_the_users(self, shop: Shop) -> None:
        shop.send((None, "v"), ("u", None), (None, "v"), ("u", "v"), (None, "w"))
        bound = shop.bind("v", "u")
        assert bound == Identified(user_id="u", anonymous_ids=["v"], moved_events=2)
        shop.send((None, "v"), ("other", "v"))
        u, other = shop.row("u"), shop.row("other")
        assert shop.vocab.users.anonymous_row("v") == u
        assert shop.rows_of_events() == [u, u, u, u, shop.vocab.users.anonymous_row("w"), u, other]
        assert {event.user_id for event in shop.log.recent(user_id="u")} == {"u"}
        assert shop.log.recent(user_id="u")[0].anonymous_id == "v"

    def test_repeating_changes_nothing(self, shop: Shop) -> None:
        shop.send((None, "v"))
        first = shop.bind("v", "u")
        again = shop.bind("v", "u")
        assert (first.moved_events, again.moved_events) == (1, 0)
        assert again.anonymous_ids == ["v"]
        with shop.db.read() as connection:
            assert connection.scalar(select(func.count()).select_from(schema.audit)) == 1

    def test_a_visitor_that_nobody_has_seen_yet(self, shop: Shop, reopened: Callable[[], Shop]) -> None:
        assert shop.bind("new", "u").moved_events == 0
        shop.send((None, "new"))
        assert shop.rows_of_events() == [shop.row("u")]
        assert len(shop.vocab.users) == 1
        again = reopened()
        assert again.vocab.users.anonymous_row("new") == again.row("u")
        again.send((None, "new"))
        assert again.rows_of_events() == [again.row("u")] * 2

    def test_a_visitor_belongs_to_one_user(self, shop: Shop) -> None:
        shop.send((None, "v"), ("u", None), ("w", None))
        shop.bind("v", "u")
        for user in ("w", "nobody-yet"):
            with pytest.raises(Conflict, match="bound to another user") as caught:
                shop.bind("v", user)
            assert caught.value.code == "bound_to_another"
        assert shop.vocab.users.row("nobody-yet") is None
        assert shop.identities.get("w").anonymous_ids == []

    def test_two_at_once_one_wins(self, shop: Shop) -> None:
        shop.send(*((None, f"v{n}") for n in range(20)))
        for n in range(20):
            start = threading.Barrier(2)
            futures: list[Future[Done]] = []

            def bind(user: str, n: int = n, start: threading.Barrier = start, to: list[Any] = futures) -> None:
                start.wait(30)
                to.append(shop.identities.bind(f"v{n}", user))

            threads = [threading.Thread(target=bind, args=(user,)) for user in ("a", "b")]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            errors = [future.exception(30) for future in futures]
            assert sorted(type(error).__name__ for error in errors) == ["Conflict", "NoneType"]
        owned = [
            len(shop.identities.get(user).anonymous_ids)
            for user in ("a", "b")
            if shop.vocab.users.row(user) is not None
        ]
        assert sum(owned) == 20

    @pytest.mark.parametrize(("visitor", "user"), [("", "u"), ("v", ""), ("v/1", "u"), ("v\n", "u"), ("v", "x" * 129)])
    def test_ids_that_cannot_be(self, shop: Shop, visitor: str, user: str) -> None:
        with pytest.raises(Invalid):
            shop.identities.bind(visitor, user)


class TestMerging:
    def test_events_ids_and_targets_move(self, shop: Shop) -> None:
        shop.send(("a", None), ("b", None), ("a", None), (None, "v"))
        shop.send(("c", None), about="a")
        shop.bind("v", "a")
        merged = shop.merge("a", "b")
        assert merged == Identified(user_id="b", anonymous_ids=["v"], merged_from=["a"], moved_events=3)
        assert shop.merge("a", "b") == Identified(user_id="b", anonymous_ids=["v"], merged_from=["a"])
        b = shop.row("b")
        assert shop.row("a") == shop.vocab.users.anonymous_row("v") == b
        shop.send(("a", None), (None, "v"), ("c", None), about="a")
        assert shop.rows_of_events() == [b, b, b, b, shop.row("c"), b, b, shop.row("c")]
        assert {event.target_id for event in shop.log.recent(user_id="c")} == {"b"}
        assert shop.identities.get("a") == shop.identities.get("b")

    def test_chains_lead_to_the_end_also_after_a_restart(self, shop: Shop, reopened: Callable[[], Shop]) -> None:
        shop.send(("a", None), ("b", None), ("c", None), ("d", None), (None, "v"))
        shop.bind("v", "a")
        shop.merge("a", "b")
        shop.merge("b", "c")
        assert shop.merge("d", "a").user_id == "c"
        assert shop.merge("a", "c").moved_events == 0
        assert shop.bind("w", "a").user_id == "c"
        for now in _before_and_after(shop, reopened):
            users = now.vocab.users
            ends = {users.row("a"), users.row("b"), users.row("d"), users.anonymous_row("v"), users.anonymous_row("w")}
            assert ends == {now.row("c")}
            found = now.identities.get("b")
            assert (found.user_id, found.anonymous_ids, found.merged_from) == ("c", ["v", "w"], ["a", "b", "d"])
            assert set(now.rows_of_events()) == {now.row("c")}
            now.send(("a", None), (None, "v"))

    def test_what_cannot_be_merged(self, shop: Shop) -> None:
        shop.send(("a", None), ("b", None), ("c", None), (None, "v"))
        shop.merge("a", "b")
        before = shop.rows_of_events()
        with pytest.raises(Invalid, match="one user already"):
            shop.merge("c", "c")
        with pytest.raises(Conflict, match="circle"):
            shop.merge("b", "a")
        with pytest.raises(Conflict, match="merged into 'b' already"):
            shop.merge("a", "c")
        for from_, into, field in (("x", "b", "from_user_id"), ("b", "x", "into_user_id"), ("v", "b", "from_user_id")):
            with pytest.raises(NotFound) as caught:
                shop.merge(from_, into)
            assert caught.value.field == field
        assert shop.rows_of_events() == before
        with pytest.raises(NotFound):
            shop.identities.get("x")

    def test_records_are_joined_and_the_own_one_wins(self, shop: Shop) -> None:
        shop.users.put(User(user_id="a", attributes={"city": "Ulm", "age": 30})).result(30)
        shop.clock.advance(DAY)
        shop.users.put(User(user_id="b", attributes={"city": "Bonn", "plan": "x"})).result(30)
        born = shop.users.get("a").created_at
        shop.clock.advance(DAY)
        shop.merge("a", "b")
        joined = shop.users.get("b")
        assert joined.attributes == {"city": "Bonn", "age": 30, "plan": "x"}
        assert joined.created_at == born
        with pytest.raises(NotFound):
            shop.users.get("a")
        assert [user.user_id for user in shop.users.list()[0]] == ["b"]

    def test_a_record_of_the_merged_id_does_not_take_the_others_place(self, shop: Shop) -> None:
        for user in ("a", "b"):
            shop.users.put(User(user_id=user, attributes={"is": user})).result(30)
        shop.merge("a", "b")
        with pytest.raises(Conflict, match="merged into 'b'"):
            shop.users.put(User(user_id="a", attributes={"is": "nobody"})).result(30)
        done = shop.users.put_many(
            [User(user_id="c"), User(user_id="a"), User(user_id="b", attributes={"n": 1})]
        ).result(30)
        assert (done.created, done.updated, [one.index for one in done.rejected]) == (1, 1, [1])
        assert shop.users.get("b").attributes == {"n": 1}

    def test_a_record_comes_along_to_a_user_without_one(self, shop: Shop) -> None:
        shop.users.put(User(user_id="a", attributes={"age": 30})).result(30)
        shop.send(("b", None))
        shop.merge("a", "b")
        assert shop.users.get("b").attributes == {"age": 30}

    def test_refusals_stay_and_statements_are_joined(self, shop: Shop, reopened: Callable[[], Shop]) -> None:
        shop.send(("a", None), ("b", None), ("c", None), (None, "v"))
        shop.consents.change("a", {"marketing": False}).result(30)
        shop.consents.change("b", {"profiling": False}).result(30)
        shop.preferences.change("a", {"size": "S", "colour": "red"}).result(30)
        shop.preferences.change("b", {"size": "M"}).result(30)
        shop.merge("a", "b")
        shop.merge("b", "c")
        for now in _before_and_after(shop, reopened):
            row = now.row("c")
            said = now.consents.of(row)
            assert (said.personalization, said.profiling, said.marketing) == (True, False, False)
            assert now.consents.refused("marketing") == {row}
            assert now.preferences.of(row).fields == {"size": "M", "colour": "red"}

    def test_open_stays_in_segments_end(self, shop: Shop) -> None:
        shop.send(("a", None), ("b", None))
        a, b, now = shop.row("a"), shop.row("b"), shop.clock.now()
        spans = [(a, now - DAY, None), (a, now - DAY, now - 5), (b, now - DAY, None), (a, now + DAY, None)]

        def write(connection: Connection) -> None:
            for row, entered, left in spans:
                span = {"segment": "s", "user_row": row, "entered_at": entered, "left_at": left}
                connection.execute(insert(schema.segment_spans).values(span))

        shop.db.writer.run(write)
        shop.merge("a", "b")
        with shop.db.read() as connection:
            left = list(connection.scalars(select(schema.segment_spans.c.left_at).order_by("position")))
        assert left == [now, now - 5, None, now + DAY]

    def test_one_that_fails_leaves_nothing_behind(self, shop: Shop) -> None:
        """Together the attributes are too large: that is found when much was written already."""
        for user in ("a", "b"):
            shop.users.put(User(user_id=user, attributes={user: user * 40_000})).result(30)
        shop.send(("a", None), (None, "v"))
        audience = Audience()
        shop.identities.tell(audience)
        with pytest.raises(Invalid, match="attributes take"):
            shop.merge("a", "b")
        with pytest.raises(RuntimeError, match="disk"):
            shop.db.writer.run(lambda connection: _then_fail(shop.identities._bind(connection, "v", "a", Actor())))
        assert audience.told == ["begun", "ended"]
        assert shop.row("a") != shop.row("b")
        assert shop.vocab.users.anonymous_row("v") not in (None, shop.row("a"))
        shop.send(("a", None), (None, "v"))
        assert shop.rows_of_events() == [shop.row("a"), shop.vocab.users.anonymous_row("v")] * 2
        assert shop.identities.get("a").anonymous_ids == []
        with shop.db.read() as connection:
            assert connection.scalar(select(func.count()).select_from(schema.merges)) == 0

    def test_who_did_it_is_kept(self, shop: Shop) -> None:
        shop.send(("a", None), ("b", None))
        shop.bind("v", "a")
        shop.merge("a", "b")
        with shop.db.read() as connection:
            noted = connection.execute(select(schema.audit.c.who, schema.audit.c.what, schema.audit.c.after)).all()
            by = connection.scalar(select(schema.merges.c.merged_by))
        assert [tuple(row) for row in noted] == [
            ("shop", "identity_bound", {"anonymous_id": "v"}),
            ("owner", "identity_merged", {"user_id": "a"}),
        ]
        assert by == "owner"


def test_changes_and_events_of_one_commit_keep_their_order(shop: Shop) -> None:
    """All in one group: an event before a merge is handed over with it, one after it has the other's row."""
    shop.send(("a", None), ("b", None))
    audience = Audience()
    shop.identities.tell(audience)
    open_, entered = threading.Event(), threading.Event()
    held = shop.db.writer.submit(lambda _: (entered.set(), open_.wait(30)))
    assert entered.wait(30)
    first, last = (
        [(event_id, "a", None, "view", "product", "i", None, 0, None, None, None, None, None)]
        for event_id in ("1", "2")
    )
    first = shop.log.append_columns(first)
    merged = shop.identities.merge("a", "b")
    last = shop.log.append_columns(last)
    chained = shop.identities.merge("b", "c-new")
    open_.set()
    held.result(30)
    assert (first.result(30).last_seq, merged.result(30).identity.moved_events, last.result(30).last_seq) == (3, 2, 4)
    with pytest.raises(NotFound):
        chained.result(30)
    (moved,) = audience.moves
    assert (moved.seq, moved.events.seq.tolist()) == (3, [1, 2, 3])
    assert moved.events.user.tolist() == [moved.source, moved.target, moved.source]
    assert audience.told == ["begun", "moved", "ended"]
    assert shop.rows_of_events() == [shop.row("b")] * 4


class Audience:
    def __init__(self) -> None:
        self.told: list[str] = []
        self.moves: list[Moved] = []

    def begun(self) -> None:
        self.told.append("begun")

    def moved(self, moved: Moved) -> None:
        self.told.append("moved")
        self.moves.append(moved)

    def ended(self) -> None:
        self.told.append("ended")


def _before_and_after(shop: Shop, reopened: Callable[[], Shop]) -> Iterator[Shop]:
    yield shop
    yield reopened()


def _then_fail(_: object) -> None:
    raise RuntimeError("disk")


def test_nothing_of_an_erased_person_stays_in_the_vocabulary(shop: Shop) -> None:
    shop.send(("anna", None), ("bert", None), (None, "tab"))
    shop.bind("tab", "anna")
    shop.merge("anna", "bert")
    users, row, rows = shop.vocab.users, shop.row("bert"), range(3)
    shop.db.writer.run(lambda _: [users.erase(one, f"nobody-{one}") for one in rows])
    assert (users.row("anna"), users.row("bert"), users.anonymous_row("tab")) == (None, None, None)
    assert users.redirects.to(row) == []
    assert users.ids(rows) == [f"nobody-{one}" for one in rows]


def test_who_is_being_erased_is_joined_with_nobody(shop: Shop) -> None:
    shop.send(("anna", None), ("bert", None), ("carl", None), (None, "tab"))
    work = jobs.erasing(shop.row("anna"))
    shop.db.writer.run(
        lambda connection: (
            jobs.add(connection, "J", "erase", {}, work_key=work, requested_by="", now=1, queue_limit=9).job_id
        )
    )
    for change in (
        lambda: shop.merge("anna", "bert"),
        lambda: shop.merge("bert", "anna"),
        lambda: shop.bind("tab", "anna"),
    ):
        with pytest.raises(Conflict, match="being erased"):
            change()
    assert shop.merge("carl", "bert").merged_from == ["carl"]
    shop.db.writer.run(lambda connection: jobs.finish(connection, "J", "failed", now=2))
    assert shop.merge("anna", "bert").merged_from == ["anna", "carl"]


def test_the_person_of_a_merged_row_is_the_other(shop: Shop) -> None:
    shop.send(("anna", None), ("bert", None))
    row = shop.row("anna")
    shop.merge("anna", "bert")
    with shop.db.read() as connection:
        found = person_at(connection, row)
        assert found == person_at(connection, shop.row("bert"))
    assert found is not None
    assert found.rows == (shop.row("bert"), row)
    assert set(found.user_ids) == {"anna", "bert"}
