"""The attributes of item records as rules can read them: which there are, of which type, and their values."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from typing import Any, Literal, TypeAlias

from shopkeeper.stores.catalog import Catalog

Kind: TypeAlias = Literal["number", "text", "bool"]
MOST_NAMES = 500


class ItemAttributes:
    """Numbers, texts and truths of the records, by item row. Readable from any thread.

    An attribute has the type of the first value met; a value of another type is as if it were missing. A name stays
    known while the shop runs, also when no record has it any more, so that no rule breaks by a change of an item.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._lock = threading.Lock()
        self._types: dict[str, Kind] = {}
        self.version = 0
        catalog.subscribe(self._meet)

    def load(self) -> None:
        """Looks at every record; later ones are met as they come. Not for the loop's thread."""
        self._meet(range(len(self._catalog)))

    def types(self) -> dict[str, Kind]:
        """Read only."""
        return self._types

    def column(self, name: str, n: int) -> list[Any]:
        """The values of one attribute of the first n items, None where a record does not have it."""
        found = [attributes.get(name) for attributes in self._catalog.attributes[:n]]
        return found + [None] * (n - len(found))

    def _meet(self, rows: Iterable[int]) -> None:
        """New names grow the version; the values are the catalogue's own, whose version tells of them."""
        with self._lock:
            types = dict(self._types)
            for row in rows:
                for name, value in self._catalog.attributes[row].items():
                    if name not in types and isinstance(value, bool | int | float | str) and len(types) < MOST_NAMES:
                        types[name] = _kind(value)
            if len(types) > len(self._types):
                self._types = types
                self.version += 1


def _kind(value: bool | float | str) -> Kind:
    return "bool" if isinstance(value, bool) else "text" if isinstance(value, str) else "number"
