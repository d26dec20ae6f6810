"""The segments of a shop, compiled. Who belongs to them is kept by `tracker.py`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import Future

from shopkeeper.core.clock import Clock
from shopkeeper.core.records import Segment
from shopkeeper.profiles.conditions import Condition, compiled
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.rules.parser import parse
from shopkeeper.stores.segments import SegmentStore
from shopkeeper.stores.sql import Database


class SegmentBook:
    """Used on one thread, as the profiles are."""

    def __init__(self, db: Database, clock: Clock, schema: LiveSchema) -> None:
        self._store = SegmentStore(db, clock)
        self._schema = schema
        self._compiled: dict[str, tuple[Segment, Condition]] = {}
        self._compiled_for = (-1, -1)

    def compiled(self) -> Mapping[str, tuple[Segment, Condition]]:
        """The present segments by name; the same mapping until a segment or the fields have changed."""
        schema = self._schema.current()
        wanted = (self._store.changes, self._schema.version)
        if self._compiled_for != wanted:
            same = self._compiled_for[1] == wanted[1]
            kept = {segment.condition: condition for segment, condition in self._compiled.values()} if same else {}
            self._compiled = {
                s.name: (s, kept.get(s.condition) or compiled(s.condition, schema)) for s in self._store.all()
            }
            self._compiled_for = wanted
        return self._compiled

    def get(self, name: str) -> Segment:
        """Raises NotFound."""
        return self._store.get(name)

    def create(self, name: str, condition: str, *, description: str = "") -> Future[Segment]:
        """Raises Invalid with "at N:"; a taken name is Conflict by the future."""
        parse(condition, self._schema.refresh())
        return self._store.create(Segment(name=name, condition=condition, description=description))

    def update(
        self, name: str, *, condition: str | None = None, description: str | None = None, if_match: str | None = None
    ) -> Future[Segment]:
        """None leaves as it is. Raises Invalid; NotFound and Stale come by the future."""
        if condition is not None:
            parse(condition, self._schema.refresh())
        return self._store.update(name, condition=condition, description=description, if_match=if_match)

    def delete(self, name: str, *, if_match: str | None = None) -> Future[Segment]:
        """NotFound, Stale, and Conflict while a webhook listens to it, come by the future."""
        return self._store.delete(name, if_match=if_match)

    def seed(self, segments: Sequence[Segment]) -> None:
        """Adds those whose name is free. Returns when they are durable."""
        self._store.add_missing(list(segments)).result()
