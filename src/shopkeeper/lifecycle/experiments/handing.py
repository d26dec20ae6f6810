"""Giving the winner to everybody is one write and the end of the experiment another. What it takes to undo the first is
noted in the row before it, so that nothing is lost when a process is killed, or a write refused, in between."""

from __future__ import annotations

import logging
from typing import Any

from msgspec.structs import replace

from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.core.experiments import HandOver, VariantPlan
from shopkeeper.lifecycle.experiments.changing import HELD, variant_of
from shopkeeper.lifecycle.experiments.rolling import RollingOut
from shopkeeper.stores.experiments import Kept

log = logging.getLogger(__name__)


class HandingOver(RollingOut):
    """Of what runs or rests."""

    def handed(self, kept: Kept) -> HandOver | None:
        """What everybody gets already though the experiment has not ended: it waits to be ended, or taken back."""
        noted = kept.course.hand_over
        if noted is None:
            return None
        target = self._targets.of(kept.plan.target)
        return noted if target.is_out(kept, variant_of(kept.plan, noted.variant), noted.before) else None

    def _hand_over(self, kept: Kept, variant: VariantPlan, end: HandOver, by: str) -> dict[str, Any] | None:
        """What it takes to undo it, null: nothing had to be rolled out. One that is handed over already stays as it was
        noted; another one is taken back first. `end`: what to note, `before` left empty."""
        target, handed = self._targets.of(kept.plan.target), self.handed(kept)
        if handed is not None:
            if handed.variant == variant.name:
                return handed.before
            target.roll_back(kept, handed.before, by)
        before = target.before(kept, variant)
        if not before:
            return None
        noted = self._note(kept, replace(end, before=before), by)
        try:
            target.roll_out(noted, variant, before, by)
        except Stale:  # it may be that another process was quicker with the same: the note stays
            raise
        except (Conflict, Invalid, NotFound):
            self._note(noted, None, by)
            raise
        return before

    def _take_back(self, kept: Kept, by: str) -> tuple[dict[str, Any] | None, str]:
        """It ends without a roll-out: what was handed over goes. (what it takes to undo what stays, why it does)."""
        handed = self.handed(kept)
        if handed is None:
            return None, ""
        try:
            self._targets.of(kept.plan.target).roll_back(kept, handed.before, by)
        except Stale:
            raise
        except (Conflict, Invalid, NotFound) as refused:
            log.warning("experiment %s is not rolled back: %s", kept.experiment_id, refused.message)
            return handed.before, f"{handed.variant} stays with everybody: {refused.message}"
        return None, ""

    def _note(self, kept: Kept, note: HandOver | None, by: str) -> Kept:
        return self._put(
            kept.experiment_id,
            HELD,
            "stop",
            lambda _c, now: {"course": replace(now.course, hand_over=note)},
            by=by,
            if_match=kept.tag,
        )
