"""A small shop's webhooks for tests: three users, one segment, a store and its messenger.

`python outbox.py HOME WHERE URL` is the process that a test kills: it announces three entries, commits, and says so.
WHERE "before": nothing is sent. "while": the messenger runs.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, insert

from shopkeeper.core.clock import Clock, SystemClock
from shopkeeper.core.webhooks import Delivery
from shopkeeper.operations.destinations import Destinations
from shopkeeper.operations.webhooks import Messenger
from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database, open_database, sqlite_url
from shopkeeper.stores.webhooks import Announcement, WebhookStore

QUICK = (0.02, 0.02, 0.02)
SECRET = "a-secret-of-the-two-sides"


@dataclass
class Outbox:
    db: Database
    store: WebhookStore
    messenger: Messenger

    def enter(self, *users: int, segment: str = "loyal", event: str = "segment.entered", time: int = 5) -> int:
        told = [Announcement(event, segment, user, f"u{user}", time) for user in users]
        return self.db.writer.run(lambda connection: self.store.announce(connection, told))

    def hook(self, url: str, events: Sequence[str] = ("segment.entered",), **more: Any) -> str:
        return self.store.create(url, events, secret=SECRET, **more).result().webhook_id

    def settled(self, webhook_id: str, holds: Callable[[list[Delivery]], bool]) -> list[Delivery]:
        """The deliveries, oldest first, when they are as expected; gives up after half a minute."""
        until = time.monotonic() + 30
        while not holds(found := self.store.deliveries(webhook_id, limit=1000)[0][::-1]):
            assert time.monotonic() < until, found
            time.sleep(0.01)
        return found


def all_finished(found: list[Delivery]) -> bool:
    return all(one.status != "pending" for one in found)


@contextmanager
def outbox(
    home: Path,
    *,
    destinations: Destinations | None = None,
    pending: int = 100_000,
    clock: Clock | None = None,
    **more: Any,
) -> Iterator[Outbox]:
    db = open_database(sqlite_url(home))
    where = destinations or Destinations(loopback=True)
    db.writer.run(_people)
    clock = clock or SystemClock()
    store = WebhookStore(db, clock, shop="corner-shop", check_url=where.check, pending=pending)
    messenger = Messenger(db, store, clock, where, **({"waits_s": QUICK} | more))
    try:
        yield Outbox(db, store, messenger)
    finally:
        messenger.stop()
        db.close()


def _people(connection: Connection) -> None:
    if connection.execute(schema.users.select()).first() is not None:
        return
    born = {"kind": "user", "attributes": {}, "listed": True, "created_at": 1, "updated_at": 1}
    connection.execute(insert(schema.users), [{"row": row, "user_id": f"u{row}", **born} for row in range(3)])
    connection.execute(
        insert(schema.segments).values(name="loyal", version=1, description="", condition="x", updated_at=1)
    )


def main(home: str, where: str, url: str) -> None:
    with outbox(Path(home)) as box:
        box.hook(url)
        if where == "while":
            box.messenger.start()
        box.enter(0, 1, 2)
        print("committed", flush=True)
        time.sleep(600)


if __name__ == "__main__":
    main(*sys.argv[1:])
