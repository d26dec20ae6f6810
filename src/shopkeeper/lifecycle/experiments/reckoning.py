"""The results of an experiment: sums of its units, read from SQL, as samples, and what they say."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from itertools import compress
from math import inf, isfinite
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.core.clock import DAY, MINUTE, Clock
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.experiments import Guard, GuardResult, Plan, Results, Verdict
from shopkeeper.lifecycle.experiments.judging import UNEVEN, guard_result, judge
from shopkeeper.lifecycle.experiments.metrics import Measure, Term, Worth, read_metric
from shopkeeper.quality import experiments as quality
from shopkeeper.quality.experiments import Sample
from shopkeeper.stores.experiment_sums import Reward, Sums, Window, of_events, of_told
from shopkeeper.stores.experiments import Kept
from shopkeeper.stores.sql import Database

log = logging.getLogger(__name__)
Floats = NDArray[np.float64]
BUSY_A_DAY: Final = 2_000
"""Events a day above which a unit is no person: it is left out, in all variants alike, and counted."""
_EARLY: Final = 5 * MINUTE  # so much before the phase a till's clock may be


class Types(Protocol):
    def row(self, id: str, /) -> int | None: ...


class Reckoning:
    """On any thread; reads SQL, so not on the loop. `rewards`: of types of feedback."""

    def __init__(self, db: Database, types: Types, clock: Clock, rewards: Mapping[str, Reward]) -> None:
        self._db = db
        self._types = types
        self._clock = clock
        self.rewards = rewards

    def of(self, kept: Kept, *, last: bool = False) -> Results:
        """What the present phase says. `last`: nothing will be added, so the verdict is final."""
        plan, course = kept.plan, kept.course
        ended = last or kept.status == "done"
        guards = guards_of(plan)
        with self._db.read() as connection:
            before = int(plan.before_days * DAY)
            samples, counts, left_out = self._samples(connection, kept, plan.metric, before)
            told = [
                guard_result(plan, one, self._samples(connection, kept, one.metric, 0)[0], guards=len(guards))
                for one in guards
            ]
        weights = course.weights or [one.weight for one in plan.variants]
        # Whoever was merged keeps a variant that nobody is drawn into any more: a few, and no draw to be checked.
        drawn = [one > 0 for one in weights]
        uneven = quality.sample_ratio(list(compress(counts, drawn)), list(compress(weights, drawn)))
        guarded = course.stopped_by == "guard" or not all(one.ok for one in told)
        judged = judge(plan, samples, ended=ended, uneven=uneven < UNEVEN, guarded=guarded, weights=weights)
        return Results(
            experiment_id=kept.experiment_id,
            name=plan.name,
            status=kept.status,  # type: ignore[arg-type]
            metric=plan.metric,
            decide=plan.decide,
            confidence=plan.confidence,
            phase=course.phase,
            days=age(kept, self._clock.now()) / DAY,
            variants=judged.variants,
            guards=told,
            verdict=course.verdict if kept.status == "done" else judged.verdict,
            winner=course.winner if kept.status == "done" else judged.winner,
            power=judged.power,
            needed=judged.needed,
            sample_ratio_p=uneven,
            sample_ratio_ok=uneven >= UNEVEN,
            left_out=left_out,
            reason=course.reason,
        )

    def last_word(self, kept: Kept) -> tuple[Verdict, str | None, str]:
        """At its end: (verdict, winner, why nothing can be said). What cannot be reckoned can be ended all the same."""
        try:
            said = self.of(kept, last=True)
        except Unavailable:  # it can be asked again
            raise
        except Exception as error:  # an edge: an experiment can be stopped whatever was counted
            log.exception("experiment %s cannot be reckoned", kept.experiment_id)
            return "no difference", None, f"its results cannot be reckoned ({type(error).__name__})"
        return said.verdict, said.winner, ""

    def _samples(
        self, connection: Connection, kept: Kept, metric: str, before_us: int
    ) -> tuple[list[Sample], list[int], int]:
        """(a sample a variant, all units that were exposed a variant, units left out)."""
        measure = read_metric(metric, self.rewards)
        course = kept.course
        window = Window(kept.experiment_id, course.phase, course.phase_at - _EARLY, course.last_seq)
        sums = self._sums(connection, window, measure)
        number = len(kept.plan.variants)
        counts = [int((sums.variant == at).sum()) for at in range(number)]
        most = BUSY_A_DAY * max(1.0, age(kept, self._clock.now()) / DAY)
        person = sums.events <= (most if measure.above.told is None else inf)
        old = None
        if before_us:
            earlier = Window(kept.experiment_id, course.phase, 0, before_us=before_us)
            old = self._sums(connection, earlier, measure)
        groups = [person & (sums.variant == at) for at in range(number)]
        return _sampled(measure, sums, old, groups), counts, int((~person).sum())

    def _sums(self, connection: Connection, window: Window, measure: Measure) -> Sums:
        if measure.above.told is not None:
            return of_told(connection, window, measure.above.told)
        terms = [measure.above] if measure.below is None else [measure.above, measure.below]
        return of_events(connection, window, [self._rows(term) for term in terms])

    def _rows(self, term: Term) -> dict[int, Worth]:
        found = {self._types.row(name): worth for name, worth in term.types.items()}
        return {row: worth for row, worth in found.items() if row is not None}


def guards_of(plan: Plan) -> list[Guard]:
    """A word is a guard that tolerates nothing."""
    return [one if isinstance(one, Guard) else Guard(metric=one) for one in plan.guards]


def age(kept: Kept, now: int) -> int:
    """Us that it ran, pauses left out. A clock that was set back takes nothing away."""
    course = kept.course
    return course.spent + (max(0, now - course.since) if course.since is not None else 0)


def tripped(guards: Sequence[GuardResult]) -> str | None:
    """Why it has to end."""
    for one in guards:
        if not one.ok:
            far = f" ({one.change:+.1%} of the control)" if one.change is not None and isfinite(one.change) else ""
            return f"{one.metric} of {one.worst} is worse than that of the control{far}"
    return None


def _sampled(measure: Measure, sums: Sums, old: Sums | None, groups: Sequence[NDArray[np.bool_]]) -> list[Sample]:
    above = sums.values[:, 0]
    if measure.kind == "share":
        return [quality.share(int((above[group] > 0).sum()), int(group.sum())) for group in groups]
    if measure.kind == "ratio":
        return [quality.ratio(above[group], sums.values[:, 1][group]) for group in groups]
    values = [above[group] for group in groups]
    if old is not None:
        known = dict(zip(old.rows.tolist(), old.values[:, 0].tolist(), strict=True))
        before = [np.array([known.get(row, 0.0) for row in sums.rows[group].tolist()]) for group in groups]
        values = quality.cuped(values, before)
    return [quality.sample(one) for one in values]
