"""The experiments of a shop: draft -> running <-> paused -> done, each change seen by the next request."""

from __future__ import annotations

import logging
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.core.experiments import Assignment, Course, Experiment, HandOver, Plan, Results, Rolling
from shopkeeper.core.ids import check_event_type, ulid
from shopkeeper.lifecycle.experiments.changing import HELD, demand, variant_of
from shopkeeper.lifecycle.experiments.checking import shares
from shopkeeper.lifecycle.experiments.handing import HandingOver
from shopkeeper.lifecycle.experiments.reckoning import age
from shopkeeper.stores import experiments as table
from shopkeeper.stores.experiments import Kept
from shopkeeper.stores.paging import cursor_after, key_of

log = logging.getLogger(__name__)


class ExperimentBook(HandingOver):
    """Every method may be called from any thread but the writer's."""

    # -- looking

    def page(
        self, *, limit: int = 50, cursor: str | None = None, status: str | None = None
    ) -> tuple[list[Experiment], str | None, int]:
        """Newest first: (experiments, next cursor, total)."""
        with self._db.read() as connection:
            found, after, total = table.page(connection, limit=limit, after=key_of(cursor), status=status)
        return [table.told(one) for one in found], None if after is None else cursor_after(after), total

    def watched(self) -> list[Kept]:
        """What runs, and what rests with a winner noted that everybody may have already."""
        with self._db.read() as connection:
            held = table.in_status(connection, *HELD)
        return [one for one in held if one.status == "running" or one.course.hand_over is not None]

    def results(self, experiment_id: str) -> Results:
        """What it says now; of one that is done what it said at its end. Raises NotFound."""
        return self._reckoning.of(self.get(experiment_id))

    def assignment(self, experiment_id: str, user_id: str) -> Assignment:
        """Raises NotFound (experiment)."""
        draw, unit = self._assignments.draw(experiment_id), self._people.find(user_id)

        def told(variant: str | None, why: str | None = None, *, counted: bool = False) -> Assignment:
            return Assignment(
                experiment_id=experiment_id,
                user_id=user_id,
                variant=variant,
                sticky=variant is not None,
                counted=counted,
                why=why,
            )

        if draw is None:
            return told(None, f"the experiment is {self.get(experiment_id).status}")
        if unit is None:
            return told(None, "the user is not known here, or does not agree to be personalised")
        for one in self._assignments.of(draw.subject, unit.user_id, unit.row):
            if one.draw.experiment_id == experiment_id:
                return told(one.name, None if one.counted else "a list says so", counted=one.counted)
        return told(None, "the user is in another experiment of the layer, in none, or on a list")

    # -- changing

    def create(self, plan: Plan, *, by: str = "") -> Kept:
        """A draft. Raises Invalid with the field, NotFound (what is tried)."""
        self._check(plan)
        now, id = self._clock.wall(), ulid()
        return self._db.writer.run(lambda connection: table.add(connection, id, plan, now=now, by=by))

    def change(self, experiment_id: str, plan: Plan, *, if_match: str | None = None, by: str = "") -> Kept:
        """Says a draft anew. Raises NotFound, Invalid, Stale, Conflict (it was started)."""
        self._check(plan)
        return self._put(experiment_id, ("draft",), "change", lambda _c, _k: {"plan": plan}, by=by, if_match=if_match)

    def delete(self, experiment_id: str, *, if_match: str | None = None) -> None:
        """Raises NotFound, Stale, Conflict (it was started: what it said stays)."""

        def write(connection: Connection) -> None:
            kept = table.get(connection, experiment_id)
            table.check(kept, if_match)
            demand(kept, ("draft",), "delete")
            table.remove(connection, experiment_id)

        self._db.writer.run(write)

    def start(self, experiment_id: str, *, if_match: str | None = None, by: str = "") -> Kept:
        """Raises NotFound, Stale, Invalid (what it names is gone), Conflict (no draft, no room in its layer, clash)."""
        self._check(self.get(experiment_id).plan)
        now = self._clock.now()

        def begun(connection: Connection, kept: Kept) -> dict[str, Any]:
            plan = kept.plan
            course = Course(
                phase=1,
                phase_at=now,
                weights=shares([one.weight for one in plan.variants]),
                share=plan.share,
                spans=self._room(connection, kept, plan.share),
                started_at=now,
                since=now,
            )
            return {"status": "running", "course": course}

        return self._begin(experiment_id, ("draft",), "start", begun, by=by, if_match=if_match)

    def pause(self, experiment_id: str, *, if_match: str | None = None, by: str = "", reason: str = "") -> Kept:
        """Everybody is answered as ever until it goes on; events go on to count for those who were exposed."""

        def paused(_connection: Connection, kept: Kept) -> dict[str, Any]:
            spent = age(kept, self._clock.now())
            return {"status": "paused", "course": replace(kept.course, spent=spent, since=None, reason=reason)}

        with self._changing:
            kept = self._put(experiment_id, ("running",), "pause", paused, by=by, if_match=if_match)
            self._end(kept)
            return kept

    def resume(self, experiment_id: str, *, if_match: str | None = None, by: str = "") -> Kept:
        """As it was: the same users, the same variants. Raises as `start`."""
        now = self._clock.now()

        def resumed(connection: Connection, kept: Kept) -> dict[str, Any]:
            self._room(connection, kept, kept.course.share)
            return {"status": "running", "course": replace(kept.course, since=now, reason="")}

        return self._begin(experiment_id, ("paused",), "resume", resumed, by=by, if_match=if_match)

    def stop(
        self,
        experiment_id: str,
        *,
        winner: str | None = None,
        roll_out: bool = False,
        if_match: str | None = None,
        by: str = "",
        reason: str = "",
        stopped_by: str = "person",
    ) -> Kept:
        """Ends it. `winner`: the variant that somebody chose, None: the one that the results name, if any. `roll_out`:
        everybody gets it from now on; False also takes back what an end that was cut off gave to everybody. Raises
        NotFound, Invalid (winner), Stale, Conflict (not running, the gate)."""
        with self._changing:
            kept = self.get(experiment_id)
            table.check(kept, if_match)
            demand(kept, HELD, "stop")
            said, named, unsaid = self._reckoning.last_word(kept)
            chosen = winner or (named if stopped_by != "guard" else None)
            variant = None if chosen is None else variant_of(kept.plan, chosen, "winner")
            if roll_out and variant is None:
                raise Conflict("there is no winner to roll out; name one", code="no_winner")
            before, stays = None, ""
            if roll_out and variant is not None:
                end = HandOver(variant=variant.name, before={}, reason=reason, stopped_by=stopped_by)
                before = self._hand_over(kept, variant, end, by)
            else:
                before, stays = self._take_back(kept, by)
            now, last = self._clock.now(), self._last_seq()
            verdict = "stopped by guard" if stopped_by == "guard" else said
            why = "; ".join(one for one in (reason, unsaid, stays) if one)

            def stopped(_connection: Connection, kept: Kept) -> dict[str, Any]:
                course = replace(
                    kept.course,
                    spans=[],
                    spent=age(kept, now),
                    since=None,
                    ended_at=now,
                    last_seq=last,
                    winner=chosen,
                    reason=why,
                    stopped_by=stopped_by,
                    rolling=None,
                    hand_over=None,
                    before=before,
                    verdict=verdict,
                )
                return {"status": "done", "course": course}

            done = self._put(experiment_id, HELD, "stop", stopped, by=by)
            self._end(done)
            return done

    def step(self, experiment_id: str, *, by: str = "") -> Kept:
        """The next step of a roll-out, its end after the last. Where that is refused, as by the gate, it ends without
        being rolled out: nobody is left with what may not stay. Raises NotFound, Conflict."""
        with self._changing:
            kept = self.get(experiment_id)
            rolling = kept.course.rolling
            if rolling is None:
                raise Conflict(f"experiment {kept.plan.name!r} is not being rolled out", code="not_rolling")
            if rolling.at + 1 >= len(rolling.steps):
                return self._last_step(experiment_id, rolling, by)
            further = replace(rolling, at=rolling.at + 1)

            def stepped(_connection: Connection, kept: Kept) -> dict[str, Any]:
                return {"course": self._stepped(kept, further)}

            return self._reshow(experiment_id, "roll out", stepped, by=by, if_match=kept.tag)

    def _last_step(self, experiment_id: str, rolling: Rolling, by: str) -> Kept:
        why = f"rolled out step by step to {rolling.steps[-1]:.0%}"
        try:
            return self.stop(experiment_id, winner=rolling.variant, roll_out=True, by=by, reason=why)
        except Stale:  # what is tried was changed in this moment: it can be asked again
            raise
        except (Conflict, Invalid, NotFound) as refused:
            log.warning("experiment %s is not rolled out: %s", experiment_id, refused.message)
            why = f"not rolled out: {refused.message}"
            return self.stop(experiment_id, by=by, reason=why, stopped_by="target")

    def roll_back(self, experiment_id: str, *, if_match: str | None = None, by: str = "", reason: str = "") -> Kept:
        """What was there before the winner is there again. Raises NotFound, Stale, Conflict (nothing was rolled out, or
        it was changed since)."""
        with self._changing:
            kept = self.get(experiment_id)
            table.check(kept, if_match)
            before = kept.course.before
            if before is None:
                raise Conflict(f"experiment {kept.plan.name!r} has rolled nothing out", code="not_rolled_out")
            self._targets.of(kept.plan.target).roll_back(kept, before, by)
            why = reason or "rolled back"
            return self._put(
                experiment_id,
                ("done",),
                "roll back",
                lambda _c, now: {"course": replace(now.course, before=None, reason=why)},
                by=by,
            )

    def tell(self, experiment_id: str, user_id: str, metric: str, value: float = 1.0) -> bool:
        """What an own page or till tells of a user for one experiment; counted from their first answer on. False: the
        user takes no part in anything. Raises NotFound (experiment), Invalid (metric), Conflict (it is over)."""
        check_event_type(metric)
        demand(self.get(experiment_id), HELD, "tell events of")
        unit = self._people.find(user_id)
        if unit is None:
            return False
        now = self._clock.now()
        return self._db.writer.run(
            lambda connection: table.tell(connection, experiment_id, unit.row, metric, value, now=now)
        )
