"""The level that processes of one shop share: Redis, asked at most once a tick, and left alone while it is broken.

shared = Shared(url, prefix=(namespace, shop_id), clock=clock)
await shared.get_many(keys)          # all reads and writes of one tick of the loop travel in one round trip
shared.put(key, value, ttl_s)        # sent at the end of the tick; nobody waits for it
await shared.listen(heard, missed)   # messages of others; `missed` whenever some may have been lost

Nothing of it is the truth: a Redis that is down, slow, full or empty costs a miss, never an answer. What could not be
written is dropped and counted; after that `missed` is called, so that nobody trusts what should have been taken away.
"""

from __future__ import annotations

import asyncio
import logging
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
        self._writes: list[Command] = []
        self._turning: asyncio.Task[None] | None = None
        self._missed: list[Callable[[], None]] = []
        self._listening: list[asyncio.Task[None]] = []
        self._lossy = False
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
        self._tell("SET", key, value, "PX", max(1, int(ttl_s * 1000)))

    def put_many(self, values: Mapping[str, bytes], ttl_s: float) -> None:
        for key, value in values.items():
            self.put(key, value, ttl_s)

    def put_field(self, key: str, field: bytes, value: bytes, ttl_s: float) -> None:
        """A field of a hash, which as a whole lasts until `ttl_s` after its last write."""
        self._tell("HSET", key, field, value)
        self._tell("PEXPIRE", key, max(1, int(ttl_s * 1000)))

    def drop(self, keys: Sequence[str]) -> None:
        if keys:
            self._tell("UNLINK", *keys)

    def publish(self, channel: str, message: bytes) -> None:
        self._tell("PUBLISH", channel, message)

    # -- hearing of others

    def on_missed(self, missed: Callable[[], None]) -> None:
        """Called on the loop when something that was written or published has been lost, once Redis answers again."""
        self._missed.append(missed)

    def listen(self, channel: str, heard: Heard, missed: Callable[[], None]) -> None:
        """From now on until `close`: `heard` for each message, `missed` whenever listening begins (again)."""
        self._listening.append(asyncio.create_task(self._listen(channel, heard, missed), name=f"redis {channel}"))

    async def close(self) -> None:
        """Sends what waits, if that is possible within the time of a round trip. A second call does nothing."""
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
        if self.breaker.state == "open":
            return None
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._reads.append((command, answer))
        self._turn()
        return await answer

    def _tell(self, *command: Any) -> None:
        if self.breaker.state == "open" or len(self._writes) >= _WAITING:
            self.dropped += 1
            self._lossy = True
            return
        self._writes.append(command)
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

    async def _round_trip(self, reads: list[Command], writes: list[Command]) -> list[Any]:
        """The answers to `reads`; all None when it failed, or may not be tried."""
        nothing = [None] * len(reads)
        if not self.breaker.allows():
            self._lose(len(writes))
            return nothing
        try:
            async with asyncio.timeout(self._timeout):
                answers = await self._send([*writes, *reads])
        except self._broken as error:  # whatever the other side does is a miss here
            self.failures += 1
            self.breaker.note(False)
            if self.breaker.state == "open":
                _LOGGER.warning("Redis is left alone for a while: %s", _told(error))
            self._lose(len(writes))
            return nothing
        self.round_trips += 1
        self.breaker.note(True)
        self._lose(sum(isinstance(answer, Exception) for answer in answers[: len(writes)]))
        if self._lossy:
            self._lossy = False
            self._call(self._missed)
        return answers[len(writes) :]

    async def _send(self, commands: list[Command]) -> list[Any]:
        pipeline = self._redis.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command)
        answers: list[Any] = await pipeline.execute(raise_on_error=False)
        return answers

    def _lose(self, writes: int) -> None:
        if writes:
            self.dropped += writes
            self._lossy = True

    async def _listen(self, channel: str, heard: Heard, missed: Callable[[], None]) -> None:
        wait = _AGAIN_S[0]
        while True:
            pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
            try:
                await pubsub.subscribe(channel)
                self._call([missed])
                wait = _AGAIN_S[0]
                async for message in pubsub.listen():
                    self._call([partial(heard, message["data"])])
            except self._broken as error:
                _LOGGER.info("not listening to Redis now: %s", _told(error))
            finally:
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
    try:
        client = Redis.from_url(
            url,
            socket_connect_timeout=timeout_s,
            # None: a listener waits for as long as nobody says anything; round trips have their own limit.
            socket_timeout=None,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
        )
        return client, RedisError
    except ValueError as error:
        raise Invalid(
            f"SHOPKEEPER_REDIS_URL is not an address of Redis ({error}); expected redis://host:6379/0",
            code="bad_redis_url",
        ) from error


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
