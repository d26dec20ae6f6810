"""Features on the level that processes share, over a real Redis."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
import pytest
from feature_world import T0, event, shop
from redisservers import RedisServer, redis_server

from shopkeeper.core.changes import Change
from shopkeeper.core.clock import DAY, MINUTE, SECOND, StoppedClock
from shopkeeper.features.realtime import of_user, with_moment
from shopkeeper.features.shared import SharedFeatures
from shopkeeper.stores.redis import Shared


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as found:
        yield found


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(within())


def level(server: RedisServer, name: str, clock: StoppedClock, version: int = 1) -> tuple[Shared, SharedFeatures]:
    shared = Shared(server.url, prefix=("test", name), clock=clock, timeout_s=1.0)
    return shared, SharedFeatures(shared, clock=clock, version=lambda: version)


def told(user: int) -> dict[str, Any]:
    return of_user(shop(event("view", 0, 1, 0), event("order", 1, 2, MINUTE)), user, T0 + 2 * MINUTE)


def test_what_one_process_put_another_reads_in_one_round_trip(server: RedisServer) -> None:
    async def test() -> None:
        clock = StoppedClock(T0 + 2 * MINUTE)
        here, mine = level(server, "both", clock)
        there, others = level(server, "both", clock)
        for row in (0, 1):
            mine.put(row, told(row))
        await mine.get_many([0])  # what was put travels before it
        trips = there.round_trips
        found = await others.get_many([1, 7, 0])
        assert found == [told(1), None, told(0)]
        assert there.round_trips == trips + 1
        clock.skip_to(T0 + 5 * MINUTE)
        older = (await others.get_many([1]))[0]
        assert older is not None
        assert older["ages"]["last_order_s"] == 4 * 60
        assert older["values"]["user_orders_all"] == {"age_s": 4 * 60, "status": "present"}
        clock.skip_to(T0 + 2 * MINUTE + 301 * SECOND)
        assert await others.get_many([1]) == [None]
        for shared in (here, there):
            await shared.close()

    run(test)


def test_another_version_of_the_features_and_another_shop_are_told_nothing(server: RedisServer) -> None:
    async def test() -> None:
        clock = StoppedClock(T0 + 2 * MINUTE)
        parts = [level(server, name, clock, version) for name, version in (("keys", 1), ("keys", 2), ("other", 1))]
        parts[0][1].put(0, told(0))
        assert await parts[0][1].get_many([0]) == [told(0)]
        for _, one in parts[1:]:
            assert await one.get_many([0]) == [None]
        for shared, _ in parts:
            await shared.close()

    run(test)


def test_what_a_user_does_takes_away_what_was_kept(server: RedisServer) -> None:
    async def test() -> None:
        shared, one = level(server, "heard", StoppedClock(T0 + 2 * MINUTE))
        for row in (0, 1):
            one.put(row, told(row))
        one.hear(Change("item", rows=(0,)))
        one.hear(Change("user", rows=(1,)))
        assert [found is not None for found in await one.get_many([0, 1])] == [True, False]
        await shared.close()

    run(test)


@pytest.mark.parametrize("change", [Change("user", rows=tuple(range(2000))), Change("user"), Change("all")])
def test_when_many_users_changed_nothing_from_before_is_read(server: RedisServer, change: Change) -> None:
    async def test() -> None:
        clock = StoppedClock(T0 + 2 * MINUTE)
        shared, one = level(server, f"many-{change.kind}-{len(change.rows)}", clock)
        one.put(1, told(1))
        assert await one.get_many([1]) == [told(1)]
        one.hear(change)
        assert await one.get_many([1]) == [None]
        clock.advance(SECOND)
        one.put(1, told(1))
        assert await one.get_many([1]) == [told(1)]
        await shared.close()

    run(test)


def test_what_could_not_be_taken_away_is_not_read(server: RedisServer) -> None:
    async def test() -> None:
        clock = StoppedClock(T0 + 2 * MINUTE)
        shared, one = level(server, "lost", clock)
        one.put(1, told(1))
        assert await one.get_many([1]) == [told(1)]
        shared._lose([(("UNLINK", "some key"), True)])
        assert await one.get_many([1]) == [None]
        await shared.close()

    run(test)


def test_what_the_request_says_is_never_kept(server: RedisServer) -> None:
    async def test() -> None:
        state = shop(event("view", 0, 1, 0))
        now = T0 + 2 * MINUTE
        shared, one = level(server, "context", StoppedClock(now))
        one.put(0, with_moment(of_user(state, 0, now), state, now, {"device": "mobile"}))
        found = (await one.get_many([0]))[0]
        assert found is not None
        assert found["contextual"] == {}
        desktop = with_moment(found, state, now, {"device": "desktop"})
        assert (desktop["contextual"]["request_device_desktop"], desktop["contextual"]["request_device_mobile"]) == (
            1,
            0,
        )
        await shared.close()

    run(test)


def test_what_is_no_such_value_is_as_if_it_was_not_there(server: RedisServer) -> None:
    async def test() -> None:
        shared, one = level(server, "torn", StoppedClock(T0))
        older = msgspec.msgpack.encode({"at": T0, "version": 1, "told": {"ages": {}}})
        for row, value in enumerate((b"", b"\x93torn", b"\x81\xa2at\xc0", b"\xc1" * 100, older)):
            shared.put(shared.key("features", str(row)), value, 60)
        assert await one.get_many([0, 1, 2, 3, 4]) == [None] * 5
        await shared.close()

    run(test)


def test_a_redis_that_is_gone_costs_nothing_once_that_is_known(server: RedisServer) -> None:
    async def test() -> None:
        with redis_server() as mortal:
            clock = StoppedClock(T0 + 2 * MINUTE)
            shared, one = level(mortal, "gone", clock)
            one.put(0, told(0))
            assert await one.get_many([0]) == [told(0)]
            mortal.stop()
            for _ in range(20):
                assert await one.get_many([0]) == [None]
            assert shared.breaker.state == "open"
            failures = shared.failures
            for _ in range(50):
                one.put(0, told(0))
                assert await one.get_many([0]) == [None]
            assert shared.failures == failures
            mortal.start()
            clock.skip_to(T0 + 2 * MINUTE + 10 * SECOND)
            one.put(0, told(0))
            await one.get_many([0])
            one.put(0, told(0))
            assert (await one.get_many([0]))[0] is not None
            await shared.close()

    run(test)


def test_each_number_says_whether_anything_was_there() -> None:
    state = shop(event("view", 0, 1, 0), event("order", 0, 2, -40 * DAY))
    now = T0 + 2 * 60 * MINUTE
    found = with_moment(of_user(state, 0, now), state, now, {"weather": "rain"})
    values = found["values"]
    assert values["user_views_1h"] == {"age_s": 7200.0, "status": "expired"}
    assert values["user_views_24h"] == {"age_s": 7200.0, "status": "present"}
    assert values["user_orders_30d"]["status"] == "expired"
    assert values["user_orders_all"]["status"] == "present"
    assert values["user_clicks_24h"] == {"age_s": None, "status": "missing"}
    assert values["request_weather_rain"] == {"age_s": 0.0, "status": "present"}
    assert values["request_device_tv"] == {"age_s": None, "status": "missing"}
    assert values["context_hour"]["status"] == "present"
    numbers = {name for group in ("temporal", "behavioral", "contextual", "aggregated") for name in found[group]}
    assert numbers - set(values) == {"events_view_all", "events_order_all"}
    stranger = with_moment(of_user(state, -1, now), state, now)
    assert {value["status"] for name, value in stranger["values"].items() if name.startswith("user_")} == {"missing"}
