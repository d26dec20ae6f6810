"""Data sets: what the shop holds, counted."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from fastapi import Response
from sqlalchemy import func, select

from shopkeeper.api.door import Doors, ShopDep, reply
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import rfc3339
from shopkeeper.stores import schema

doors = Doors("Data")


class Dataset(msgspec.Struct):
    """`bytes` null: counted with the events, as there is one file. `from` and `to`: first and last time, if any."""

    name: str
    rows: int
    bytes: int | None = None
    from_: str | None = msgspec.field(name="from", default=None)
    to: str | None = None
    quality: dict[str, Any] = msgspec.field(default_factory=dict)


@doors.add("GET", "/api/v1/data/datasets", scope="r", answer=list[Dataset])
async def list_datasets(shop: ShopDep) -> Response:
    """What the shop holds: events, users, items, stores, stock levels"""
    return reply(await asyncio.to_thread(_counted, shop))


def _counted(shop: Shop) -> list[Dataset]:
    events = schema.events.c
    with shop.db.read() as connection:
        rows, first, last, known = connection.execute(
            select(func.count(), func.min(events.time), func.max(events.time), func.count(events.user_row))
        ).one()
        counts = {
            name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for name, table in _TABLES.items()
        }
    quality = {"with_user": known, "without_user": rows - known}
    size = sum(file.stat().st_size for file in shop.home.path.glob("shop.db*"))
    log = Dataset(
        "events",
        rows,
        size,
        None if first is None else rfc3339(first),
        None if last is None else rfc3339(last),
        quality,
    )
    return [log, *(Dataset(name, count) for name, count in counts.items())]


_TABLES = {"users": schema.users, "items": schema.items, "stores": schema.shops, "stock": schema.stock_levels}
