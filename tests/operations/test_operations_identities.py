"""Binding and merging while the shop runs: live state ends as the log does, whatever races and whoever dies."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from shopkeeper.bootstrap import Shop, open_shop
from shopkeeper.core.clock import DAY, HOUR, StoppedClock, moment
from shopkeeper.core.errors import Conflict
from shopkeeper.core.records import Event
from shopkeeper.features.base import Ask
from shopkeeper.features.copurchase import CoPurchases
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet
from shopkeeper.operations.identities import Identities
from shopkeeper.settings import Settings
from shopkeeper.stores.consents import ConsentStore
from shopkeeper.stores.events import EventLog, EventRow
from shopkeeper.stores.following import Following
from shopkeeper.stores.identities import IdentityStore
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.vocabulary import Vocabularies

NOW = 20_000 * DAY
LONDON = ZoneInfo("Europe/London")
USERS, VISITORS, ITEMS = 6, 6, 12


class World:
    """The stores, the followers and the identities of a shop, without the rest."""

    def __init__(self, folder: Path, *, inbox: int) -> None:
        self.db: Database = open_database(sqlite_url(folder))
        self.clock = StoppedClock(NOW)
        self.vocab = Vocabularies.load(self.db)
        self.log = EventLog(self.db, self.vocab, self.clock)
        self.features = FeatureState(LONDON, self.vocab.event_types)
        self.following = Following(self.log, [self.features], inbox=inbox)
        store = IdentityStore(self.db, self.vocab, self.clock, self.log, ConsentStore(self.db, self.vocab, self.clock))
        self.identities = Identities(store, self.following, self.features)

    def rebuilt(self) -> FeatureState:
        """What a restart would make of the log."""
        vocab = Vocabularies.load(self.db)
        state = FeatureState(LONDON, vocab.event_types)
        state.apply(self.log.read())
        return state


@pytest.fixture
def world(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(tmp_path, inbox=getattr(request, "param", 500_000))
    yield world
    world.db.close()


def some_event(chance: random.Random) -> Event:
    who: dict[str, str] = {}
    if chance.random() < 0.7:
        who["user_id"] = f"u{chance.randrange(USERS)}"
    if "user_id" not in who or chance.random() < 0.3:
        who["anonymous_id"] = f"v{chance.randrange(VISITORS)}"
    return Event(
        event_type=chance.choice(["order", "view", "return"]),
        item_id=f"i{chance.randrange(ITEMS)}",
        quantity=float(chance.randrange(1, 4)),
        unit_price=2.5,
        time=moment(NOW - chance.randrange(72) * HOUR),
        **who,
    )


def same(live: FeatureState, rebuilt: FeatureState, n_users: int) -> None:
    names = FeatureSet()
    items = np.arange(ITEMS, dtype=np.int32)
    for user in range(-1, n_users):
        one, other = (names.matrix(Ask(user, NOW, items, state)) for state in (live, rebuilt))
        np.testing.assert_array_equal(one, other, err_msg=f"user {user}")
        assert live.user_windows(user, NOW) == rebuilt.user_windows(user, NOW)
        assert live.user_recent(user, 1000) == rebuilt.user_recent(user, 1000)
    pairs = [state.part(CoPurchases).counts(items, items) for state in (live, rebuilt)]
    np.testing.assert_array_equal(*pairs)
    columns = [state.user_columns(NOW, users=n_users) for state in (live, rebuilt)]
    for name, column in columns[0].items():
        np.testing.assert_array_equal(column, columns[1][name], err_msg=name)


@pytest.mark.parametrize("world", [500_000, 3, 0], indirect=True, ids=["inbox", "little inbox", "no inbox"])
@pytest.mark.parametrize("seed", range(3))
def test_events_binds_and_merges_from_many_threads_end_in_the_state_of_the_log(world: World, seed: int) -> None:
    """The smaller the inbox, the more is read from the log, which shows merges before they are in their place."""
    told: list[tuple[int, int]] = []
    threads_told: set[int] = set()

    def heard(source: int, target: int) -> None:
        told.append((source, target))
        threads_told.add(threading.get_ident())

    world.identities.subscribe(heard)
    wrong: list[BaseException] = []

    def send(number: int) -> None:
        chance = random.Random(seed * 100 + number)
        try:
            for _ in range(40):
                world.log.append([some_event(chance) for _ in range(chance.randrange(1, 4))]).result(60)
        except BaseException as error:  # noqa: BLE001 - shown below
            wrong.append(error)

    def identify(number: int) -> None:
        chance = random.Random(seed * 1000 + number)
        try:
            for _ in range(8):
                a, b = chance.sample(range(USERS), 2)
                try:
                    if chance.random() < 0.6:
                        world.identities.bind(f"v{chance.randrange(VISITORS)}", f"u{a}").result(60)
                    else:
                        world.identities.merge(f"u{a}", f"u{b}").result(60)
                except Conflict:
                    pass  # bound or merged by somebody else meanwhile
        except BaseException as error:  # noqa: BLE001 - shown below
            wrong.append(error)

    async def live() -> None:
        first = random.Random(seed)
        world.log.append([some_event(first) for _ in range(60)]).result(60)
        world.log.append([Event(event_type="view", user_id=f"u{n}", item_id="i0") for n in range(USERS)]).result(60)
        threads = [threading.Thread(target=send, args=(n,)) for n in range(3)]
        threads += [threading.Thread(target=identify, args=(n,)) for n in range(2)]
        for thread in threads:
            thread.start()
        world.following.attach(asyncio.get_running_loop())  # in the middle of it
        while any(thread.is_alive() for thread in threads):
            await asyncio.sleep(0.001)
        await asyncio.wait_for(world.following.wait_for(world.log.last_seq), 60)
        world.following.detach()

    asyncio.run(live())
    assert not wrong, wrong
    assert not world.following.broken
    assert not world.features.out_of_date
    assert threads_told <= {threading.get_ident()}
    same(world.features, world.rebuilt(), len(world.vocab.users))
    again = Vocabularies.load(world.db).users
    for n in range(USERS):
        assert again.row(f"u{n}") == world.vocab.users.row(f"u{n}")
        assert again.anonymous_row(f"v{n}") == world.vocab.users.anonymous_row(f"v{n}")


def test_events_that_are_on_their_way_land_at_the_target(world: World) -> None:
    """Committed before the merge with the source's row, applied after it was committed."""

    async def live() -> None:
        world.following.attach(asyncio.get_running_loop())
        sent = [world.log.append([Event(event_type="order", user_id=user, item_id="i0")]) for user in ("a", "b", "a")]
        for one in sent:
            one.result(30)  # the loop stands still: nothing of this is applied yet
        merging = world.identities.merge("a", "b")
        late = world.log.append_columns(
            [("late", "a", None, "view", "product", "i1", None, 0, None, None, None, None, None)]
        )
        late.result(30)
        with world.db.read():
            assert world.following.position == 0
            assert not merging.done()
        done = await asyncio.wait_for(asyncio.wrap_future(merging), 30)
        assert done.moved_events == 2
        await world.following.wait_for(world.log.last_seq)
        b = world.vocab.users.row("b")
        assert b is not None
        assert world.features.event_counts(b) == {"order": 3, "view": 1}
        same(world.features, world.rebuilt(), len(world.vocab.users))
        world.following.detach()

    asyncio.run(live())


def test_an_answer_comes_when_profiles_know(world: World) -> None:
    seen: list[dict[str, int]] = []

    async def live() -> None:
        world.following.attach(asyncio.get_running_loop())
        world.identities.subscribe(lambda _source, target: seen.append(world.features.event_counts(target)))
        world.log.append([Event(event_type="order", anonymous_id="v", item_id="i0")]).result(30)
        await asyncio.wrap_future(world.identities.bind("v", "u"))
        row = world.vocab.users.row("u")
        assert row is not None
        assert world.features.event_counts(row) == {"order": 1}
        world.following.detach()

    asyncio.run(live())
    assert seen == [{"order": 1}]


def test_a_listener_that_fails_stops_nobody(world: World) -> None:
    told: list[int] = []

    def fail(_source: int, _target: int) -> None:
        raise RuntimeError("mine")

    async def live() -> None:
        world.following.attach(asyncio.get_running_loop())
        world.identities.subscribe(fail)
        world.identities.subscribe(lambda source, _target: told.append(source))
        world.log.append([Event(event_type="order", anonymous_id="v", item_id="i0")]).result(30)
        await asyncio.wait_for(asyncio.wrap_future(world.identities.bind("v", "u")), 30)
        world.following.detach()

    asyncio.run(live())
    assert len(told) == 1


def test_without_a_running_shop_an_answer_comes_when_it_is_durable(world: World) -> None:
    world.log.append([Event(event_type="order", anonymous_id="v", item_id="i0")]).result(30)
    assert world.identities.bind("v", "u").result(30).moved_events == 1
    assert world.following.catch_up() == 1
    assert world.identities.bind("w", "u").result(30).moved_events == 0
    world.log.append([Event(event_type="order", anonymous_id="x", item_id="i0")]).result(30)
    world.following.catch_up()
    assert world.identities.bind("x", "u").result(30).moved_events == 1  # taken when the followers read on
    world.log.append([Event(event_type="order", anonymous_id="x", item_id="i1")]).result(30)
    world.following.catch_up()
    same(world.features, world.rebuilt(), len(world.vocab.users))


def test_a_user_with_very_many_events_is_merged_while_others_are_answered(world: World) -> None:
    """100,000 events five minutes apart, half of them orders, into a user with 20,000 of the same time."""
    minute = 60_000_000

    def history(user: str, count: int) -> list[EventRow]:
        return [
            (
                *(f"{user}{n}", user, None, "order" if n % 2 else "view", "product", f"i{n * 7 % ITEMS}", None),
                *(NOW - (count - n) * 5 * minute, 1.0, 2.5, 2.5, None, None),
            )
            for n in range(count)
        ]

    async def live() -> None:
        world.following.attach(asyncio.get_running_loop())
        for rows in (history("a", 100_000), history("b", 20_000)):
            await asyncio.wrap_future(world.log.append_columns(rows))
        await world.following.wait_for(world.log.last_seq)
        merging = asyncio.wrap_future(world.identities.merge("a", "b"))
        row, seen = None, []
        while not merging.done():  # whoever asks meanwhile is answered, with all or with what was there before
            row = world.vocab.users.row("b")
            assert row is not None
            seen.append(world.features.user_windows(row, NOW)["all"]["events"])
            await asyncio.sleep(0)
        assert (await merging).moved_events == 100_000
        assert set(seen) == {20_000, 120_000}
        assert seen.count(120_000) > 10  # pairs are counted in pieces
        world.following.detach()

    asyncio.run(live())
    same(world.features, world.rebuilt(), len(world.vocab.users))


_DIES = """
import os, signal, sys
from shopkeeper.bootstrap import open_shop
from shopkeeper.core.records import Event
from shopkeeper.settings import Settings

shop = open_shop(Settings(home=sys.argv[1]), shop="empty")
events = [Event(event_type="order", user_id=u, item_id="i") for u in ("a", "a", "b")]
shop.log.append([*events, Event(event_type="view", anonymous_id="v", item_id="i")]).result(30)
shop.identities.bind("v", "a").result(30)
shop.identities._store._show = lambda done: os.kill(os.getpid(), signal.SIGKILL)  # right after the commit
shop.identities.merge("a", "b").result(30)
"""


def test_killed_right_after_the_commit(tmp_path: Path) -> None:
    died = subprocess.run([sys.executable, "-c", _DIES, str(tmp_path)], check=False, capture_output=True, timeout=120)
    assert died.returncode == -signal.SIGKILL, died.stderr.decode()

    async def look(shop: Shop) -> None:
        await shop.start(schedules=False)
        try:
            row = shop.vocab.users.row("b")
            assert row is not None
            assert shop.vocab.users.row("a") == shop.vocab.users.anonymous_row("v") == row
            assert shop.features.event_counts(row) == {"order": 3, "view": 1}
            assert shop.log.count() == 4
            found = shop.identities.get("a")
            assert (found.user_id, found.anonymous_ids, found.merged_from) == ("b", ["v"], ["a"])
            again = await asyncio.wrap_future(shop.identities.merge("a", "b"))
            assert again.moved_events == 0
            profile = shop.profiles.profile("a")
            assert (profile["user_id"], profile["profile"]["event_counts"]) == ("b", {"order": 3, "view": 1})
        finally:
            await shop.stop()

    asyncio.run(look(open_shop(Settings(home=tmp_path))))
