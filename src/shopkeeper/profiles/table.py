"""Every field of the schema for n users, computed when a rule first reads it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from shopkeeper.core.clock import DAY
from shopkeeper.features.trails import Trail
from shopkeeper.profiles.behaviour import Behaviour
from shopkeeper.profiles.clusters.field import clustered
from shopkeeper.profiles.fields import BEHAVIOUR, DAY_HOURS, MEASURES, ProfileSchema
from shopkeeper.profiles.lifecycle import stages
from shopkeeper.profiles.people import Person
from shopkeeper.profiles.rfm import RfmScale, digits, moments
from shopkeeper.profiles.sources import Source, last_event_seconds
from shopkeeper.profiles.surroundings import Surroundings
from shopkeeper.rules.columns import Column, Columns
from shopkeeper.rules.schema import Schema, clean_map, clean_number, clean_text
from shopkeeper.rules.vectors import MapColumn, Numbers, TextColumn

_MEASURES = frozenset(field.name for field in MEASURES)
_BEHAVIOUR = frozenset(field.name for field in BEHAVIOUR)


class ProfileTable(Mapping[str, Column]):
    """Columns by field name. `people` are the records of the same n users, None where there is none."""

    def __init__(
        self, schema: Schema, source: Source, people: Sequence[Person | None], scale: RfmScale | None = None
    ) -> None:
        self.schema = schema
        self.source = source
        self.people = people
        self.scale = scale
        self._kept: dict[str, Column] = {}

    def __getitem__(self, name: str) -> Column:
        found = self._kept.get(name)
        if found is None:
            if name not in self.schema.types:
                raise KeyError(name)
            found = self._kept[name] = self._compute(name)
        return found

    def __iter__(self) -> Iterator[str]:
        return iter(self.schema.types)

    def __len__(self) -> int:
        return len(self.schema.types)

    def __contains__(self, name: object) -> bool:
        return name in self.schema.types

    def columns(self) -> Columns:
        """For `compile_columns`."""
        return Columns(self.source.n, self)

    def row(self, names: frozenset[str], place: int = 0) -> dict[str, Any]:
        """The named fields of one user, for `compile_one`."""
        return {name: _at(self[name], place) for name in names}

    def number(self, name: str) -> Numbers:
        found = self[name]
        assert isinstance(found, np.ndarray)
        return found.astype(np.float64, copy=False)

    @property
    def surroundings(self) -> Surroundings | None:
        return self.schema.surroundings if isinstance(self.schema, ProfileSchema) else None

    @cached_property
    def trail(self) -> Trail:
        """The events of the n users."""
        return self.source.trail()

    @cached_property
    def behaviour(self) -> Behaviour:
        return Behaviour(self.trail, self.surroundings)

    # -- fields ----------------------------------------------------------------------------------------------

    def _compute(self, name: str) -> Column:
        base, hours = self.schema.windows.get(name, (name, None))
        days = None if hours is None else hours / DAY_HOURS
        if base in _MEASURES:
            return self.source.measure(base, days)
        if base == "event_counts":
            return self.source.counts(days)
        if base in _BEHAVIOUR:
            return clustered(self, self.surroundings) if base == "cluster" else self.behaviour.column(base, days)
        if name in ("days_since_event", "days_since_order", "tenure_days"):
            return self.source.days_since(name)
        if name == "last_event_at":
            return last_event_seconds(self.source)
        if name == "user_id":
            return TextColumn.of([None if person is None else person.user_id for person in self.people])
        return self._derived(name)

    def _derived(self, name: str) -> Column:
        match name:
            case "net_spend":
                return self.number("spend") - self.number("returned")
            case "average_order":
                return _ratio(self.number("spend"), self.number("orders"))
            case "return_rate":
                return _ratio(self.number("returned"), self.number("spend"))
            case "days_between_orders":
                # From whole moments: the difference of two growing numbers would tremble with the clock.
                now = self.source.now
                last, first = (moments(self.number(name), now) for name in ("days_since_order", "tenure_days"))
                return _ratio((last - first) / DAY, self.number("orders") - 1)
            case "lifecycle":
                names = ("orders", "days_since_order", "tenure_days", "days_between_orders")
                return stages(*(self.number(name) for name in names))
            case "recency_score" | "frequency_score" | "monetary_score" | "rfm":
                return self._scored(name)
        return self._attribute(name)

    def _scored(self, name: str) -> Column:
        if name == "rfm":
            return digits(*(self.number(f"{part}_score") for part in ("recency", "frequency", "monetary")))
        if self.scale is None:
            return np.full(self.source.n, np.nan)
        if name == "recency_score":
            return self.scale.recency(moments(self.number("days_since_order"), self.source.now))
        if name == "frequency_score":
            return self.scale.frequency(self.number("orders"))
        return self.scale.monetary(self.number("net_spend"), self.number("orders"))

    def _attribute(self, name: str) -> Column:
        values = [None if person is None else person.attributes.get(name) for person in self.people]
        kind = self.schema.types[name]
        if kind == "number":
            return np.array([clean_number(value) for value in values], dtype=np.float64)
        if kind == "text":
            return TextColumn.of([clean_text(value) for value in values])
        if kind == "bool":
            return np.array([value is True for value in values], dtype=np.bool_)
        return MapColumn.of([clean_map(value) for value in values])


def _ratio(above: Numbers, below: Numbers) -> Numbers:
    """Missing where `below` is not positive."""
    out = np.full(len(above), np.nan)
    np.divide(above, below, out=out, where=below > 0)
    return out


def _at(column: Column, place: int) -> Any:
    if isinstance(column, TextColumn):
        code = int(column.codes[place])
        return None if code < 0 else column.words[code]
    if isinstance(column, MapColumn):
        return {key: float(v[place]) for key, v in column.keys.items() if v[place] == v[place]}
    return column[place].item()
