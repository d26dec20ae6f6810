"""How a change to an experiment is made: one transaction, then what answers requests, then what is kept of answers."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection

from shopkeeper.core.clock import Clock
from shopkeeper.core.errors import Conflict, Invalid, ShopkeeperError
from shopkeeper.core.experiments import Plan, VariantPlan
from shopkeeper.lifecycle.experiments.assigning import Assignments, Draw
from shopkeeper.lifecycle.experiments.checking import check_plan, room_in
from shopkeeper.lifecycle.experiments.people import People
from shopkeeper.lifecycle.experiments.reckoning import Reckoning
from shopkeeper.lifecycle.experiments.targets import Targets
from shopkeeper.stores import experiments as table
from shopkeeper.stores.etags import later
from shopkeeper.stores.experiments import Kept, Unit
from shopkeeper.stores.sql import Database

HELD = ("running", "paused")
"""An experiment in one of these holds its part of the layer."""
Making = Callable[[Connection, Kept], dict[str, Any]]


class Changing:
    """Changes wait for each other; requests wait for none."""

    def __init__(
        self,
        db: Database,
        clock: Clock,
        *,
        targets: Targets,
        people: People,
        assignments: Assignments,
        reckoning: Reckoning,
        last_seq: Callable[[], int],
    ) -> None:
        self._db = db
        self._clock = clock
        self._targets = targets
        self._people = people
        self._assignments = assignments
        self._reckoning = reckoning
        self._last_seq = last_seq
        self._changing = threading.RLock()

    def load(self) -> None:
        """Takes up what runs, at a start."""
        with self._changing:
            with self._db.read() as connection:
                running = table.in_status(connection, "running")
                draws = [Draw(one, _units(connection, one)) for one in running]
            self._assignments.show(draws)

    def get(self, experiment_id: str) -> Kept:
        """Raises NotFound."""
        with self._db.read() as connection:
            return table.get(connection, experiment_id)

    def _check(self, plan: Plan) -> None:
        check_plan(plan, self._targets.of(plan.target), self._reckoning.rewards)

    def _room(self, connection: Connection, kept: Kept, share: float) -> list[tuple[int, int]]:
        """Its buckets, when nothing that runs or rests stands against it. Inside a write. Raises Conflict."""
        held = [one for one in table.in_status(connection, *HELD) if one.experiment_id != kept.experiment_id]
        target = self._targets.of(kept.plan.target)
        for other in held:
            if other.subject == kept.subject and other.plan.layer != kept.plan.layer:
                why = target.clash(kept.plan, other.plan)
                if why is not None:
                    raise Conflict(
                        f"it stands against experiment {other.plan.name!r} on {kept.subject}: {why}",
                        code="clash",
                    )
        beside = [one for one in held if one.plan.layer == kept.plan.layer]
        return room_in(kept.plan.layer, share, beside, kept.course.spans)

    def _put(
        self,
        experiment_id: str,
        allowed: Sequence[str],
        verb: str,
        make: Making,
        *,
        by: str,
        if_match: str | None = None,
    ) -> Kept:
        wall = self._clock.wall()

        def write(connection: Connection) -> Kept:
            kept = table.get(connection, experiment_id)
            table.check(kept, if_match)
            demand(kept, allowed, verb)
            return table.put(connection, kept, now=later(wall, kept.updated_at), by=by, **make(connection, kept))

        return self._db.writer.run(write)

    def _begin(
        self,
        experiment_id: str,
        allowed: Sequence[str],
        verb: str,
        make: Making,
        *,
        by: str,
        if_match: str | None,
    ) -> Kept:
        """It runs; where what it tries cannot begin, it is again what it was."""
        with self._changing:
            before = self.get(experiment_id)
            kept = self._put(experiment_id, allowed, verb, make, by=by, if_match=if_match)
            try:
                self._targets.of(kept.plan.target).begin(kept)
            except ShopkeeperError:
                back = {"status": before.status, "course": before.course}
                self._put(experiment_id, ("running",), verb, lambda _c, _k: back, by=by)
                raise
            self._show(kept)
            return kept

    def _reshow(
        self,
        experiment_id: str,
        verb: str,
        make: Making,
        *,
        by: str,
        if_match: str | None,
    ) -> Kept:
        with self._changing:
            kept = self._put(experiment_id, ("running",), verb, make, by=by, if_match=if_match)
            self._show(kept)
            return kept

    def _show(self, kept: Kept) -> None:
        with self._db.read() as connection:
            draw = Draw(kept, _units(connection, kept))
        self._assignments.show([draw])
        self._targets.of(kept.plan.target).changed(kept.plan.target)

    def _end(self, kept: Kept) -> None:
        self._assignments.drop(kept.experiment_id)
        target = self._targets.of(kept.plan.target)
        target.end(kept)
        target.changed(kept.plan.target)


def _units(connection: Connection, kept: Kept) -> list[Unit]:
    """Who was exposed in this phase, and whose variant came with a visitor or a merged user in any."""
    return table.units(connection, kept.experiment_id, kept.course.phase)


def variant_of(plan: Plan, name: str, field: str = "variant") -> VariantPlan:
    """`field`: where it was named. Raises Invalid."""
    for one in plan.variants:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in plan.variants)
    raise Invalid(f"there is no variant {name[:64]!r}; there are: {names}", code="unknown_variant", field=field)


def demand(kept: Kept, allowed: Sequence[str], verb: str) -> None:
    if kept.status not in allowed:
        raise Conflict(
            f"experiment {kept.plan.name!r} is {kept.status}; one can {verb} what is {' or '.join(allowed)}",
            code="wrong_state",
        )
