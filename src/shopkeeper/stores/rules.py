"""Rules and all their versions. A version is never changed: an update adds one, a deletion adds one that says so.

Reads are safe from any thread; writes go through the writer and return a future. `changes` grows with every durable
write, so that whoever keeps compiled rules knows when to look again. The present rules are kept in memory: a change
costs no reading of all the others.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, Select, func, insert, select

from shopkeeper.core.clock import Clock, micros, moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound, ShopkeeperError
from shopkeeper.core.ids import check_label
from shopkeeper.core.records import Rule
from shopkeeper.stores.etags import check_match, later
from shopkeeper.stores.schema import rules as table
from shopkeeper.stores.sql import Database

MOST_RULES = 10_000
"""Rules of one shop; what was deleted does not count."""
_DESCRIPTION = 1000
_WEIGHT = 1000.0
_EXACT_WITHIN = 1000
"""So near the bound the rules are counted in the transaction: so many writes may share one before memory has them."""


@dataclass(frozen=True, slots=True)
class Change:
    """A durable version of a rule; `deleted`: the name is free again."""

    rule: Rule
    deleted: bool = False


class RuleStore:
    """Conditions are kept as they were written; whoever writes here has checked them against the schema.

    One store a database: the rules in memory follow what is written here.
    """

    def __init__(self, db: Database, clock: Clock, *, most: int = MOST_RULES) -> None:
        self._db = db
        self._clock = clock
        self._most = most
        self._lock = threading.Lock()
        self._present: dict[str, Rule] | None = None  # by name; None: not read yet
        self.changes = 0
        self._listeners: tuple[Callable[[], None], ...] = ()

    def subscribe(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Called after each durable change and each `reload`, on the thread of either; it must not wait. Returns what
        ends it."""
        self._listeners = (*self._listeners, listener)

        def unsubscribe() -> None:
            self._listeners = tuple(other for other in self._listeners if other is not listener)

        return unsubscribe

    def all(self) -> list[Rule]:
        """The present rules by name."""
        with self._lock:
            present = self._kept()
            return [present[name] for name in sorted(present)]

    def reload(self) -> int:
        """Reads the rules anew from the database; gives how many there are."""
        with self._lock:
            self._present = self._read()
            self.changes += 1
            found = len(self._present)
        for listener in self._listeners:
            listener()
        return found

    def get(self, name: str, version: int | None = None) -> Rule:
        """The present rule, or one of its versions. Raises NotFound."""
        with self._db.read() as connection:
            if version is None:
                return _present(connection, name)
            query = select(table).where(table.c.name == name, table.c.version == version, ~table.c.deleted)
            row = connection.execute(query).first()
        if row is None:
            raise NotFound(f"rule {name!r} has no version {version}", code="unknown_version")
        return _rule(row)

    def versions(self, name: str) -> list[Rule]:
        """All versions, newest first, those before a deletion too. Raises NotFound for a name never used."""
        query = select(table).where(table.c.name == name, ~table.c.deleted).order_by(table.c.version.desc())
        with self._db.read() as connection:
            found = [_rule(row) for row in connection.execute(query)]
        if not found:
            raise NotFound(f"no rule {name!r}", code="unknown_rule")
        return found

    def create(self, rule: Rule, *, by: str = "") -> Future[Rule]:
        """Raises Invalid for a bad name or weight, and by the future when the name is taken."""
        _check(rule)

        def write(connection: Connection) -> Rule:
            return self._create(connection, rule, by, self._room(connection))

        return self._db.writer.submit(write, after=self._added)

    def create_many(self, rules: Sequence[Rule], *, by: str = "") -> Future[list[Rule | ShopkeeperError]]:
        """All in one transaction; one that cannot be made leaves its error in its place, and the others are made."""

        def write(connection: Connection) -> list[Rule | ShopkeeperError]:
            found: list[Rule | ShopkeeperError] = []
            room = self._room(connection)
            for rule in rules:
                try:
                    _check(rule)
                    found.append(self._create(connection, rule, by, room))
                    room -= 1
                except ShopkeeperError as error:  # raised before anything of this rule is written
                    found.append(error)
            return found

        def after(made: list[Rule | ShopkeeperError]) -> None:
            self._changed(*(Change(one) for one in made if isinstance(one, Rule)))

        return self._db.writer.submit(write, after=after)

    def update(
        self,
        name: str,
        *,
        description: str | None = None,
        weight: float | None = None,
        condition: str | None = None,
        action: str | None = None,
        if_match: str | None = None,
        by: str = "",
    ) -> Future[Rule]:
        """None leaves as it is. By the future: NotFound, Stale when If-Match names another version, Invalid."""

        def write(connection: Connection) -> Rule:
            old = _present(connection, name)
            check_match(if_match, changed_at(old), f"rule {name!r}")
            new = Rule(
                name=name,
                description=old.description if description is None else description,
                weight=old.weight if weight is None else weight,
                condition=old.condition if condition is None else condition,
                action=old.action if action is None else action,
            )
            _check(new)
            return self._add(connection, new, _last(connection, name), by)

        return self._db.writer.submit(write, after=self._added)

    def delete(self, name: str, *, if_match: str | None = None, by: str = "") -> Future[Rule]:
        """Gives the rule as it was. By the future: NotFound, Stale."""

        def write(connection: Connection) -> Rule:
            old = _present(connection, name)
            check_match(if_match, changed_at(old), f"rule {name!r}")
            self._add(connection, old, _last(connection, name), by, deleted=True)
            return old

        return self._db.writer.submit(write, after=lambda old: self._changed(Change(old, deleted=True)))

    def add_missing(self, rules: list[Rule], *, by: str = "") -> Future[int]:
        """Adds those whose name was never used (deleted counts as used). Gives how many."""

        added: list[Rule] = []

        def write(connection: Connection) -> int:
            used = set(connection.execute(select(table.c.name).distinct()).scalars())
            added.extend(self._add(connection, rule, None, by) for rule in rules if rule.name not in used)
            return len(added)

        return self._db.writer.submit(write, after=lambda _: self._changed(*map(Change, added)))

    def _create(self, connection: Connection, rule: Rule, by: str, room: int) -> Rule:
        row = _last(connection, rule.name)
        if row is not None and not row.deleted:
            raise Invalid(f"rule {rule.name!r} exists already; change it with PUT", code="exists", field="name")
        if room <= 0:
            raise Conflict(
                f"there are {self._most:,} rules already, which is as many as a shop may have; remove one first",
                code="too_many_rules",
            )
        return self._add(connection, rule, row, by)

    def _room(self, connection: Connection) -> int:
        """How many rules can be added yet, at most; exact when few."""
        with self._lock:
            left = self._most - len(self._kept())
        return left if left > _EXACT_WITHIN else self._most - int(connection.execute(_count()).scalar_one())

    def _kept(self) -> dict[str, Rule]:
        """The rules in memory, read when they are not; hold the lock."""
        if self._present is None:
            self._present = self._read()
        return self._present

    def _read(self) -> dict[str, Rule]:
        with self._db.read() as connection:
            return {row.name: _rule(row) for row in connection.execute(_newest()) if not row.deleted}

    def _add(
        self, connection: Connection, rule: Rule, last: Row[Any] | None, by: str, *, deleted: bool = False
    ) -> Rule:
        """The version after `last`."""
        version = 1 if last is None else last.version + 1
        at = later(self._clock.wall(), None if last is None else last.updated_at)
        added = Rule(
            name=rule.name,
            condition=rule.condition,
            description=rule.description,
            weight=rule.weight,
            action=rule.action,
            version=version,
            updated_at=moment(at),
            updated_by=by,
        )
        facts = {name: getattr(added, name) for name in added.__struct_fields__ if name != "updated_at"}
        connection.execute(insert(table).values(**facts, updated_at=at, deleted=deleted))
        return added

    def _added(self, rule: Rule) -> None:
        self._changed(Change(rule))

    def _changed(self, *changes: Change) -> None:
        """Called after the commit, in the order of the writes."""
        if not changes:
            return
        with self._lock:
            if self._present is not None:  # else the next reading sees it
                for change in changes:
                    self._keep(self._present, change)
            self.changes += 1
        for listener in self._listeners:
            listener()

    @staticmethod
    def _keep(present: dict[str, Rule], change: Change) -> None:
        """A reading may have been quicker and seen a later version already."""
        name, known = change.rule.name, present.get(change.rule.name)
        if known is not None and known.version > change.rule.version:
            return
        if change.deleted:
            present.pop(name, None)
        else:
            present[name] = change.rule


def _count() -> Select[Any]:
    """How many rules there are."""
    newest = select(table.c.deleted, func.max(table.c.version)).group_by(table.c.name).subquery()
    return select(func.count()).select_from(newest).where(~newest.c.deleted)


def _newest() -> Select[Any]:
    """The newest version of every name, deletions included."""
    newest = select(table.c.name, func.max(table.c.version).label("version")).group_by(table.c.name).subquery()
    return select(table).join(newest, (table.c.name == newest.c.name) & (table.c.version == newest.c.version))


def _last(connection: Connection, name: str) -> Row[Any] | None:
    """The newest version of a name, a deletion too; None when it was never used."""
    query = select(table).where(table.c.name == name).order_by(table.c.version.desc()).limit(1)
    return connection.execute(query).first()


def changed_at(rule: Rule) -> int:
    """What `etags.etag` makes the rule's ETag of."""
    assert rule.updated_at is not None
    return micros(rule.updated_at)


def _present(connection: Connection, name: str) -> Rule:
    row = _last(connection, name)
    if row is None or row.deleted:
        raise NotFound(f"no rule {name!r}", code="unknown_rule")
    return _rule(row)


def _rule(row: Row[Any]) -> Rule:
    return Rule(
        name=row.name,
        condition=row.condition,
        description=row.description,
        weight=row.weight,
        action=row.action,
        version=row.version,
        updated_at=moment(row.updated_at),
        updated_by=row.updated_by,
    )


def _check(rule: Rule) -> None:
    check_label(rule.name)
    if not math.isfinite(rule.weight) or abs(rule.weight) > _WEIGHT:
        raise Invalid(f"weight {rule.weight} must lie within {-_WEIGHT:g} and {_WEIGHT:g}", field="weight")
    for field, text in (("description", rule.description), ("action", rule.action)):
        if len(text) > _DESCRIPTION:
            raise Invalid(f"{field} has more than {_DESCRIPTION} characters; shorten it", field=field)
