"""Gives out rows: whatever an event, a user or an item names for the first time gets its row in the same transaction.

Every function runs inside a write, on the writer's thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sqlalchemy import Connection, Table, insert

from shopkeeper.core.clock import Clock
from shopkeeper.stores import schema
from shopkeeper.stores.vocabulary import UserVocabulary, Vocabularies, Vocabulary


class RowGiver:
    """Each method answers key -> row for all the keys it is given, making the rows that are missing."""

    def __init__(self, vocabularies: Vocabularies, clock: Clock) -> None:
        self._vocabularies = vocabularies
        self._clock = clock

    def users(self, connection: Connection, user_ids: Iterable[str]) -> dict[str, int]:
        """Rows of users; a new one is known from events only (`listed` false) until a record is put."""
        return self._people(connection, "user", {user_id: user_id for user_id in user_ids})

    def visitors(self, connection: Connection, anonymous_ids: Iterable[str]) -> dict[str, int]:
        """Rows of anonymous visitors."""
        return self._people(connection, "anonymous", {a: UserVocabulary.anonymous_key(a) for a in anonymous_ids})

    def items(self, connection: Connection, kinds: dict[str, str]) -> dict[str, int]:
        """Rows of items, given as item id -> kind. A new one is active and has its id as name."""
        now = self._clock.wall()

        def fresh(item_id: str, row: int) -> dict[str, Any]:
            facts = {"name": item_id, "kind": kinds[item_id], "category": None, "price": None, "active": True}
            return {"row": row, "item_id": item_id, **facts, "attributes": {}, "created_at": now, "updated_at": now}

        return _give(connection, self._vocabularies.items, schema.items, {i: i for i in kinds}, fresh)

    def stores(self, connection: Connection, store_ids: Iterable[str]) -> dict[str, int]:
        keys = {store_id: store_id for store_id in store_ids}
        return _give(connection, self._vocabularies.stores, schema.shops, keys, _fresh_store)

    def event_types(self, connection: Connection, names: Iterable[str]) -> dict[str, int]:
        keys = {name: name for name in names}
        return _give(connection, self._vocabularies.event_types, schema.event_types, keys, _fresh_type)

    def _people(self, connection: Connection, kind: str, keys: dict[str, str]) -> dict[str, int]:
        now = self._clock.wall()

        def fresh(user_id: str, row: int) -> dict[str, Any]:
            facts = {"attributes": {}, "listed": False, "created_at": now, "updated_at": now}
            return {"row": row, "kind": kind, "user_id": user_id, **facts}

        return _give(connection, self._vocabularies.users, schema.users, keys, fresh)


def _give(
    connection: Connection,
    vocabulary: Vocabulary,
    table: Table,
    keys: dict[str, str],
    fresh: Callable[[str, int], dict[str, Any]],
) -> dict[str, int]:
    """id -> row; `keys` maps each id to its key in the vocabulary."""
    found: dict[str, int] = {}
    new: list[dict[str, Any]] = []
    for id, key in keys.items():
        row = vocabulary.staged_row(key)
        if row is None:
            row = vocabulary.stage(key)
            new.append(fresh(id, row))
        found[id] = row
    if new:
        connection.execute(insert(table), new)
    return found


def _fresh_store(store_id: str, row: int) -> dict[str, Any]:
    return {"row": row, "store_id": store_id, "facts": {}}


def _fresh_type(name: str, row: int) -> dict[str, Any]:
    return {"row": row, "name": name}
