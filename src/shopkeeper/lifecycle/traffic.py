"""Traffic: who answers a model's requests besides its champion. Set, looked up, withdrawn, all while it serves.

A plan is checked before it is kept: every version must load. A promotion ends the split of its model, and the guard
takes out a variant that does worse than the champion; both leave a row with the reason.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeAlias

import msgspec
from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, NotFound, ShopkeeperError
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.guard import Window
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.lifecycle.shadowing import Comparison
from shopkeeper.lifecycle.splits import Shadow, Split, Variant, checked, without
from shopkeeper.stores import registry as registry_table
from shopkeeper.stores import traffic as table
from shopkeeper.stores.etags import check_tag
from shopkeeper.stores.sql import Database

log = logging.getLogger(__name__)
Key: TypeAlias = tuple[str, str]


@dataclass
class Active:
    """A split in force with the answers that it has seen."""

    split: Split
    windows: dict[int, Window] = field(default_factory=dict)
    withdrawing: bool = False

    @cached_property
    def versions(self) -> frozenset[int]:
        return frozenset(_named(self.split))

    def window(self, version: int) -> Window:
        return self.windows.setdefault(version, Window())


class Traffic:
    """Reads are lock-free; changes wait for each other."""

    def __init__(self, db: Database, registry: Registry, serving: Serving, clock: Clock) -> None:
        self._db = db
        self._registry = registry
        self._serving = serving
        self._clock = clock
        self._splits: dict[Key, Active] = {}
        self._shadows: dict[Key, Comparison] = {}
        self._changing = threading.RLock()
        registry.attach(self)

    def load(self) -> None:
        """Take up the plans that are in force, at a start."""
        with self._db.read() as connection:
            plans = [*table.in_force(connection, "split"), *table.in_force(connection, "shadow")]
        for plan in plans:
            self._read((plan.model, plan.scope))

    def warm(self) -> None:
        """Load what has traffic, at a start: else the first requests would wait for it, and the guard would take their
        waiting for its failure. What cannot be loaded is told; the champion answers for it."""
        for name, scope in {*self._splits, *self._shadows}:
            with self._db.read() as connection:
                numbers = table.versions_in_traffic(connection, name, scope)
            for number in sorted(numbers):
                try:
                    self._prepare(name, number, scope)
                except ShopkeeperError as error:
                    log.error("%s", error.message)

    # -- looking

    def active(self, model: str, scope: str = "all") -> Active | None:
        """The split of a model, when it has one."""
        return self._splits.get((model, scope))

    def compared(self, model: str, scope: str = "all") -> Comparison | None:
        """The shadow of a model, when it has one."""
        return self._shadows.get((model, scope))

    def stored(self, model: str, scope: str = "all") -> tuple[str, Split]:
        """(ETag, who answers) of one moment; without a split the champion alone. Raises NotFound (model)."""
        self._registry.model(model, scope)
        with self._db.read() as connection:
            split = table.current(connection, model, scope, "split")
            champion = registry_table.current(connection, model, scope).get(CHAMPION)
        if split is not None and split.plan is not None:
            return _tag(split, champion), msgspec.convert(split.plan, Split)
        alone = [] if champion is None else [Variant(version=champion, weight=1.0)]
        return _tag(split, champion), Split(variants=alone)

    # -- changing

    def set_split(
        self,
        model: str,
        split: Split,
        *,
        scope: str = "all",
        by: str = "",
        reason: str = "",
        if_match: str | None = None,
    ) -> Split:
        """Share the requests from now on. A plan of the champion alone ends the split.

        Raises Invalid (impossible plan), NotFound (model, version), Stale, Conflict (a version cannot be loaded, or
        champion or versions changed while they were).
        """
        plan = checked(split)
        champion = self._registry.model(model, scope).aliases.get(CHAMPION)
        if champion is None:
            raise Conflict(
                f"model {model!r} has no champion that could stand in; promote a version", code="no_champion"
            )
        for variant in plan.variants:
            self._prepare(model, variant.version, scope)
        alone = [variant.version for variant in plan.variants if variant.weight > 0] == [champion]

        def check(connection: Connection) -> None:
            newest = table.current(connection, model, scope, "split")
            check_tag(if_match, _tag(newest, champion), f"the traffic of {model!r}")
            if registry_table.current(connection, model, scope).get(CHAMPION) != champion:
                raise Conflict(f"model {model!r} got another champion meanwhile; look, and try again", code="moved")

        self._put(model, scope, "split", None if alone else plan, by=by, reason=reason, check=check)
        return plan

    def take_out(self, model: str, version: int, *, scope: str = "all", by: str, reason: str) -> bool:
        """Take one version out of the split; False when it was not in it any more."""
        with self._changing:
            active = self.active(model, scope)
            if active is None or version not in [variant.version for variant in active.split.variants]:
                return False
            self._put(model, scope, "split", without(active.split, version), by=by, reason=reason)
        log.warning("model %s v%s answers nobody any more: %s", model, version, reason)
        return True

    def set_shadow(self, model: str, shadow: Shadow, *, scope: str = "all", by: str = "", reason: str = "") -> None:
        """Ask a version beside what answers. Raises NotFound, Conflict (it cannot be loaded, or answers already)."""
        if shadow.version == self._registry.model(model, scope).aliases.get(CHAMPION):
            raise Conflict(
                f"{model} v{shadow.version} is the champion: it would be compared with itself", code="champion"
            )
        self._prepare(model, shadow.version, scope)
        self._put(model, scope, "shadow", shadow, by=by, reason=reason)

    def end_shadow(self, model: str, *, scope: str = "all", by: str = "", reason: str = "") -> None:
        """Raises NotFound when there is none."""
        if self.compared(model, scope) is None:
            raise NotFound(f"model {model!r} has no shadow", code="no_shadow")
        self._put(model, scope, "shadow", None, by=by, reason=reason)

    # -- a server of the registry

    def prepare(self, version: Version) -> None:
        """Nothing to load here: `Serving` does."""

    def changed(self, model: str, scope: str) -> None:
        """The champion moved, which ended the split in the same commit."""
        self._read((model, scope))

    def _prepare(self, model: str, number: int, scope: str) -> None:
        version = self._registry.version(model, number, scope)
        try:
            self._serving.prepare(version)
        except ShopkeeperError as error:
            raise Conflict(f"{model} v{number} cannot serve: {error.message}", code=error.code) from error

    def _put(
        self,
        model: str,
        scope: str,
        kind: table.Kind,
        plan: Split | Shadow | None,
        *,
        by: str,
        reason: str,
        check: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """`check` runs in the transaction that keeps the plan. So does a look at its versions: one that was removed
        since it was tried must not get traffic."""
        stored = None if plan is None else msgspec.to_builtins(plan)
        now = self._clock.wall()

        def write(connection: Connection) -> None:
            check(connection)
            for number in _named(plan):
                if registry_table.version(connection, model, scope, number).status == REMOVED:
                    raise Conflict(f"the files of {model} v{number} were removed", code=REMOVED)
            table.put(connection, model, scope, kind, stored, now=now, by=by, reason=reason)

        with self._changing:
            self._db.writer.run(write)
            self._read((model, scope))

    def _read(self, key: Key) -> None:
        """Follow what the record says. A plan that did not change keeps what it has counted."""
        with self._changing:
            with self._db.read() as connection:
                split = table.current(connection, *key, "split")
                shadow = table.current(connection, *key, "shadow")
                pinned = table.versions_in_traffic(connection, *key)
            self._serving.pin(key[0], key[1], frozenset(pinned))
            if split is None or split.plan is None:
                self._splits.pop(key, None)
            else:
                self._follow_split(key, msgspec.convert(split.plan, Split))
            if shadow is None or shadow.plan is None:
                self._shadows.pop(key, None)
            else:
                self._follow_shadow(key, msgspec.convert(shadow.plan, Shadow))

    def _follow_split(self, key: Key, split: Split) -> None:
        there = self._splits.get(key)
        if there is None or there.split != split:
            self._splits[key] = Active(split, _windows(there, split))

    def _follow_shadow(self, key: Key, shadow: Shadow) -> None:
        there = self._shadows.get(key)
        if there is None or there.shadow != shadow:
            self._shadows[key] = Comparison(shadow)


def _windows(before: Active | None, split: Split) -> dict[int, Window]:
    """What was counted goes on, but for versions that come back: they begin anew."""
    if before is None:
        return {}
    back = set(_named(split)) - set(_named(before.split))
    return {number: window for number, window in before.windows.items() if number not in back}


def _named(plan: Split | Shadow | None) -> list[int]:
    if plan is None:
        return []
    return [plan.version] if isinstance(plan, Shadow) else [variant.version for variant in plan.variants]


def _tag(newest: table.PlanChange | None, champion: int | None) -> str:
    """Of who answers: the plan, and the champion, who answers without one."""
    return f'"{newest.position if newest is not None else 0:x}.{champion or 0:x}"'
