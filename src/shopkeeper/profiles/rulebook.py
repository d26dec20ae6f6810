"""The rules of a shop, compiled: what is changed here counts at the next look."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future

from shopkeeper.core.clock import Clock
from shopkeeper.core.records import Rule
from shopkeeper.profiles.conditions import Condition, compiled
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.rules.parser import parse
from shopkeeper.stores.rules import RuleStore
from shopkeeper.stores.sql import Database


class RuleBook:
    """Used on one thread, as the profiles are."""

    def __init__(self, db: Database, clock: Clock, schema: LiveSchema) -> None:
        self._store = RuleStore(db, clock)
        self._schema = schema
        self._compiled: list[tuple[Rule, Condition]] = []
        self._compiled_for = (-1, -1)

    @property
    def changes(self) -> int:
        """Grows with every durable change of a rule."""
        return self._store.changes

    def compiled(self) -> Sequence[tuple[Rule, Condition]]:
        """The present rules by name; the same list until a rule or the fields have changed."""
        schema = self._schema.current()
        wanted = (self._store.changes, self._schema.version)
        if self._compiled_for != wanted:
            self._compiled = [(rule, compiled(rule.condition, schema)) for rule in self._store.all()]
            self._compiled_for = wanted
        return self._compiled

    def all(self) -> list[Rule]:
        return [rule for rule, _ in self.compiled()]

    def get(self, name: str, version: int | None = None) -> Rule:
        """The present rule or one of its versions. Raises NotFound."""
        return self._store.get(name, version)

    def problems(self) -> dict[str, str]:
        """Rules that cannot run, and why."""
        return {rule.name: c.problem for rule, c in self.compiled() if c.problem is not None}

    def create(
        self,
        name: str,
        condition: str,
        *,
        description: str = "",
        weight: float = 1.0,
        action: str = "",
        by: str = "",
    ) -> Future[Rule]:
        """Raises Invalid with "at N:" for a bad condition; a taken name is Invalid by the future."""
        parse(condition, self._schema.refresh())
        rule = Rule(name=name, condition=condition, description=description, weight=weight, action=action)
        return self._store.create(rule, by=by)

    def update(
        self,
        name: str,
        *,
        condition: str | None = None,
        description: str | None = None,
        weight: float | None = None,
        action: str | None = None,
        if_match: str | None = None,
        by: str = "",
    ) -> Future[Rule]:
        """None leaves as it is. Raises Invalid; NotFound and Stale come by the future."""
        if condition is not None:
            parse(condition, self._schema.refresh())
        return self._store.update(
            name,
            condition=condition,
            description=description,
            weight=weight,
            action=action,
            if_match=if_match,
            by=by,
        )

    def delete(self, name: str, *, if_match: str | None = None, by: str = "") -> Future[Rule]:
        """NotFound and Stale come by the future."""
        return self._store.delete(name, if_match=if_match, by=by)

    def seed(self, rules: Sequence[Rule]) -> None:
        """Adds those whose name was never used. Returns when they are durable."""
        self._store.add_missing(list(rules), by="shop").result()
