"""The rules of a shop, compiled: what is changed here counts at the next look."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Sequence
from concurrent.futures import Future

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Rule
from shopkeeper.profiles.conditions import Condition, compiled
from shopkeeper.profiles.live_schema import LiveSchema
from shopkeeper.rules.parser import parse
from shopkeeper.rules.schema import Schema
from shopkeeper.rules.tree import Type
from shopkeeper.stores.rules import RuleStore
from shopkeeper.stores.sql import Database


class RuleBook:
    """Used on one thread, as the profiles are. A change compiles what has changed, not the other rules."""

    def __init__(self, db: Database, clock: Clock, schema: LiveSchema) -> None:
        self._store = RuleStore(db, clock)
        self._schema = schema
        self._all: list[tuple[Rule, Condition]] = []
        self._scoring: list[tuple[Rule, Condition]] = []
        self._compiled_for = (-1, -1)
        self._types: dict[str, Type] = {}

    @property
    def changes(self) -> int:
        """Grows with every durable change of a rule."""
        return self._store.changes

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Called after each durable change, on any thread; it must not wait. Returns what ends it."""
        return self._store.subscribe(listener)

    def compiled(self) -> Sequence[tuple[Rule, Condition]]:
        """The present rules that score, by name; the same list until a rule or the fields have changed.

        A rule with an action and without a weight suggests and scores nothing: it is not among them.
        """
        self._compile()
        return self._scoring

    def strategies(self) -> list[tuple[Rule, Condition]]:
        """The present rules with an action: those with the greatest weight, up or down, first, then by name."""
        self._compile()
        return sorted((one for one in self._all if one[0].action), key=lambda one: (-abs(one[0].weight), one[0].name))

    def all(self) -> list[Rule]:
        """Every present rule, by name."""
        self._compile()
        return [rule for rule, _ in self._all]

    def find(self, name: str) -> tuple[Rule, Condition] | None:
        """The present rule of a name."""
        self._compile()
        at = bisect_left(self._all, name, key=lambda one: one[0].name)
        return self._all[at] if at < len(self._all) and self._all[at][0].name == name else None

    def refresh(self) -> int:
        """Reads rules and users' records again; gives how many rules there are."""
        self._schema.refresh()
        return self._store.reload()

    def _compile(self) -> None:
        schema = self._schema.current()
        wanted = (self._store.changes, self._schema.version)
        if self._compiled_for == wanted:
            return
        kept = self._still_valid(schema)
        found: list[tuple[Rule, Condition]] = []
        for rule in self._store.all():
            condition = kept.get(rule.condition)
            if condition is None:
                condition = kept[rule.condition] = compiled(rule.condition, schema)
            found.append((rule, condition))
        self._all = found
        self._scoring = [one for one in found if one[0].weight or not one[0].action]
        self._compiled_for, self._types = wanted, schema.types

    def _still_valid(self, schema: Schema) -> dict[str, Condition]:
        """What was compiled, by text, but for what a change of the fields may have touched."""
        kept = {rule.condition: condition for rule, condition in self._all}
        if self._compiled_for[1] == self._schema.version:
            return kept
        old, new = self._types, schema.types
        moved = {name for name in old.keys() | new.keys() if old.get(name) != new.get(name)}
        return {text: c for text, c in kept.items() if c.problem is None and moved.isdisjoint(c.fields)}

    def get(self, name: str, version: int | None = None) -> Rule:
        """The present rule or one of its versions. Raises NotFound."""
        return self._store.get(name, version)

    def versions(self, name: str) -> list[Rule]:
        """All versions, newest first. Raises NotFound."""
        return self._store.versions(name)

    def problems(self) -> dict[str, str]:
        """Rules that cannot run, and why."""
        self._compile()
        return {rule.name: c.problem for rule, c in self._all if c.problem is not None}

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

    def create_many(self, rules: Sequence[Rule], *, by: str = "") -> Future[list[Rule | ShopkeeperError]]:
        """All in one transaction; the error of one that cannot be made stands in its place.

        Whoever calls has parsed the conditions.
        """
        return self._store.create_many(rules, by=by)

    def revert(self, name: str, version: int, *, if_match: str | None = None, by: str = "") -> Future[Rule]:
        """Adds a version that says what an earlier one said. Raises NotFound, and Invalid when its condition no longer
        fits the fields; Stale comes by the future."""
        self._store.get(name)  # a rule that was removed is made anew, not reverted
        old = self._store.get(name, version)
        return self.update(
            name,
            condition=old.condition,
            description=old.description,
            weight=old.weight,
            action=old.action,
            if_match=if_match,
            by=by,
        )

    def delete(self, name: str, *, if_match: str | None = None, by: str = "") -> Future[Rule]:
        """NotFound and Stale come by the future."""
        return self._store.delete(name, if_match=if_match, by=by)

    def seed(self, rules: Sequence[Rule]) -> None:
        """Adds those whose name was never used. Returns when they are durable."""
        self._store.add_missing(list(rules), by="shop").result()
