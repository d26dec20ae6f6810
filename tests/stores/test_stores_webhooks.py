"""Webhooks as rows, and the outbox: what is written with a transaction, and what bounds it."""

from __future__ import annotations

from itertools import pairwise

import pytest
from sqlalchemy import insert, select, update

from shopkeeper.core.clock import DAY, StoppedClock, micros
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.stores import deliveries as outbox
from shopkeeper.stores import schema
from shopkeeper.stores.etags import etag
from shopkeeper.stores.webhooks import WEBHOOKS, Announcement, WebhookStore

URL = "https://crm.example/hook"
ENTERED = ["segment.entered"]
SECRET = "sixteen letters or more"


@pytest.fixture
def store(db, clock):
    def people(connection):
        born = {"kind": "user", "attributes": {}, "listed": True, "created_at": 1, "updated_at": 1}
        connection.execute(insert(schema.users), [{"row": row, "user_id": f"u{row}", **born} for row in range(3)])
        segment = {"name": "loyal", "version": 1, "description": "", "condition": "x", "updated_at": 1}
        connection.execute(insert(schema.segments).values(segment))

    db.writer.run(people)
    return WebhookStore(db, clock, shop="s")


def entries(*rows: int, event: str = "segment.entered", segment: str = "loyal") -> list[Announcement]:
    return [Announcement(event, segment, row, f"u{row}", 7) for row in rows]


def announce(db, store, told) -> int:
    return db.writer.run(lambda connection: store.announce(connection, told))


def secret_of(db, webhook_id) -> str:
    with db.read() as connection:
        return connection.scalar(select(schema.webhooks.c.secret).where(schema.webhooks.c.webhook_id == webhook_id))


def test_one_is_made_changed_and_taken_away(db, store, clock):
    made = store.create(URL, [*ENTERED, *ENTERED], segment="loyal", by="anna").result()
    assert (made.url, made.events, made.segment, made.updated_by) == (URL, ENTERED, "loyal", "anna")
    assert len(made.secret) >= 32
    assert [one.webhook_id for one in store.all()] == [made.webhook_id]
    assert "secret" not in store.all()[0].__struct_fields__

    clock.advance(DAY)
    changed = store.update(made.webhook_id, f"{URL}/2", ["segment.left"], by="bert").result()
    assert (changed.url, changed.events, changed.segment, changed.updated_by) == (
        f"{URL}/2",
        ["segment.left"],
        None,
        "bert",
    )
    assert secret_of(db, made.webhook_id) == made.secret  # left out: it stays
    store.update(made.webhook_id, URL, ENTERED, secret=SECRET).result()
    assert secret_of(db, made.webhook_id) == SECRET
    store.delete(made.webhook_id).result()
    assert store.all() == []
    assert store.hooks == ()


def test_a_given_secret_is_not_told_back(db, store):
    made = store.create(URL, ENTERED, secret=SECRET).result()
    assert made.secret is None
    assert secret_of(db, made.webhook_id) == SECRET
    assert SECRET not in repr(store.hooks)
    assert URL not in repr(store.hooks)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"events": ["alert.raised"]}, "events"),
        ({"events": ["webhook.test"]}, "events"),
        ({"events": []}, "events"),
        ({"secret": "short"}, "secret"),
        ({"secret": "a" * 257}, "secret"),
        ({"secret": "with a\nline break in it"}, "secret"),
        ({"segment": "nobody"}, "segment"),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(store, changes, field):
    made = store.create(URL, ENTERED).result()
    with pytest.raises(Invalid) as refused:
        store.create(**{"url": URL, "events": ENTERED, **changes}).result()
    assert refused.value.field == field
    with pytest.raises(Invalid):
        store.update(made.webhook_id, **{"url": URL, "events": ENTERED, **changes}).result()
    (left,) = store.all()
    assert left.updated_at == made.updated_at


def test_a_refused_event_is_told_which_there_are(store):
    with pytest.raises(Invalid, match=r"stock_out\.expected.*segment\.entered, segment\.left"):
        store.create(URL, ["stock_out.expected"])


def test_the_address_is_asked_about(db, clock):
    def check(url: str) -> None:
        raise Invalid(f"not {url}", field="url")

    store = WebhookStore(db, clock, check_url=check)
    with pytest.raises(Invalid, match="not https"):
        store.create(URL, ENTERED)
    with pytest.raises(Invalid, match="not https"):
        store.update("x", URL, ENTERED)


def test_unknown_and_stale(store):
    for call in (store.delete, store.test, lambda one: store.update(one, URL, ENTERED)):
        with pytest.raises(NotFound):
            call("nobody").result()
    with pytest.raises(NotFound):
        store.deliveries("nobody")
    made = store.create(URL, ENTERED).result()
    old = etag(made.updated_at)
    store.update(made.webhook_id, URL, ENTERED, if_match=old).result()
    with pytest.raises(Stale):
        store.update(made.webhook_id, URL, ENTERED, if_match=old).result()
    with pytest.raises(Stale):
        store.delete(made.webhook_id, if_match=old).result()


def test_there_are_not_too_many(store):
    for _ in range(WEBHOOKS):
        store.create(URL, ENTERED).result()
    with pytest.raises(Conflict, match="delete one first"):
        store.create(URL, ENTERED).result()


def test_nothing_is_written_when_nobody_wants_it(db, store):
    assert announce(db, store, entries(0)) == 0
    store.create(URL, ["segment.left"]).result()
    assert announce(db, store, entries(0)) == 0
    assert announce(db, store, []) == 0


def test_everybody_who_wants_it_gets_it_in_order(db, store):
    every = store.create(URL, ENTERED).result().webhook_id
    loyal = store.create(URL, ENTERED, segment="loyal").result().webhook_id
    told = [*entries(2), *entries(1, segment="other"), *entries(0), *entries(0, event="segment.left")]
    assert announce(db, store, told) == 5
    found = [one.payload["user_id"] for one in store.deliveries(every)[0][::-1]]
    assert found == ["u2", "u1", "u0"]
    assert [one.payload["user_id"] for one in store.deliveries(loyal)[0][::-1]] == ["u2", "u0"]


def test_the_order_outlives_a_clock_that_stands_and_a_new_start(db, store):
    hook = store.create(URL, ENTERED).result().webhook_id
    announce(db, store, entries(0, 1, 2))
    again = WebhookStore(db, StoppedClock(DAY), shop="s")  # set back by years
    announce(db, again, entries(2, 1, 0))
    found = again.deliveries(hook)[0][::-1]
    assert [one.payload["user_id"] for one in found] == ["u0", "u1", "u2", "u2", "u1", "u0"]
    times = [micros(one.created_at) for one in found]
    assert all(one < two for one, two in pairwise(times))


def test_the_same_event_has_one_id_wherever_and_whenever_it_is_told(db, store):
    hooks = [store.create(URL, ENTERED).result().webhook_id for _ in range(2)]
    announce(db, store, entries(0))
    announce(db, store, entries(0))
    found = [one for hook in hooks for one in store.deliveries(hook)[0]]
    assert len({one.payload["event_id"] for one in found}) == 1
    assert len({one.delivery_id for one in found}) == 4
    announce(db, store, [Announcement("segment.entered", "loyal", 0, "u0", 8)])
    assert store.deliveries(hooks[0])[0][0].payload["event_id"] != found[0].payload["event_id"]


def test_deliveries_come_in_pages_newest_first(db, store):
    hook = store.create(URL, ENTERED).result().webhook_id
    announce(db, store, entries(0, 1, 2, 0, 1))
    first, cursor = store.deliveries(hook, limit=3)
    rest, end = store.deliveries(hook, limit=3, cursor=cursor)
    assert [one.payload["user_id"] for one in first + rest] == ["u1", "u0", "u2", "u1", "u0"]
    assert end is None
    assert store.deliveries(hook, limit=5)[1] is None
    for bad in ("x", "bm90IGEgbnVtYmVy", "!"):
        with pytest.raises(Invalid):
            store.deliveries(hook, cursor=bad)


def test_one_test_at_a_time(store):
    hook = store.create(URL, ENTERED).result().webhook_id
    first = store.test(hook).result()
    assert store.test(hook).result().delivery_id == first.delivery_id
    assert (first.next_try, first.status) == (None, "pending")


def test_a_bound_is_kept_however_much_is_told_at_once(db, clock, store):
    del store
    small = WebhookStore(db, clock, pending=10)
    hook = small.create(URL, ENTERED).result().webhook_id
    for _ in range(50):
        announce(db, small, entries(0))
        with db.read() as connection:
            assert outbox.counts(connection)[hook] <= 10
    again = WebhookStore(db, clock, pending=10)  # it knows how many wait
    announce(db, again, entries(*[1] * 9))
    with db.read() as connection:
        assert outbox.counts(connection)[hook] <= 10


def test_those_told_are_not_counted_as_waiting(db, clock, store):
    del store
    small = WebhookStore(db, clock, pending=10)
    hook = small.create(URL, ENTERED).result().webhook_id
    for _ in range(5):
        announce(db, small, entries(*[0] * 8))
        db.writer.run(lambda c: c.execute(update(schema.deliveries).values(status="delivered")))
    assert {one.status for one in small.deliveries(hook)[0]} == {"delivered"}


def test_listeners_hear_of_changes_and_tests(store):
    heard = []
    store.subscribe(lambda ids: heard.append((ids, len(store.hooks))))
    hook = store.create(URL, ENTERED).result().webhook_id
    store.test(hook).result()
    store.update(hook, URL, ENTERED).result()
    store.delete(hook).result()
    assert heard == [(None, 1), (None, 1), (None, 1), (None, 0)]


def test_listeners_hear_of_what_was_announced_when_it_is_committed(db, store):
    heard = []
    hook = store.create(URL, ENTERED).result().webhook_id
    store.create(URL, ["segment.left"]).result()
    store.subscribe(heard.append)

    def broken(connection):
        store.announce(connection, entries(0))
        raise RuntimeError("after all not")

    with pytest.raises(RuntimeError):
        db.writer.run(broken)
    db.writer.run(lambda _: None)
    assert heard == []
    announce(db, store, entries(0, 1))
    assert heard == [{hook}]


def test_tidying_takes_a_bounded_piece_and_leaves_what_waits(db, store, clock):
    gone = store.create(URL, ENTERED).result().webhook_id
    kept = store.create(URL, ENTERED).result().webhook_id
    announce(db, store, entries(0, 1, 2))
    store.delete(gone).result()
    finished = schema.deliveries.c.delivery_id == store.deliveries(kept)[0][0].delivery_id
    db.writer.run(lambda c: c.execute(update(schema.deliveries).where(finished).values(status="failed")))
    with db.read() as connection:
        cuts = outbox.cutoffs(connection, before=clock.wall() + DAY, keep=100)
    assert (cuts[gone], cuts[kept]) == (None, clock.wall() + DAY)
    assert [db.writer.run(lambda c: outbox.tidy(c, cuts, limit=2)) for _ in range(3)] == [2, 2, 0]
    assert [one.status for one in store.deliveries(kept)[0]] == ["pending", "pending"]


def test_only_so_many_that_ended_are_kept(db, store):
    hook = store.create(URL, ENTERED).result().webhook_id
    announce(db, store, entries(0, 1, 2, 0, 1))
    db.writer.run(lambda c: c.execute(update(schema.deliveries).values(status="delivered")))
    announce(db, store, entries(2))
    with db.read() as connection:
        cuts = outbox.cutoffs(connection, before=0, keep=3)
    assert db.writer.run(lambda c: outbox.tidy(c, cuts, limit=100)) == 3
    assert [one.payload["user_id"] for one in store.deliveries(hook)[0]] == ["u2", "u1", "u0"]
