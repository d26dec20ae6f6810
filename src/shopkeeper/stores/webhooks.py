"""Who wants to be told, and the outbox of what they shall be told.

    store.announce(connection, [Announcement("segment.entered", "loyal", row, "anna", now)])   # in the write itself

What was committed is told at least once: the deliveries are rows of the same transaction. Who sends them is
`operations/webhooks.py`.
"""

from __future__ import annotations

import hashlib
import logging
import secrets
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import msgspec
from sqlalchemy import Connection, Row, delete, func, insert, select, update

from shopkeeper.core.clock import Clock, micros, moment, rfc3339
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.webhooks import EVENTS, TEST, Delivery, NewWebhook, Webhook
from shopkeeper.stores import deliveries
from shopkeeper.stores.etags import check_match, later
from shopkeeper.stores.paging import cursor_after, key_of
from shopkeeper.stores.schema import segments
from shopkeeper.stores.schema import webhooks as table
from shopkeeper.stores.sql import Database
from shopkeeper.telemetry import metrics

log = logging.getLogger(__name__)
WEBHOOKS = 100
PENDING = 100_000
"""Deliveries of one webhook that may wait."""
SECRET = (16, 256)

CheckUrl: TypeAlias = Callable[[str], None]
Listener: TypeAlias = Callable[[Collection[str] | None], None]


@dataclass(frozen=True, slots=True)
class Announcement:
    """What happened to whom: `time` in microseconds of the shop's clock."""

    event: str
    segment: str
    user_row: int
    user_id: str
    time: int


@dataclass(frozen=True, slots=True)
class Hook:
    """A webhook as its sender needs it."""

    webhook_id: str
    url: str = field(repr=False)
    events: frozenset[str]
    segment: str | None
    secret: str = field(repr=False)
    updated_at: int

    def wants(self, one: Announcement) -> bool:
        return one.event in self.events and self.segment in (None, one.segment)


class WebhookStore:
    """Reads are safe from any thread; changes answer a Future that is done when they are durable.

    `shop` names this shop in what is told. `check_url` raises Invalid for an address that may not be told anything; it
    may take a moment (names are looked up). `pending`: how many deliveries of one webhook may wait. Takes part in the
    writer's commits, so that what was announced is told to listeners when it is durable.
    """

    def __init__(
        self, db: Database, clock: Clock, *, shop: str = "", check_url: CheckUrl | None = None, pending: int = PENDING
    ) -> None:
        self._db = db
        self._clock = clock
        self._shop = shop
        self._check_url = check_url or (lambda _: None)
        self._limit = pending
        self._listeners: tuple[Listener, ...] = ()
        self._staged: list[str] = []  # webhooks that something was announced to and not committed yet
        with db.read() as connection:
            self.hooks = _hooks(connection)
            self._waiting = deliveries.counts(connection)  # never less than there are
            self._last = deliveries.newest(connection)
        db.writer.join(self)

    # -- who

    def all(self) -> list[Webhook]:
        """All, oldest first."""
        with self._db.read() as connection:
            return [_webhook(row) for row in connection.execute(select(table).order_by(table.c.webhook_id))]

    def create(
        self, url: str, events: Sequence[str], *, segment: str | None = None, secret: str | None = None, by: str = ""
    ) -> Future[NewWebhook]:
        """Without a secret one is made. Raises Invalid; by the future Conflict when there are WEBHOOKS already."""
        self._check(url, events, secret)
        made = None if secret is not None else secrets.token_urlsafe(32)

        def write(connection: Connection) -> NewWebhook:
            if (connection.scalar(select(func.count()).select_from(table)) or 0) >= WEBHOOKS:
                raise Conflict(f"there are {WEBHOOKS} webhooks already; delete one first", code="too_many")
            now, webhook_id = self._clock.wall(), ulid()
            values = {"webhook_id": webhook_id, "secret": secret or made, "created_at": now, "updated_at": now}
            connection.execute(
                insert(table).values({**values, **_says(connection, url, events, segment), "updated_by": by})
            )
            stored = _webhook(_present(connection, webhook_id))
            return NewWebhook(**msgspec.structs.asdict(stored), secret=made)

        return self._db.writer.submit(write, after=lambda _: self._changed())

    def update(
        self,
        webhook_id: str,
        url: str,
        events: Sequence[str],
        *,
        segment: str | None = None,
        secret: str | None = None,
        if_match: str | None = None,
        by: str = "",
    ) -> Future[Webhook]:
        """Says anew what it wants; without a secret the old one stays. What waits is tried at once, at the new address.

        Raises Invalid; by the future NotFound, Stale.
        """
        self._check(url, events, secret)

        def write(connection: Connection) -> Webhook:
            old = _present(connection, webhook_id)
            check_match(if_match, old.updated_at, f"webhook {webhook_id!r}")
            now = self._clock.wall()
            values = {**_says(connection, url, events, segment), "updated_at": later(now, old.updated_at)}
            values |= {"updated_by": by} if secret is None else {"updated_by": by, "secret": secret}
            connection.execute(update(table).where(table.c.webhook_id == webhook_id).values(values))
            deliveries.release(connection, webhook_id, now=now)
            return _webhook(_present(connection, webhook_id))

        return self._db.writer.submit(write, after=lambda _: self._changed())

    def delete(self, webhook_id: str, *, if_match: str | None = None) -> Future[None]:
        """Nothing more is told to it; what was waiting is removed by the sender. By the future: NotFound, Stale."""

        def write(connection: Connection) -> None:
            check_match(if_match, _present(connection, webhook_id).updated_at, f"webhook {webhook_id!r}")
            connection.execute(delete(table).where(table.c.webhook_id == webhook_id))

        return self._db.writer.submit(write, after=lambda _: self._changed())

    def subscribe(self, listener: Listener) -> None:
        """`listener(webhook_ids)` after something was announced to them, `listener(None)` after webhooks changed or a
        test was asked for; on the writer's thread, it must not wait."""
        self._listeners = (*self._listeners, listener)

    # -- what

    def announce(self, connection: Connection, announcements: Sequence[Announcement]) -> int:
        """Writes a delivery to everybody who wants to know, inside a write of the caller's. Returns how many.

        The sender hears of it by the commit.
        """
        written = 0
        for hook in self.hooks if announcements else ():
            wanted = [one for one in announcements if hook.wants(one)]
            self._gave_up(hook, len(wanted) - self._limit)
            rows = [
                self._row(hook.webhook_id, one.event, self._told(one), one.user_row) for one in wanted[-self._limit :]
            ]
            deliveries.add(connection, rows)
            written += len(rows)
            if rows:
                self._staged.append(hook.webhook_id)
            self._bound(connection, hook, len(rows))
        return written

    def test(self, webhook_id: str) -> Future[Delivery]:
        """Queues a `webhook.test`, before all that waits; while one waits, it is that. By the future: NotFound."""

        def write(connection: Connection) -> Delivery:
            _present(connection, webhook_id)
            if (waiting := deliveries.at_once(connection).get(webhook_id)) is not None:
                return waiting
            now = self._clock.wall()
            told = {"event_id": ulid(), "event": TEST, "time": rfc3339(now), "shop": self._shop}
            row = self._row(webhook_id, TEST, told, None) | {"next_try": None}
            deliveries.add(connection, [row])
            return deliveries.get(connection, row["delivery_id"])

        return self._db.writer.submit(write, after=lambda _: self._tell())

    def deliveries(
        self, webhook_id: str, *, limit: int = 50, cursor: str | None = None
    ) -> tuple[list[Delivery], str | None]:
        """(newest first, next cursor). Raises NotFound, Invalid for a cursor that was not given out here."""
        with self._db.read() as connection:
            _present(connection, webhook_id)
            found = deliveries.page(connection, webhook_id, limit=limit + 1, before=_place(cursor))
        more = len(found) > limit
        return found[:limit], cursor_after(str(micros(found[limit - 1].created_at))) if more else None

    def _told(self, one: Announcement) -> dict[str, Any]:
        """The payload. Its id is made of what happened, so that telling it anew is seen to be the same."""
        same = msgspec.json.encode((self._shop, one.event, one.segment, one.user_id, one.time))
        return {
            "event_id": hashlib.sha256(same).hexdigest()[:32],
            "event": one.event,
            "segment": one.segment,
            "user_id": one.user_id,
            "time": rfc3339(one.time),
            "shop": self._shop,
        }

    def _row(self, webhook_id: str, event: str, payload: dict[str, Any], user_row: int | None) -> dict[str, Any]:
        self._last = later(self._clock.wall(), self._last)
        return {
            "delivery_id": ulid(),
            "webhook_id": webhook_id,
            "event": event,
            "user_row": user_row,
            "payload": payload,
            "status": deliveries.PENDING,
            "attempts": 0,
            "next_try": self._last,
            "created_at": self._last,
        }

    def _bound(self, connection: Connection, hook: Hook, added: int) -> None:
        """Gives up the oldest that wait when they are too many. Counts in the database only when they may be."""
        waiting = self._waiting.get(hook.webhook_id, 0) + added
        if waiting > self._limit:
            reason = f"more than {self._limit} deliveries were waiting; the oldest were given up"
            if (waiting := deliveries.counts(connection).get(hook.webhook_id, 0)) > self._limit:
                keep = self._limit * 9 // 10  # room, so that this is rare
                now = self._clock.wall()
                gone = deliveries.trim(connection, hook.webhook_id, keep=keep, now=now, reason=reason)
                self._gave_up(hook, gone)
                waiting -= gone
        self._waiting[hook.webhook_id] = waiting

    def _gave_up(self, hook: Hook, many: int) -> None:
        if many > 0:
            metrics.webhook_deliveries_total.labels("dropped").inc(many)
            log.warning("webhook %s: %d deliveries were given up, too many wait", hook.webhook_id, many)

    # -- as a participant of the writer's commits

    def mark(self) -> int:
        return len(self._staged)

    def undo(self, mark: int) -> None:
        del self._staged[mark:]

    def publish(self) -> None:
        if self._staged:
            told, self._staged = frozenset(self._staged), []
            self._tell(told)

    # -- inside

    def _changed(self) -> None:
        with self._db.read() as connection:
            self.hooks = _hooks(connection)
        self._waiting = {hook.webhook_id: self._waiting.get(hook.webhook_id, 0) for hook in self.hooks}
        self._tell()

    def _tell(self, webhook_ids: Collection[str] | None = None) -> None:
        for listener in self._listeners:
            listener(webhook_ids)

    def _check(self, url: str, events: Sequence[str], secret: str | None) -> None:
        if unknown := [event for event in events if event not in EVENTS]:
            there = ", ".join(EVENTS)
            raise Invalid(f"event {unknown[0][:40]!r} is not told by webhooks; there are: {there}", field="events")
        if not events:
            raise Invalid(f"events is empty; name at least one of: {', '.join(EVENTS)}", field="events")
        if secret is not None and not (SECRET[0] <= len(secret) <= SECRET[1] and secret.isprintable()):
            raise Invalid(f"secret must be {SECRET[0]} to {SECRET[1]} printable characters", field="secret")
        self._check_url(url)


def _says(connection: Connection, url: str, events: Sequence[str], segment: str | None) -> dict[str, Any]:
    if segment is not None:
        known = connection.scalar(select(segments.c.name).where(segments.c.name == segment))
        if known is None:
            raise Invalid(
                f"there is no segment {segment[:64]!r}; make it first, or leave it out to hear of all",
                code="unknown_segment",
                field="segment",
            )
    return {"url": url, "events": list(dict.fromkeys(events)), "segment": segment}


def _place(cursor: str | None) -> int | None:
    key = key_of(cursor)
    if key is not None and not (key.isascii() and key.isdecimal() and len(key) <= 18):
        raise Invalid("cursor was not given out by this list; begin without one", field="cursor")
    return None if key is None else int(key)


def _present(connection: Connection, webhook_id: str) -> Row[Any]:
    row = connection.execute(select(table).where(table.c.webhook_id == webhook_id)).one_or_none()
    if row is None:
        raise NotFound(f"no webhook {webhook_id[:40]!r}", code="unknown_webhook")
    return row


def _hooks(connection: Connection) -> tuple[Hook, ...]:
    rows = connection.execute(select(table).order_by(table.c.webhook_id))
    return tuple(
        Hook(row.webhook_id, row.url, frozenset(row.events), row.segment, row.secret, row.updated_at) for row in rows
    )


def _webhook(row: Row[Any]) -> Webhook:
    return Webhook(
        webhook_id=row.webhook_id,
        url=row.url,
        events=row.events,
        segment=row.segment,
        created_at=moment(row.created_at),
        updated_at=moment(row.updated_at),
        updated_by=row.updated_by,
    )
