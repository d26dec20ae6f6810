"""The level that processes of one shop share: Redis, asked at most once a tick, and left alone while it is broken.

shared = Shared(url, prefix=(namespace, shop_id), clock=clock)
await shared.get_many(keys)          # all reads and writes of one tick of the loop travel in one round trip
shared.put(key, value, ttl_s)        # sent at the end of the tick; nobody waits for it
shared.listen(channel, heard, on)    # messages of others; `on` whether they are heard

Nothing of it is the truth: a Redis that is down, slow, full or empty costs a miss, never an answer. What could not be
written is lost and counted. That something was not taken away, or not told, matters: `on_missed` is called then.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from shopkeeper.core.breaker import Breaker
from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from redis.asyncio import Redis

_LOGGER = logging.getLogger(__name__)
_WAITING: Final = 20_000  # writes that wait for their round trip
_ROUND: Final = 2_000  # commands of one round trip
_AGAIN_S: Final = (0.1, 5.0)  # a listener that lost its connection comes back after this, doubled up to that
_FIELDS: Final = 200  # of one hash: beyond that it begins anew
# A listener whose other side is gone without a word hears of that within half a minute.
_ALIVE: Final = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
# In one piece, so that no hash is left without an end to its time.
_PUT_FIELD: Final = """
if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[4]) then redis.call('UNLINK', KEYS[1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[3]) then redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
"""
Command: TypeAlias = tuple[Any, ...]
Heard: TypeAlias = Callable[[bytes], None]


class Shared:
    """Used on one loop. `timeout_s` bounds a round trip, connecting included. Raises Unavailable without the extra."""

    def __init__(self, url: str, *, prefix: Sequence[str], clock: Clock, timeout_s: float = 0.05) -> None:
        self._timeout = timeout_s
        self._prefix = ":".join(prefix)
        self._redis, broken = _client(url, timeout_s)
        self._broken = (broken, OSError, TimeoutError)
        self.breaker = Breaker(clock, least=5, recover_s=2.0)
        self._reads: list[tuple[Command, asyncio.Future[Any]]] = []
        self._writes: list[tuple[Command, bool]] = []  # and whether it matters when one is lost
        self._turning: asyncio.Task[None] | None = None
        self._missed: list[Callable[[], None]] = []
        self._listening: list[asyncio.Task[None]] = []
        self._lossy = self._closed = False
        self.round_trips = self.failures = self.dropped = 0

    def key(self, *parts: str) -> str:
        """`namespace:shop:part:part`. Parts that a client chose may hold anything: they come last."""
        return ":".join((self._prefix, *parts))

    # -- reading

    async def get(self, key: str) -> bytes | None:
        """None: not there, or not to be had now."""
        value: bytes | None = await self._ask("GET", key)
        return value

    async def get_many(self, keys: Sequence[str]) -> list[bytes | None]:
        """As `get`, in one command."""
        if not keys:
            return []
        values: list[bytes | None] | None = await self._ask("MGET", *keys)
        return [None] * len(keys) if values is None else values

    async def get_field(self, key: str, field: bytes) -> bytes | None:
        """One field of a hash."""
        value: bytes | None = await self._ask("HGET", key, field)
        return value

    # -- writing: nobody waits for it

    def put(self, key: str, value: bytes, ttl_s: float) -> None:
        self._tell("SET", key, value, "PX", max(1, int(ttl_s * 1000)), matters=False)

    def put_many(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        for key, value in values.items():
            self.put(key, value, ttl_s)

    def put_field(self, key: str, field: bytes, value: bytes, ttl_s: float) -> None:
        """A field of a hash, which as a whole lasts as long as the one of its fields that lasts longest."""
        ttl_ms = max(1, int(ttl_s * 1000))
        self._tell("EVAL", _PUT_FIELD, 1, key, field, value, ttl_ms, _FIELDS, matters=False)

    def drop(self, keys: Sequence[str]) -> None:
        if keys:
            self._tell("UNLINK", *keys)

    def publish(self, channel: str, message: bytes) -> None:
        self._tell("PUBLISH", channel, message)

    # -- hearing of others

    def on_missed(self, missed: Callable[[], None]) -> None:
        """Called on the loop when something that was to be dropped or told has been lost, once Redis answers again."""
        self._missed.append(missed)

    def listen(self, channel: str, heard: Heard, on: Callable[[bool], None]) -> None:
        """From now on until `close`: `heard` for each message. `on(True)` whenever listening begins (again): no later
        message is missed; `on(False)` when it has ended."""
        self._listening.append(asyncio.create_task(self._listen(channel, heard, on), name=f"redis {channel}"))

    async def close(self) -> None:
        """Sends what waits, if that is possible within the time of a round trip. From now on nothing is there. A second
        call does nothing."""
        self._closed = True
        listening, self._listening = self._listening, []
        for task in listening:
            task.cancel()
        if listening:
            await asyncio.wait(listening)
        if self._turning is not None:
            await asyncio.wait({self._turning})
        await self._redis.aclose()

    def facts(self) -> dict[str, Any]:
        """For the doors that tell how a shop is."""
        return {
            "state": self.breaker.state,
            "round_trips": self.round_trips,
            "failures": self.failures,
            "dropped_writes": self.dropped,
        }

    # -- inside

    async def _ask(self, *command: Any) -> Any:
        if self._closed or self.breaker.state == "open":
            return None
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reads.append((command, answer))
        self._turn()
        return await answer

    def _tell(self, *command: Any, matters: bool = True) -> None:
        if self._closed or self.breaker.state == "open" or len(self._writes) >= _WAITING or not _on_loop():
            self._lose([(command, matters)])
            return
        self._writes.append((command, matters))
        self._turn()

    def _turn(self) -> None:
        """What comes while a round trip is under way travels with the next one."""
        if self._turning is None or self._turning.done():
            self._turning = asyncio.create_task(self._turns(), name="redis")

    async def _turns(self) -> None:
        """The task starts in the next tick of the loop: by then the whole of this tick has been asked for."""
        while self._reads or self._writes:
            reads, self._reads = self._reads, []
            writes, self._writes = self._writes[:_ROUND], self._writes[_ROUND:]
            answers = await self._round_trip([command for command, _ in reads], writes)
            for (_, future), answer in zip(reads, answers, strict=True):
                if not future.done():
                    future.set_result(None if isinstance(answer, Exception) else answer)

    async def _round_trip(self, reads: list[Command], writes: list[tuple[Command, bool]]) -> list[Any]:
        """The answers to `reads`; all None when it failed, or may not be tried."""
        nothing = [None] * len(reads)
        if not self.breaker.allows():
            self._lose(writes)
            return nothing
        answers = await self._tried([*(command for command, _ in writes), *reads])
        if answers is None:
            self._lose(writes)
            return nothing
        self.round_trips += 1
        self.breaker.note(True)
        self._lose([one for one, answer in zip(writes, answers, strict=False) if isinstance(answer, Exception)])
        if self._lossy:
            self._lossy = False
            self._call(self._missed)
        return answers[len(writes) :]

    async def _tried(self, commands: list[Command]) -> list[Any] | None:
        """None: whatever the other side did, it is a miss here, and nobody waits any longer."""
        try:
            async with asyncio.timeout(self._timeout):
                return await self._send(commands)
        except self._broken as error:
            told = _told(error)
        except Exception:  # an edge: whoever waits for an answer would do so for ever
            _LOGGER.exception("Redis could not be asked")
            told = "see above"
        self.failures += 1
        self.breaker.note(False)
        if self.breaker.state == "open":
            _LOGGER.warning("Redis is left alone for a while: %s", told)
        return None

    async def _send(self, commands: list[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _lose(self, writes: Sequence[tuple[Command, bool]]) -> None:
        self.dropped += len(writes)
        self._lossy = self._lossy or any(matters for _, matters in writes)

    async def _listen(self, channel: str, heard: Heard, on: Callable[[bool], None]) -> None:
        wait = _AGAIN_S[0]
        while True:
            pubsub = self._redis.pubsub()
            try:
                await pubsub.subscribe(channel)
                async for message in pubsub.listen():
                    if message["type"] == "message":
                        self._call([partial(heard, message["data"])])
                    elif message["type"] == "subscribe":  # not before Redis says so is all of it heard
                        self._call([partial(on, True)])
                        wait = _AGAIN_S[0]
            except self._broken as error:
                _LOGGER.info("not listening to Redis now: %s", _told(error))
            except Exception:  # an edge: listening begins again
                _LOGGER.exception("not listening to Redis now")
            finally:
                self._call([partial(on, False)])
                with suppress(*self._broken):
                    await pubsub.aclose()  # type: ignore[no-untyped-call]
            await asyncio.sleep(wait)
            wait = min(wait * 2, _AGAIN_S[1])

    def _call(self, calls: Sequence[Callable[[], None]]) -> None:
        for call in calls:
            try:
                call()
            except Exception:  # an edge: who listens must not end the listening
                _LOGGER.exception("what listens to Redis failed")


def _client(url: str, timeout_s: float) -> tuple[Redis, type[Exception]]:
    """A client that neither tries again nor waits, and what it raises."""
    try:
        from redis.asyncio import Redis
        from redis.asyncio.retry import Retry
        from redis.backoff import NoBackoff
        from redis.exceptions import RedisError
    except ImportError as error:
        raise Unavailable(
            "SHOPKEEPER_REDIS_URL is set and the package redis is missing; install shopkeeper[redis]", code="no_redis"
        ) from error
    options = {getattr(socket, name): value for name, value in _ALIVE.items() if hasattr(socket, name)}
    alive: dict[str, Any] = (
        {} if url.startswith("unix:") else {"socket_keepalive": True, "socket_keepalive_options": options}
    )
    try:
        client = Redis.from_url(
            url,
            socket_connect_timeout=timeout_s,
            # None: a listener waits for as long as nobody says anything; round trips have their own limit.
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            **alive,
        )
        return client, RedisError
    except ValueError as error:
        raise Invalid(
            f"SHOPKEEPER_REDIS_URL is not an address of Redis ({error}); expected redis://host:6379/0",
            code="bad_redis_url",
        ) from error


def _on_loop() -> bool:
    """Before a shop has started there is none."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
