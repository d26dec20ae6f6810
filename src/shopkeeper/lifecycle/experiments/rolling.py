"""More and more of the users: a wider part of the layer, other weights, a roll-out step by step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.structs import replace
from sqlalchemy import Connection

from shopkeeper.core.clock import HOUR
from shopkeeper.core.errors import Invalid
from shopkeeper.core.experiments import Course, Rolling
from shopkeeper.lifecycle.experiments.changing import Changing, demand, variant_of
from shopkeeper.lifecycle.experiments.checking import shares
from shopkeeper.stores import experiments as table
from shopkeeper.stores.experiments import Kept

STEPS = (0.01, 0.1, 0.5, 1.0)


class RollingOut(Changing):
    """Of what runs."""

    def reshare(
        self,
        experiment_id: str,
        *,
        share: float | None = None,
        weights: Mapping[str, float] | None = None,
        if_match: str | None = None,
        by: str = "",
    ) -> Kept:
        """`share`: more or fewer of the layer's users take part from now on; those who did keep their variants.
        `weights`: those that are not named are 0; only whom it must is moved, and the results begin a new phase, as who
        was moved has seen two variants. Both are written, or neither is. Raises NotFound, Invalid, Stale, Conflict."""

        def reshared(connection: Connection, kept: Kept) -> dict[str, Any]:
            course = kept.course
            if weights is not None:
                for name in weights:
                    variant_of(kept.plan, name, "weights")
                fresh = shares([weights.get(one.name, 0.0) for one in kept.plan.variants])
                course = next_phase(kept, fresh, self._clock.now())
            if share is not None:
                course = replace(course, share=share, spans=self._room(connection, kept, share))
            return {"course": course}

        return self._reshow(experiment_id, "change the shares of", reshared, by=by, if_match=if_match)

    def roll(
        self,
        experiment_id: str,
        variant: str,
        *,
        steps: Sequence[float] = STEPS,
        step_hours: float = 24.0,
        if_match: str | None = None,
        by: str = "",
    ) -> Kept:
        """Gives a variant each of the shares in turn, for `step_hours`; after the last it is rolled out. A guard or a
        stop takes it back. Raises NotFound, Invalid, Stale, Conflict (also when the gate would refuse it at the end:
        nobody is given what could not stay)."""
        if not steps or list(steps) != sorted(set(steps)) or not 0 < steps[0] <= steps[-1] <= 1:
            raise Invalid(
                "steps must rise, above 0 and up to 1, like [0.01, 0.1, 0.5, 1]", code="bad_steps", field="steps"
            )
        rolling = Rolling(variant=variant, steps=list(steps), step_hours=step_hours)

        def rolled(_connection: Connection, kept: Kept) -> dict[str, Any]:
            return {"course": self._stepped(kept, rolling)}

        with self._changing:
            kept = self.get(experiment_id)
            table.check(kept, if_match)
            demand(kept, ("running",), "roll out")
            self._targets.of(kept.plan.target).check_roll_out(kept, variant_of(kept.plan, variant))
            return self._reshow(experiment_id, "roll out", rolled, by=by, if_match=if_match)

    def _stepped(self, kept: Kept, rolling: Rolling) -> Course:
        """The variant gets its share of this step, the others the rest by what they had."""
        now, share = self._clock.now(), rolling.steps[rolling.at]
        names = [one.name for one in kept.plan.variants]
        rest = [
            0.0 if name == rolling.variant else one.weight for name, one in zip(names, kept.plan.variants, strict=True)
        ]
        total = sum(rest) or 1.0
        weights = [
            share if name == rolling.variant else (1 - share) * one / total
            for name, one in zip(names, rest, strict=True)
        ]
        due = replace(rolling, next_at=now + int(rolling.step_hours * HOUR))
        return replace(next_phase(kept, shares(weights), now), rolling=due)


def next_phase(kept: Kept, weights: list[float], now: int) -> Course:
    course = kept.course
    return replace(course, phase=course.phase + 1, phase_at=now, weights=weights)
