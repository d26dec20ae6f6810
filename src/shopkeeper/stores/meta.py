"""Facts about the shop itself, as text: kind, time zone, currency, where its clock stands."""

from __future__ import annotations

from concurrent.futures import Future

from sqlalchemy import Connection, delete, insert, select

from shopkeeper.stores import schema
from shopkeeper.stores.sql import Database


class Meta:
    """Keys: shop.id, shop.kind, shop.timezone, shop.currency, shop.shift_weeks, clock.position, live.released, ..."""

    def __init__(self, db: Database) -> None:
        self._db = db

    def get(self, key: str, default: str | None = None) -> str | None:
        with self._db.read() as connection:
            found = get_in(connection, key)
        return default if found is None else found

    def all(self) -> dict[str, str]:
        with self._db.read() as connection:
            return dict(connection.execute(select(schema.meta.c.key, schema.meta.c.value)).all())

    def set(self, key: str, value: str) -> Future[None]:
        """Done when it is durable."""
        return self._db.writer.submit(lambda connection: set_in(connection, key, value))


def get_in(connection: Connection, key: str) -> str | None:
    """`Meta.get` inside a transaction of the caller's."""
    return connection.scalar(select(schema.meta.c.value).where(schema.meta.c.key == key))


def set_in(connection: Connection, key: str, value: str) -> None:
    """`Meta.set` inside a write of the caller's."""
    connection.execute(delete(schema.meta).where(schema.meta.c.key == key))
    connection.execute(insert(schema.meta).values(key=key, value=value))
