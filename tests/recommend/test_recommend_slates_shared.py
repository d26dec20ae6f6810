"""Slates that processes share, over a real Redis: found by others, gone when anything changes, never in the way."""

import asyncio
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from slate_world import Slates, run, shown, slate

from shopkeeper.core.changes import Change, Changes
from shopkeeper.core.clock import SECOND
from shopkeeper.core.records import RecRequest
from shopkeeper.recommend.slates.shared import SharedSlates
from shopkeeper.stores.redis import Shared

sys.path.insert(0, str(Path(__file__).parents[1] / "stores"))

from redisservers import RedisServer, redis_server


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as found:
        yield found


class Process:
    """A front with its own memory, on the shop's Redis."""

    def __init__(self, server: RedisServer, shop: str) -> None:
        self.changes = Changes()
        self.slates = Slates(changes=self.changes)
        world = self.slates.world
        self.redis = Shared(server.url, prefix=("test", shop), clock=world.clock, timeout_s=1.0)
        self.level = SharedSlates(self.redis, users=world.users, clock=world.clock, changes=self.changes)
        self.slates.front.shared = self.level

    async def start(self) -> None:
        self.level.start()
        while self.level._since is None:
            await asyncio.sleep(0.01)
        self.later()

    def later(self) -> None:
        self.slates.world.clock.advance(SECOND)

    async def settled(self) -> None:
        """What was written so far has been sent."""
        await self.redis.get("nothing")


async def two(server: RedisServer, shop: str) -> tuple[Process, Process]:
    one, other = Process(server, shop), Process(server, shop)
    await one.start()
    await other.start()
    return one, other


async def close(*processes: Process) -> None:
    for process in processes:
        await process.redis.close()


def test_what_one_process_computed_the_other_answers(server: RedisServer) -> None:
    async def test() -> None:
        one, other = await two(server, "answers")
        first = await one.slates.ask()
        await one.settled()
        again = await other.slates.ask()
        assert again["cache_hit"]
        assert slate(again) == slate(first)
        assert shown(again) == shown(first)
        assert again["request_id"] != first["request_id"]
        assert other.slates.made == 0
        assert other.slates.front.facts().shared_hits == 1
        assert (await other.slates.ask())["cache_hit"]
        assert other.slates.front.facts().local_hits == 1
        await close(one, other)

    run(test)


@pytest.mark.parametrize(
    "change",
    [Change("user", rows=(1,)), Change("item", rows=tuple(range(25))), Change("scenario", names=("home",)),
     Change("model", names=("ease",)), Change("rules"), Change("all")],
    ids=lambda change: change.kind,
)  # fmt: skip
def test_a_change_told_in_one_is_heard_in_the_other(server: RedisServer, change: Change) -> None:
    async def test() -> None:
        one, other = await two(server, f"hears-{change.kind}")
        await one.slates.ask()
        await one.settled()
        assert (await other.slates.ask())["cache_hit"]
        heard = asyncio.Event()
        other.changes.subscribe(lambda _: heard.set())
        one.later()
        other.later()
        one.changes.tell(change)
        await heard.wait()
        one.later()
        other.later()
        for process in (other, one):  # neither its own memory nor what Redis still holds
            assert not (await process.slates.ask())["cache_hit"]
            await process.settled()
            process.changes.tell(Change("user", rows=(1,)))  # so that the next is not answered by this one's
            process.later()
        await close(one, other)

    run(test)


def test_a_change_told_to_others_is_not_told_back(server: RedisServer) -> None:
    async def test() -> None:
        one, other = await two(server, "echo")
        told: list[Change] = []
        one.changes.subscribe(told.append)
        heard = asyncio.Event()
        other.changes.subscribe(lambda _: heard.set())
        one.changes.tell(Change("rules"))
        await heard.wait()
        await other.settled()
        await one.settled()
        assert told == [Change("rules")]
        await close(one, other)

    run(test)


def test_a_late_write_of_what_has_changed_is_passed_over(server: RedisServer) -> None:
    """It was computed before the change and written after it."""

    async def test() -> None:
        one, other = await two(server, "late")
        one.slates.gate.clear()
        slow = asyncio.create_task(one.slates.ask())
        await asyncio.sleep(0.05)
        other.later()
        other.changes.tell(Change("user", rows=(1,)))
        one.slates.gate.set()  # it has heard nothing yet, or has: either way the other must not use it
        await slow
        await one.settled()
        other.later()
        assert not (await other.slates.ask())["cache_hit"]
        await close(one, other)

    run(test)


def test_redis_gone_and_back() -> None:
    async def test() -> None:
        with redis_server() as server:
            one, other = await two(server, "gone")
            await one.slates.ask()
            await one.settled()
            server.stop()
            # Both go on alone, at the price of misses.
            assert (await one.slates.ask())["cache_hit"]
            for user in range(2, 9):
                assert (await other.slates.ask(f"U{user}"))["recommendations"]
            one.changes.tell(Change("user", rows=(1,)))
            assert not (await one.slates.ask())["cache_hit"]
            cleared = asyncio.Event()
            other.changes.subscribe(lambda change: cleared.set() if change.kind == "all" else None)
            server.start()
            await cleared.wait()  # what it could not hear may have been anything
            clocks = [process.slates.world.clock for process in (one, other)]
            for number in itertools.count():  # until the breakers have let a probe through, and all is told
                clocks[0].at = clocks[1].at = max(clock.at for clock in clocks) + 10 * SECOND
                fresh = await one.slates.ask(context={"number": number})
                await one.settled()
                one.later()
                other.later()
                if slate(await other.slates.ask(context={"number": number})) == slate(fresh):
                    break
                await asyncio.sleep(0.01)
            await close(one, other)

    run(test)


def test_what_is_not_a_slate_is_a_miss(server: RedisServer) -> None:
    async def test() -> None:
        one, other = await two(server, "junk")
        await one.slates.ask()
        await one.settled()
        key = one.redis.key("slates", "row:1")
        fields = server.command("HKEYS", key)
        assert fields.startswith(b"*1\r\n$16\r\n")
        one.redis.put_field(key, fields[9:25], b"\xc1 of another release", 60)
        await one.settled()
        assert not (await other.slates.ask())["cache_hit"]
        await close(one, other)

    run(test)


def test_what_was_computed_ahead_is_shared_once_somebody_was_given_it(server: RedisServer) -> None:
    """Before that no log knows it, and what is said about an answer finds it there."""

    async def test() -> None:
        one, other = await two(server, "ahead")
        request = RecRequest(user_id="U1", scenario="home")
        assert await one.slates.front.ahead(request)
        await one.settled()
        assert not (await other.slates.ask("U1"))["cache_hit"]
        other.redis.drop([other.redis.key("slates", "row:1")])
        other.slates.front.local.clear()
        await other.settled()
        given = await one.slates.ask("U1")
        await one.settled()
        assert [made.slate_id for made in one.slates.log.noted] == [slate(given)]
        assert slate(await other.slates.ask("U1")) == slate(given)
        await close(one, other)

    run(test)


def test_other_shops_do_not_see_them(server: RedisServer) -> None:
    async def test() -> None:
        one, stranger = Process(server, "mine"), Process(server, "yours")
        await one.start()
        await stranger.start()
        await one.slates.ask()
        await one.settled()
        assert not (await stranger.slates.ask())["cache_hit"]
        await close(one, stranger)

    run(test)


def test_while_a_process_does_not_hear_it_uses_nothing_that_is_shared(server: RedisServer) -> None:
    async def test() -> None:
        one, other = await two(server, "deaf")
        await one.slates.ask()
        await one.settled()
        server.command("CLIENT", "KILL", "TYPE", "pubsub")
        while other.level._since is not None:
            await asyncio.sleep(0.001)
        assert not (await other.slates.ask())["cache_hit"]
        while other.level._since is None:  # and it hears again by itself
            await asyncio.sleep(0.01)
        await close(one, other)

    run(test)
