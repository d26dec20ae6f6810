"""The messenger: sends what waits in the outbox of webhooks, from one thread with a loop of its own.

    messenger = Messenger(db, store, clock, Destinations(hosts))
    messenger.start()       # from now on it hears of every commit that announced something
    messenger.stop()

Each webhook has a line of its own, in order, with one post at a time: a receiver that is slow or down holds up its own
line and no other. What fails is tried again by WAITS_S, then given up. What was sent and not yet written down when the
process dies is sent again: at least once, with the same `event_id`.
"""

from __future__ import annotations

import asyncio
import logging
import random
import ssl
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection

from shopkeeper.core.clock import DAY, SECOND, Clock, micros, moment
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.webhooks import TEST
from shopkeeper.operations.destinations import Destinations, Place
from shopkeeper.operations.posting import Answer, Post, tls_context
from shopkeeper.stores import deliveries
from shopkeeper.stores.deliveries import Waiting
from shopkeeper.stores.sql import Database
from shopkeeper.stores.webhooks import WEBHOOKS, Hook, WebhookStore
from shopkeeper.telemetry import metrics

log = logging.getLogger(__name__)
WAITS_S = (10.0, 60.0, 300.0, 1800.0, 7200.0, 21_600.0, 54_000.0)
"""Before the second attempt, the third ...: eight attempts in about a day. A fifth more or less by chance."""
TIMEOUT_S = 10.0
LIFE = DAY
"""A delivery that waited so long behind others is given up at its first failure."""
REFUSALS = frozenset({400, 405, 409, 410, 413, 415, 422})
"""The receiver understood and will not have it: only REFUSED attempts, so that it does not hold up the others."""
REFUSED = 3

KEPT = 100_000
"""Deliveries of one webhook of which those that have ended stay to be looked at."""

_BATCH = 20
_FRESH_S = 1.0  # after this what was read is read again: it may have been erased meanwhile
_LONGEST_S = 30.0
_REST_S = 2.0
_GRACE_S = 2.0
_TIDY_S = 600.0
_TIDY_ROWS = 5000


@dataclass
class _Line:
    """`since`: where the pending ones of a webhook begin. `look_at`: when to look at it again (microseconds, 0: now);
    None: nothing waits."""

    since: int = 0
    look_at: int | None = 0
    task: asyncio.Task[None] | None = None


class Messenger:
    """`wake`, `start` and `stop` may be called from any thread.

    `allows(user_row)` is asked before each post: who refuses meanwhile is told of no more.
    """

    def __init__(
        self,
        db: Database,
        store: WebhookStore,
        clock: Clock,
        destinations: Destinations,
        *,
        allows: Callable[[int], bool] = lambda _: True,
        keep_days: int = 30,
        timeout_s: float = TIMEOUT_S,
        waits_s: Sequence[float] = WAITS_S,
    ) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._destinations = destinations
        self._allows = allows
        self._keep = keep_days * DAY
        self._timeout_s = timeout_s
        self._waits = tuple(waits_s)
        self._lines: dict[str, _Line] = {}
        self._names = ThreadPoolExecutor(WEBHOOKS, thread_name_prefix="shopkeeper-names")
        self._tls: ssl.SSLContext | None = None
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._call = asyncio.Event()
        self._closing = False
        self._tidy_at = 0.0
        store.subscribe(self._heard)

    def start(self) -> None:
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve()), name="shopkeeper-messenger", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Lets the posts under way end within two seconds; what is not done goes on at the next start."""
        self._closing = True
        self.wake()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        self._names.shutdown(wait=False, cancel_futures=True)

    def wake(self) -> None:
        """Look now. Not needed after an announcement: its commit is heard of."""
        self._heard(())

    def _heard(self, webhook_ids: Collection[str] | None) -> None:
        """Something was announced to these webhooks; None: look at all, and tidy up after those that are gone."""
        if (loop := self._loop) is not None:
            with suppress(RuntimeError):  # it has ended
                loop.call_soon_threadsafe(self._note, webhook_ids)

    def _note(self, webhook_ids: Collection[str] | None) -> None:
        if webhook_ids is None:
            self._tidy_at = 0.0
        for key in self._lines if webhook_ids is None else webhook_ids:
            self._lines.setdefault(key, _Line()).look_at = 0
        self._call.set()

    # -- the loop's thread

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        while not self._closing:
            self._call.clear()
            began = time.perf_counter()
            try:
                wait_s = self._look()
                await self._tidy()
            except ShopkeeperError as error:
                log.warning("webhooks cannot be looked at now: %s", error.message)
                wait_s = _REST_S
            except Exception:  # the edge: a table that another program has written must not end the thread
                log.exception("webhooks cannot be looked at")
                wait_s = _LONGEST_S
            await asyncio.sleep(min(5 * (time.perf_counter() - began), _REST_S))  # at most a sixth of a core looks
            with suppress(TimeoutError):
                async with asyncio.timeout(wait_s):
                    await self._call.wait()
        await self._end()

    async def _end(self) -> None:
        tasks = [line.task for line in self._lines.values() if line.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=_GRACE_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._loop = None

    def _look(self) -> float:
        """Begins everything that is due. Returns the seconds until there may be more."""
        hooks, now, wait = self._store.hooks, self._clock.wall(), _LONGEST_S
        self._lines = {
            key: line
            for key, line in self._lines.items()
            if line.task is not None or any(hook.webhook_id == key for hook in hooks)
        }
        if not hooks:
            return wait
        with self._db.read() as connection:
            first = deliveries.at_once(connection)
            for hook in hooks:
                line = self._lines.setdefault(hook.webhook_id, _Line())
                if line.task is not None:
                    continue
                test = first.get(hook.webhook_id)
                if found := [test] if test is not None else self._due(connection, hook, line, now):
                    line.task = asyncio.create_task(self._tell(hook, line, found))
                elif line.look_at is not None:
                    wait = min(wait, self._until(line.look_at, now))
        return wait

    def _due(self, connection: Connection, hook: Hook, line: _Line, now: int) -> list[Waiting]:
        """What may be sent now, in order. Notes when there may be more."""
        if line.look_at is None or self._until(line.look_at, now) > 0:
            return []
        found = deliveries.line(connection, hook.webhook_id, since=line.since, limit=_BATCH)
        line.look_at = _try_at(found[0]) if found else None
        return found if found and self._until(_try_at(found[0]), now) <= 0 else []

    def _until(self, at: int, now: int) -> float:
        """Seconds until then. A time further ahead than any wait is one of a clock that was set back."""
        left = (at - now) / SECOND
        return left if left <= 1.2 * max(self._waits, default=0.0) else 0.0

    async def _tell(self, hook: Hook, line: _Line, found: list[Waiting]) -> None:
        """Sends in order until one fails."""
        try:
            if self._tls is None:
                self._tls = await asyncio.to_thread(tls_context)
            post = Post(hook, self._tls, self._addresses)
            try:
                await self._send(hook, line, found, post)
            finally:
                await post.close()
        except ShopkeeperError as error:
            log.warning("webhook %s: what was sent cannot be written down: %s", hook.webhook_id, error.message)
            await asyncio.sleep(_REST_S)
        except Exception:  # the edge: one webhook must not end the others
            log.exception("webhook %s: could not be told", hook.webhook_id)
            await asyncio.sleep(_REST_S)
        finally:
            line.task, line.look_at = None, 0
            self._call.set()

    async def _send(self, hook: Hook, line: _Line, found: list[Waiting], post: Post) -> None:
        began, written, last = time.monotonic(), [], line.since
        for told in found:
            if hook not in self._store.hooks or time.monotonic() - began > _FRESH_S or self._closing:
                break  # changed, gone, or read too long ago
            if told.user_row is not None and not self._allows(told.user_row):
                written.append(self._write(_withheld(told)))
                continue
            started = time.perf_counter()
            answer = await post.send(told, at=self._clock.wall() // SECOND, timeout_s=self._timeout_s)
            metrics.webhook_post_seconds.observe(time.perf_counter() - started)
            after = self._judge(told, answer)
            written.append(self._write(after))
            last = last if told.event == TEST else micros(told.created_at)
            if after.status != deliveries.DELIVERED:
                break
        for one in written:
            await asyncio.wrap_future(one)
        line.since = last

    def _judge(self, told: Waiting, answer: Answer) -> Waiting:
        """The delivery after an attempt."""
        attempts, now = told.attempts + 1, self._clock.wall()
        after = msgspec.structs.replace(
            told, attempts=attempts, answer=answer.status, error=answer.error, next_try=None
        )
        if answer.error is None:
            after.status = deliveries.DELIVERED
        elif self._is_last(told, attempts, answer, now):
            after.status = deliveries.FAILED
        else:
            wait = self._waits[attempts - 1] * random.uniform(0.8, 1.2)
            after.next_try = moment(now + int(wait * SECOND))
        outcome = "retried" if after.status == deliveries.PENDING else after.status
        metrics.webhook_deliveries_total.labels(outcome).inc()
        if answer.error is not None:
            facts = (told.webhook_id, told.delivery_id, answer.error, attempts, outcome)
            log.warning("webhook %s: delivery %s: %s (attempt %d, %s)", *facts)
        return after

    def _is_last(self, told: Waiting, attempts: int, answer: Answer, now: int) -> bool:
        most = REFUSED if answer.status in REFUSALS else len(self._waits) + 1
        return told.event == TEST or attempts >= most or now - micros(told.created_at) > LIFE

    def _write(self, after: Waiting) -> Future[bool]:
        now = self._clock.wall()
        return self._db.writer.submit(lambda connection: deliveries.settle(connection, after, now=now))

    async def _addresses(self, place: Place) -> list[str]:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._names, self._destinations.addresses, place)

    def _cutoffs(self) -> dict[str, int | None]:
        with self._db.read() as connection:
            return deliveries.cutoffs(connection, before=self._clock.wall() - self._keep, keep=KEPT)

    async def _tidy(self) -> None:
        """Now and then: what was finished long ago, and what was told to webhooks that are gone, is removed."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + _TIDY_S
        cuts = await asyncio.to_thread(self._cutoffs)

        def write(connection: Connection) -> int:
            return deliveries.tidy(connection, cuts, limit=_TIDY_ROWS)

        if await asyncio.wrap_future(self._db.writer.submit(write)) >= _TIDY_ROWS:
            self._tidy_at = 0.0
            self._call.set()


def _try_at(head: Waiting) -> int:
    return 0 if head.next_try is None else micros(head.next_try)


def _withheld(told: Waiting) -> Waiting:
    metrics.webhook_deliveries_total.labels("dropped").inc()
    reason = "not sent: the user has refused marketing"
    return msgspec.structs.replace(told, status=deliveries.FAILED, next_try=None, error=reason)
