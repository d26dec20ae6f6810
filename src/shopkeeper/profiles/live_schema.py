"""The fields that rules can read today: the standard ones, and what the users' attributes add."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from shopkeeper.profiles.fields import schema_of
from shopkeeper.profiles.people import People
from shopkeeper.profiles.surroundings import Surroundings
from shopkeeper.rules.schema import Field, Schema


class LiveSchema:
    """`extra` are fields that rules may read before any user has such an attribute."""

    def __init__(self, people: People, extra: Iterable[Field] = (), surroundings: Surroundings | None = None) -> None:
        self._people = people
        self._extra = tuple(extra)
        self._surroundings = surroundings
        self._read = -1
        self._schema = schema_of([], self._extra, surroundings)
        self.version = 0

    def beside(self) -> tuple[int, ...]:
        """Another one when what is read from beside the users' own events has changed, see `Surroundings.standing`."""
        return () if self._surroundings is None else self._surroundings.standing()

    def refresh(self) -> Schema:
        """Reads the users' records first."""
        self._people.refresh()
        return self.current()

    def current(self) -> Schema:
        """As of the last reading of the users' records. `version` grows when a field came, went or changed."""
        if self._read != self._people.version:
            self._read = self._people.version
            found = schema_of((person.attributes for person in self._people.all()), self._extra, self._surroundings)
            if found.types != self._schema.types:
                self._schema = found
                self.version += 1
        return self._schema

    def fields(self) -> list[dict[str, Any]]:
        """`[{name, type, unit, help, windows}]` of now, windows in hours."""
        return [
            {"name": f.name, "type": f.type, "unit": f.unit, "help": f.help, "windows": list(f.windows)}
            for f in self.refresh().fields.values()
        ]
