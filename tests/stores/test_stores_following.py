from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import numpy as np
import pytest
from sqlalchemy import update

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import StoppedClock
from shopkeeper.core.errors import Conflict, Invalid, Unavailable
from shopkeeper.core.records import Event
from shopkeeper.stores import schema
from shopkeeper.stores.events import EventLog, Listener
from shopkeeper.stores.following import Change, Following
from shopkeeper.stores.sql import Database
from shopkeeper.stores.vocabulary import Vocabularies


class Numbers:
    """Keeps the numbers it was given, and on which thread."""

    def __init__(self, name: str = "numbers", fail_at: int | None = None) -> None:
        self.name = name
        self.fail_at = fail_at
        self.seen: list[int] = []
        self.threads: set[int] = set()

    def apply(self, batch: EventBatch) -> None:
        if self.fail_at is not None and self.fail_at in batch.seq:
            raise Invalid("cannot apply")
        self.seen += batch.seq.tolist()
        self.threads.add(threading.get_ident())


def click(user: str = "u") -> Event:
    return Event(event_type="click", user_id=user, item_id="i")


def bulk(log: EventLog, count: int, start: int = 0) -> None:
    rows = [
        (f"b{n}", "u", None, "click", "product", "i", None, n, None, None, None, None, None)
        for n in range(start, start + count)
    ]
    log.append_columns(rows).result(60)


def test_catching_up_applies_everything_once(log: EventLog) -> None:
    numbers = Numbers()
    following = Following(log, [numbers])
    assert following.catch_up() == 0
    bulk(log, 30)
    assert following.catch_up() == 30
    bulk(log, 5, start=30)
    assert following.catch_up() == 5
    assert numbers.seen == list(range(1, 36))
    assert following.position == 35


def test_no_gap_and_no_repeat_between_catching_up_and_following(log: EventLog) -> None:
    """Writers append all the time while the followers catch up and attach."""
    numbers = Numbers()
    following = Following(log, [numbers])
    going = threading.Event()

    def write() -> None:
        for _ in range(40):
            log.append([click(), click()]).result(60)
            going.set()

    async def follow() -> None:
        writers = [threading.Thread(target=write) for _ in range(4)]
        for writer in writers:
            writer.start()
        assert going.wait(30)
        following.catch_up()
        following.attach(asyncio.get_running_loop())
        await asyncio.wait_for(following.wait_for(320), 60)
        for writer in writers:
            writer.join()
        following.detach()

    asyncio.run(follow())
    assert numbers.seen == list(range(1, 321))
    assert numbers.threads == {threading.get_ident()}


def test_a_large_commit_leaves_the_loop_time_for_others(log: EventLog) -> None:
    sizes: list[int] = []

    class Sizes(Numbers):
        def apply(self, batch: EventBatch) -> None:
            super().apply(batch)
            sizes.append(len(batch))

    numbers = Sizes()
    following = Following(log, [numbers])

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        await asyncio.to_thread(bulk, log, 12_000)
        await asyncio.wait_for(following.wait_for(12_000), 60)
        following.detach()

    asyncio.run(follow())
    assert numbers.seen == list(range(1, 12_001))
    assert max(sizes) <= 5_000


def test_what_is_acknowledged_can_be_waited_for(log: EventLog) -> None:
    numbers = Numbers()
    following = Following(log, [numbers])

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        answer = await asyncio.wrap_future(log.append([click()]))
        await asyncio.wait_for(following.wait_for(answer.last_seq), 30)
        assert numbers.seen == [1]
        await following.wait_for(0)

    asyncio.run(follow())


class Forgetful(EventLog):
    """Does not tell of the first commit."""

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        return super().subscribe(lambda batch, events: listener(batch, events) if batch.seq[0] > 1 else None)


def test_events_that_nobody_told_of_are_read_from_the_log(
    db: Database, vocabularies: Vocabularies, clock: StoppedClock
) -> None:
    log = Forgetful(db, vocabularies, clock)
    numbers = Numbers()
    following = Following(log, [numbers])

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        await asyncio.to_thread(bulk, log, 3)
        assert numbers.seen == []
        await asyncio.wrap_future(log.append([click()]))
        await asyncio.wait_for(following.wait_for(4), 30)

    asyncio.run(follow())
    assert numbers.seen == [1, 2, 3, 4]


def test_more_than_the_inbox_holds_is_read_from_the_log(log: EventLog) -> None:
    numbers = Numbers()
    following = Following(log, [numbers], inbox=10)

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        for start in range(0, 30, 6):  # the loop is busy meanwhile: nothing leaves the inbox
            bulk(log, 6, start=start)
        await asyncio.wait_for(following.wait_for(30), 30)
        following.detach()

    asyncio.run(follow())
    assert numbers.seen == list(range(1, 31))


class Stumbling(EventLog):
    """Cannot be read once, after it was told to."""

    stumbles = False

    def read(self, after_seq: int = 0, limit: int = 200_000) -> EventBatch:
        if self.stumbles:
            self.stumbles = False
            raise Unavailable("the disk is away")
        return super().read(after_seq, limit)


def test_a_log_that_cannot_be_read_for_a_moment_is_read_later(
    db: Database, vocabularies: Vocabularies, clock: StoppedClock
) -> None:
    log = Stumbling(db, vocabularies, clock)
    numbers = Numbers()
    following = Following(log, [numbers], inbox=2)

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        log.stumbles = True
        bulk(log, 3)
        await asyncio.wait_for(following.wait_for(3), 30)
        await asyncio.wrap_future(log.append([click()]))
        await asyncio.wait_for(following.wait_for(4), 30)

    asyncio.run(follow())
    assert numbers.seen == [1, 2, 3, 4]


def test_who_detached_may_attach_to_another_loop(log: EventLog) -> None:
    numbers = Numbers()
    following = Following(log, [numbers])

    async def follow(count: int) -> None:
        following.attach(asyncio.get_running_loop())
        bulk(log, 1, start=count)
        await asyncio.sleep(0)
        following.detach()

    async def follow_again() -> None:
        following.attach(asyncio.get_running_loop())
        answer = await asyncio.wrap_future(log.append([click()]))
        await asyncio.wait_for(following.wait_for(answer.last_seq), 30)

    asyncio.run(follow(0))
    asyncio.run(follow_again())
    assert numbers.seen == [1, 2]


def test_a_follower_that_fails_is_left_out_and_named(log: EventLog) -> None:
    bad, good = Numbers("bad", fail_at=2), Numbers("good")
    following = Following(log, [bad, good])
    for _ in range(3):
        bulk(log, 1, start=following.position)
        following.catch_up()
    assert bad.seen == [1]
    assert good.seen == [1, 2, 3]
    assert following.broken == {"bad": "Invalid: cannot apply"}


def test_attaching_twice_is_refused_and_detaching_ends_the_waiting(log: EventLog) -> None:
    following = Following(log, [Numbers()])

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        with pytest.raises(Conflict):
            following.attach(asyncio.get_running_loop())
        waiting = asyncio.ensure_future(following.wait_for(99))
        await asyncio.sleep(0)
        following.detach()
        following.detach()
        with pytest.raises(Unavailable):
            await waiting
        with pytest.raises(Unavailable):
            await following.wait_for(99)

    asyncio.run(follow())


class Users(Numbers):
    """Keeps which row each event named."""

    def __init__(self) -> None:
        super().__init__()
        self.users: list[int] = []

    def apply(self, batch: EventBatch) -> None:
        super().apply(batch)
        self.users += batch.user.tolist()


def test_a_change_has_its_place_among_the_events(log: EventLog) -> None:
    """Told of while nothing of it was applied: it comes after its last event and before the next one."""
    users = Users()
    following = Following(log, [users])
    seen: list[list[int]] = []

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        for _ in range(3):
            log.append([click()]).result(30)  # the loop stands still
        changes = [
            following.at(Change(seq, 0, np.array([], dtype=np.int64), lambda: seen.append(list(users.seen))))
            for seq in (2, 0, 2)
        ]
        log.append([click()]).result(30)
        for change in changes:
            assert change is not None
            await asyncio.wait_for(asyncio.wrap_future(change), 30)
        await asyncio.wait_for(following.wait_for(4), 30)
        at_rest = following.at(Change(4, 0, np.array([], dtype=np.int64), lambda: seen.append(list(users.seen))))
        assert at_rest is not None
        await asyncio.wait_for(asyncio.wrap_future(at_rest), 30)
        following.detach()

    asyncio.run(follow())
    assert seen == [[], [1, 2], [1, 2], [1, 2, 3, 4]]


def test_a_change_that_fails_or_that_nobody_waits_for_stops_nothing(log: EventLog) -> None:
    def fail() -> None:
        raise RuntimeError("mine")

    numbers = Numbers()
    following = Following(log, [numbers])
    nothing = np.array([], dtype=np.int64)
    assert following.at(Change(0, 0, nothing, fail)) is None  # what was never read will be read as it is
    bulk(log, 3)
    following.catch_up()
    acted: list[int] = []
    assert following.at(Change(3, 0, nothing, lambda: acted.append(3))) is None
    bulk(log, 2, start=3)

    async def follow() -> None:
        following.attach(asyncio.get_running_loop())
        assert acted == [3]
        failing = following.at(Change(5, 0, nothing, fail))
        assert failing is not None
        await asyncio.wait_for(asyncio.wrap_future(failing), 30)
        log.append([click()]).result(30)
        waiting = following.at(Change(6, 0, nothing, lambda: acted.append(6)))
        following.detach()
        assert waiting is not None
        assert waiting.cancelled()
        following.attach(asyncio.get_running_loop())
        assert acted == [3, 6]
        following.detach()

    asyncio.run(follow())
    assert numbers.seen == [1, 2, 3, 4, 5, 6]


def test_a_slice_of_the_log_has_the_rows_from_before_the_changes_that_wait(log: EventLog, db: Database) -> None:
    """The change is committed while the slice is about to be read: it is read again, and then taken back."""
    log.append([click("a"), click("b"), click("a")]).result(30)
    users = Users()
    following = Following(log, [users])
    following.catch_up()
    log.append([click("a"), click("b")]).result(30)
    read, acted = log.read, []

    def merge_meanwhile(after_seq: int = 0, limit: int = 1) -> EventBatch:
        log.read = read  # type: ignore[method-assign]
        following.begin_change()
        events = schema.events
        db.writer.run(
            lambda connection: connection.execute(update(events).where(events.c.user_row == 0).values(user_row=1))
        )
        found = read(after_seq, limit)
        assert found.user.tolist() == [1, 1]
        moved = np.array([1, 3, 4], dtype=np.int64)
        following.at(Change(4, 0, moved, lambda: acted.append(list(users.users))))
        following.end_change()
        return found

    log.read = merge_meanwhile  # type: ignore[method-assign]
    following.catch_up()
    assert acted == [[0, 1, 0, 0]]
    assert users.users == [0, 1, 0, 0, 1]


def test_a_slice_of_the_log_waits_for_the_change_that_is_being_committed(log: EventLog) -> None:
    bulk(log, 3)
    order: list[str] = []
    read = log.read

    def noted(after_seq: int = 0, limit: int = 1) -> EventBatch:
        order.append("read")
        return read(after_seq, limit)

    log.read = noted  # type: ignore[method-assign]
    following = Following(log, [Numbers()])
    following.begin_change()
    reader = threading.Thread(target=following.catch_up)
    reader.start()
    order.append("told")
    following.end_change()
    reader.join(30)
    assert order[0] == "told"
    assert following.position == 3
