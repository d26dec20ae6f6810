"""Filling a new shop in bulk: thousands of records in a few statements, inside a write of the caller's.

For records that the caller made itself: they are not checked here, and listeners are not told. Doing it again leaves
the same records.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, delete, insert, update

from shopkeeper.core.clock import micros
from shopkeeper.core.records import Item, StockLevel, User
from shopkeeper.stores import schema
from shopkeeper.stores.rows import RowGiver

_FACTS = ("name", "kind", "category", "price", "active", "attributes")


def fill_items(connection: Connection, give: RowGiver, items: Sequence[Item]) -> None:
    """Items of new ids with their facts. In the catalog after the commit."""
    rows = give.items(connection, {item.item_id: item.kind for item in items})
    facts: dict[str, BindParameter[Any]] = {name: bindparam(f"its_{name}") for name in _FACTS}
    change = update(schema.items).where(schema.items.c.row == bindparam("at")).values(facts)
    connection.execute(
        change,
        [{"at": rows[item.item_id], **{f"its_{name}": getattr(item, name) for name in _FACTS}} for item in items],
    )


def fill_users(connection: Connection, give: RowGiver, users: Sequence[User]) -> None:
    """Registered users of new ids."""
    rows = give.users(connection, [user.user_id for user in users])
    change = update(schema.users).where(schema.users.c.row == bindparam("at"))
    connection.execute(
        change.values(attributes=bindparam("its_attributes"), listed=True),
        [{"at": rows[user.user_id], "its_attributes": user.attributes} for user in users],
    )


def fill_levels(connection: Connection, give: RowGiver, levels: Sequence[StockLevel]) -> None:
    """The only stock levels of the shop; stores and items that they name get rows."""
    stores = give.stores(connection, dict.fromkeys(level.store_id for level in levels))
    items = give.items(connection, {level.item_id: "product" for level in levels})
    connection.execute(delete(schema.stock_levels))
    rows = []
    for level in levels:
        assert level.as_of is not None
        rows.append(
            {
                "store_row": stores[level.store_id],
                "item_row": items[level.item_id],
                "on_hand": level.on_hand,
                "on_order": level.on_order,
                "lead_time_days": level.lead_time_days,
                "as_of": micros(level.as_of),
                "simulated": level.simulated,
            }
        )
    if rows:
        connection.execute(insert(schema.stock_levels), rows)
