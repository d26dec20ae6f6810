"""The shared level over a real Redis: it answers, batches, and costs a miss and nothing else when it is broken."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator

import pytest
from redisservers import RedisServer, redis_server

from shopkeeper.core.clock import SECOND, StoppedClock, SystemClock
from shopkeeper.core.errors import Invalid
from shopkeeper.stores.redis import Shared


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with redis_server() as found:
        yield found


def _shared(server: RedisServer, *, shop: str = "one", clock: StoppedClock | None = None) -> Shared:
    # A second for a round trip: the tests are not about speed, and the machine may be busy.
    return Shared(server.url, prefix=("test", shop), clock=clock or SystemClock(), timeout_s=1.0)


def _run(test: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        async with asyncio.timeout(30):
            await test()

    asyncio.run(within())


def test_what_is_put_is_got_until_it_is_dropped(server: RedisServer) -> None:
    async def test() -> None:
        shared = _shared(server, shop="put")
        a, b = shared.key("a"), shared.key("b")
        shared.put_many({a: b"\x00one", b: b"two"}, 60)
        assert await shared.get_many([a, shared.key("nothing"), b]) == [b"\x00one", None, b"two"]
        shared.drop([a])
        assert await shared.get(a) is None
        assert await shared.get(b) == b"two"
        await shared.close()

    _run(test)
    assert server.command("GET", "test:put:b").endswith(b"two\r\n")
    assert 0 < int(server.command("PTTL", "test:put:b")[1:]) <= 60_000


def test_fields_of_a_hash_go_with_it(server: RedisServer) -> None:
    async def test() -> None:
        shared = _shared(server, shop="hash")
        key = shared.key("user", "7")
        shared.put_field(key, b"x", b"1", 60)
        shared.put_field(key, b"y", b"2", 60)
        assert [await shared.get_field(key, field) for field in (b"x", b"y", b"z")] == [b"1", b"2", None]
        shared.drop([key])
        assert await shared.get_field(key, b"x") is None
        await shared.close()

    _run(test)


def test_a_hash_lasts_as_long_as_its_longest_field_and_has_a_bounded_number(server: RedisServer) -> None:
    async def test() -> None:
        shared = _shared(server, shop="fields")
        key = shared.key("user", "8")
        shared.put_field(key, b"long", b"1", 60)
        shared.put_field(key, b"short", b"2", 5)
        await shared.get("sent")
        assert 50_000 < int(server.command("PTTL", key)[1:]) <= 60_000
        for n in range(1000):
            shared.put_field(key, b"%d" % n, b"3", 5)
            await shared.get("sent")
        assert 0 < int(server.command("HLEN", key)[1:]) <= 200
        assert 0 < int(server.command("PTTL", key)[1:]) <= 5_000
        assert await shared.get_field(key, b"999") == b"3"
        await shared.close()

    _run(test)


def test_without_a_loop_and_after_the_end_nothing_is_there(server: RedisServer) -> None:
    shared = _shared(server, shop="outside")
    key = shared.key("a")
    lost: list[None] = []
    shared.on_missed(lambda: lost.append(None))
    shared.drop([key])  # a shop that has not started
    assert shared.dropped == 1

    async def test() -> None:
        shared.put(key, b"1", 60)
        assert await shared.get(key) == b"1"
        assert len(lost) == 1
        trips = shared.round_trips
        await shared.close()
        shared.drop([key])
        shared.put(key, b"2", 60)
        assert await shared.get(key) is None
        assert shared.round_trips == trips
        await shared.close()

    _run(test)


def test_what_the_client_raises_leaves_nobody_waiting(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        shared = _shared(server, shop="broken")

        async def torn(_: object) -> list[object]:
            raise RuntimeError("the transport is closed")

        with monkeypatch.context() as patch:
            patch.setattr(shared, "_send", torn)
            assert await shared.get("a") is None
        shared.put("a", b"1", 60)
        assert await shared.get("a") == b"1"
        await shared.close()

    _run(test)


def test_what_is_asked_in_one_tick_travels_together(server: RedisServer) -> None:
    async def test() -> None:
        shared = _shared(server, shop="tick")
        await shared.get("warm")
        before = shared.round_trips
        await asyncio.gather(*(shared.get(shared.key(str(n))) for n in range(100)))
        assert shared.round_trips == before + 1
        await shared.close()

    _run(test)


def test_shops_do_not_see_one_another(server: RedisServer) -> None:
    async def test() -> None:
        one, other = _shared(server, shop="one"), _shared(server, shop="other")
        one.put(one.key("a"), b"1", 60)
        assert await one.get(one.key("a")) == b"1"
        assert await other.get(other.key("a")) is None
        await one.close()
        await other.close()

    _run(test)


def test_messages_reach_the_others(server: RedisServer) -> None:
    async def test() -> None:
        one, other = _shared(server), _shared(server)
        heard: asyncio.Queue[bytes] = asyncio.Queue()
        ready = asyncio.Event()
        other.listen("channel", heard.put_nowait, lambda on: ready.set() if on else None)
        await ready.wait()
        one.publish("channel", b"\xff1")
        one.publish("channel", b"2")
        assert [await heard.get(), await heard.get()] == [b"\xff1", b"2"]
        await one.close()
        await other.close()

    _run(test)


def test_a_redis_that_is_gone_costs_a_miss_and_then_nothing() -> None:
    async def test() -> None:
        with redis_server() as server:
            clock = StoppedClock(SECOND)
            shared = _shared(server, clock=clock)
            listens: asyncio.Queue[bool] = asyncio.Queue()
            lost: asyncio.Queue[None] = asyncio.Queue()
            shared.on_missed(lambda: lost.put_nowait(None))
            shared.listen("channel", lambda _: None, listens.put_nowait)
            assert await listens.get() is True
            shared.put("a", b"1", 60)
            assert await shared.get("a") == b"1"
            assert lost.empty()

            server.stop()
            assert await listens.get() is False  # others may say what is not heard here
            for _ in range(10):
                assert await shared.get("a") is None
            shared.put("a", b"2", 60)
            shared.drop(["b"])
            assert shared.breaker.state == "open"
            tried = shared.failures
            assert await shared.get_many(["a", "b"]) == [None, None]
            assert shared.failures == tried

            server.start()
            assert await shared.get("a") is None  # its time has not come
            clock.advance(3 * SECOND)
            shared.put("a", b"3", 60)
            assert await shared.get("a") == b"3"
            await lost.get()  # what had been lost is told once it answers again
            while not await listens.get():  # and so is that others are heard again
                pass
            assert shared.facts()["state"] == "closed"
            assert shared.facts()["dropped_writes"] >= 1
            await shared.close()

    _run(test)


def test_a_redis_that_hangs_is_waited_for_no_longer_than_said() -> None:
    async def test() -> None:
        def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            held.append(writer)

        held: list[asyncio.StreamWriter] = []
        silent = await asyncio.start_server(hang, "127.0.0.1", 0)
        port = silent.sockets[0].getsockname()[1]
        shared = Shared(f"redis://127.0.0.1:{port}/0", prefix=("a", "b"), clock=StoppedClock(SECOND), timeout_s=0.02)
        assert [await shared.get("a") for _ in range(20)] == [None] * 20
        assert shared.failures == 5
        await shared.close()
        for writer in held:
            writer.close()
        silent.close()

    _run(test)


def test_a_full_redis_refuses_writes_and_still_answers() -> None:
    async def test() -> None:
        with redis_server("--maxmemory", "1", "--maxmemory-policy", "noeviction") as server:
            shared = _shared(server)
            lost: list[None] = []
            shared.on_missed(lambda: lost.append(None))
            shared.put("a", b"1" * 1000, 60)
            shared.put_field("b", b"field", b"1" * 1000, 60)
            shared.drop(["c"])
            assert await shared.get("a") is None
            assert shared.dropped == 2
            assert lost == []  # what is not there misleads nobody
            assert shared.breaker.state == "closed"
            await shared.close()

    _run(test)


def test_writes_that_wait_are_bounded(server: RedisServer) -> None:
    async def test() -> None:
        shared = _shared(server, shop="many")
        for n in range(25_000):
            shared.put(shared.key(str(n)), b"x", 60)
        assert shared.dropped == 5_000
        assert await shared.get(shared.key("0")) == b"x"
        await shared.close()

    _run(test)


def test_an_address_that_is_none_is_refused_in_words() -> None:
    with pytest.raises(Invalid, match="expected redis://host:6379/0"):
        Shared("mysql://somewhere", prefix=("a",), clock=SystemClock())
