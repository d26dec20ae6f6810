"""The fields of items that rules of scenarios read, as columns over item rows.

Beside the standard fields, every attribute of an item record that is a number, a text or a truth and whose name can be
written in a rule is a field of its own; the numbers among them are also keys of the map `attributes`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY, SECOND
from shopkeeper.features.item_facts import ItemFacts
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.cover import Cover
from shopkeeper.recommend.eligible import Shelf
from shopkeeper.rules.columns import Column, Columns
from shopkeeper.rules.schema import Field, Schema, clean_number, writable
from shopkeeper.rules.values import MISSING
from shopkeeper.rules.vectors import MapColumn, TextColumn
from shopkeeper.stores.item_attributes import Kind

NEW_DAYS = 30.0

FIELDS = (
    Field("item_id", "text", "", "the item's id"),
    Field("name", "text", "", "the item's name"),
    Field("kind", "text", "", "product, or what else the shop shows"),
    Field("category", "text", "", "the item's category; missing: none"),
    Field("price", "number", "currency", "the list price; missing: none"),
    Field("active", "bool", "", "may it be shown"),
    Field("attributes", "map", "", "the numbers among the attributes of the item's record"),
    Field("sold_7d", "number", "order lines", "sold in the last 7 days, to six hours"),
    Field("sold_30d", "number", "order lines", "sold in the last 30 days, to six hours"),
    Field("on_hand", "number", "pieces", "on hand in all stores; missing: nobody has counted"),
    Field(
        "cover_days", "number", "days", "until nothing is left at the present pace; missing: not counted or not sold"
    ),
    Field("age_days", "number", "days", "since the item's first event; 0: none yet"),
    Field("is_new", "bool", "", f"its first event came within the last {NEW_DAYS:g} days, or none has come yet"),
)
_STANDARD = frozenset(field.name for field in FIELDS)
_LIVE = frozenset({"sold_7d", "sold_30d", "age_days", "is_new"})
_STOCK = frozenset({"on_hand", "cover_days"})


class Attributes(Protocol):
    """What the records of items say beside the standard fields. `version` grows with every change."""

    @property
    def version(self) -> int: ...

    def types(self) -> Mapping[str, Kind]:
        """The attributes that there are: number, text or bool."""
        ...

    def column(self, name: str, n: int) -> list[Any]:
        """The values of one (n,), None where a record does not have it."""
        ...


class ItemColumns:
    """Used on the thread that owns the feature state."""

    def __init__(self, shelf: Shelf, state: FeatureState, cover: Cover, attributes: Attributes | None = None) -> None:
        self._shelf = shelf
        self._state = state
        self._attributes = attributes
        self.cover = cover
        self._made: dict[str, tuple[object, Column]] = {}
        self._schema: tuple[int, Schema] | None = None

    def __len__(self) -> int:
        """Items of the shelf."""
        return len(self._shelf)

    def texts(self, name: str) -> TextColumn:
        """A text field of the standard ones: its codes and words."""
        found = self.columns(frozenset({name}), 0).values[name]
        assert isinstance(found, TextColumn), f"{name} is no text"
        return found

    def schema(self) -> Schema:
        """The fields of now: the same object until one came, went or changed its type. From any thread."""
        version = -1 if self._attributes is None else self._attributes.version
        if self._schema is None or self._schema[0] != version:
            types = {} if self._attributes is None else self._attributes.types()
            named = (name for name in types if name not in _STANDARD and writable(name))
            further = [Field(name, types[name], "", "attribute") for name in named]
            found = Schema([*FIELDS, *further])
            if self._schema is not None and self._schema[1].types == found.types:
                found = self._schema[1]
            self._schema = (version, found)
        return self._schema[1]

    def columns(self, names: frozenset[str], now: int) -> Columns:
        """The columns of some fields, as of now (us); what has not changed is not made anew."""
        n = len(self._shelf)
        values: dict[str, Column] = {}
        for name in names:
            token = self._token_of(name, n, now)
            kept = self._made.get(name)
            if kept is None or kept[0] != token:
                kept = self._made[name] = (token, self._make(name, n, now))
            values[name] = kept[1]
        return Columns(n, values)

    def token(self, names: frozenset[str], now: int) -> tuple[object, ...]:
        """Equal tokens: the columns of these names are equal. Live counts are looked at once a second."""
        n = len(self._shelf)
        return tuple(self._token_of(name, n, now) for name in sorted(names)) or (n,)

    def _token_of(self, name: str, n: int, now: int) -> tuple[int, ...]:
        if name in _LIVE:
            return n, now // SECOND
        if name in _STOCK:
            self.cover.days(n)
            return n, self.cover.version
        return n, self._shelf.version, -1 if self._attributes is None else self._attributes.version

    def _make(self, name: str, n: int, now: int) -> Column:
        maker = _MAKERS.get(name)
        if maker is not None:
            return maker(self, n, now)
        if name == "attributes":
            return self._numbers(n)
        assert self._attributes is not None, "a rule reads only fields of the schema"
        kind, found = self.schema().types[name], self._attributes.column(name, n)
        if kind == "text":
            return TextColumn.of([value if isinstance(value, str) else None for value in found])
        if kind == "bool":
            return np.array([value is True for value in found], dtype=np.bool_)
        return np.array([_number(value) for value in found], dtype=np.float64)

    def _numbers(self, n: int) -> MapColumn:
        attributes = self._attributes
        if attributes is None:
            return MapColumn({}, n)
        numbers = [name for name, kind in attributes.types().items() if kind == "number"]
        columns = {name: [_number(value) for value in attributes.column(name, n)] for name in numbers}
        return MapColumn({name: np.array(column, dtype=np.float64) for name, column in columns.items()}, n)

    def age_days(self, n: int, now: int) -> NDArray[np.float64]:
        """float64 (n,): days since the first event of each item, 0: none yet."""
        facts = self._state.part(ItemFacts)
        result = np.zeros(n)
        size = min(n, facts.size)
        result[:size] = np.maximum(now - facts.first_seen[:size], 0) / DAY
        return result

    def sold(self, days: int, n: int, now: int) -> NDArray[np.float64]:
        """float64 (n,): order lines of the last days."""
        result = np.zeros(n)
        found = self._state.item_popularity(now, days)[:n]
        result[: len(found)] = found
        return result

    def _cover_days(self, n: int) -> NDArray[np.float64]:
        days = self.cover.days(n).astype(np.float64)
        return np.where(np.isfinite(days), days, np.nan)


def _number(value: Any) -> float:
    """NaN for what is no finite number: the JSON of a record may hold whole numbers of any size."""
    return MISSING if isinstance(value, bool) else clean_number(value)


_MAKERS: Mapping[str, Callable[[ItemColumns, int, int], Column]] = {
    "item_id": lambda at, n, _: TextColumn.of(at._shelf.ids[:n]),
    "name": lambda at, n, _: TextColumn.of(at._shelf.names[:n]),
    "kind": lambda at, n, _: TextColumn.of(at._shelf.kind[:n]),
    "category": lambda at, n, _: TextColumn.of(at._shelf.category[:n]),
    "price": lambda at, n, _: at._shelf.price[:n].astype(np.float64),
    "active": lambda at, n, _: at._shelf.active[:n].copy(),
    "sold_7d": lambda at, n, now: at.sold(7, n, now),
    "sold_30d": lambda at, n, now: at.sold(30, n, now),
    "on_hand": lambda at, n, _: at.cover.on_hand(n).astype(np.float64),
    "cover_days": lambda at, n, _: at._cover_days(n),
    "age_days": lambda at, n, now: at.age_days(n, now),
    "is_new": lambda at, n, now: at.age_days(n, now) < NEW_DAYS,
}
