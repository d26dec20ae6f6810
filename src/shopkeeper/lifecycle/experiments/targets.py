"""What an experiment may be about, as the book sees it: something that can be checked, begun, ended and rolled out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from shopkeeper.core.errors import Invalid
from shopkeeper.core.experiments import Plan, Target, VariantPlan
from shopkeeper.stores.experiments import Kept


class TriedTarget(Protocol):
    """Called on threads that may wait, never on the loop."""

    def check(self, target: Target, variants: list[VariantPlan]) -> None:
        """Raises Invalid with the field, NotFound."""
        ...

    def clash(self, one: Plan, other: Plan, /) -> str | None:
        """Why both cannot run at once for one user, who may be in both when their layers differ."""
        ...

    def begin(self, kept: Kept) -> None:
        """It runs from now on. Raises Conflict where it cannot."""
        ...

    def end(self, kept: Kept) -> None:
        """It answers nobody any more."""
        ...

    def changed(self, target: Target) -> None:
        """Who gets what is other from now on: what is kept of answers goes."""
        ...

    def gone(self, kept: Kept) -> str | None:
        """Why a running one cannot go on."""
        ...

    def check_roll_out(self, kept: Kept, variant: VariantPlan) -> None:
        """Raises Conflict where `roll_out` would be refused as things stand: before the first users are given it."""
        ...

    def before(self, kept: Kept, variant: VariantPlan) -> dict[str, Any]:
        """What it will take to undo its roll-out, as JSON; {}: nothing has to be rolled out. Changes nothing."""
        ...

    def roll_out(self, kept: Kept, variant: VariantPlan, before: Mapping[str, Any], by: str) -> None:
        """The variant becomes what everybody gets. Raises Conflict (also Stale: it is not as `before` says)."""
        ...

    def is_out(self, kept: Kept, variant: VariantPlan, before: Mapping[str, Any], /) -> bool:
        """Whether everybody gets it by that roll-out, now."""
        ...

    def roll_back(self, kept: Kept, before: Mapping[str, Any], by: str) -> None:
        """Raises Conflict when it was changed since."""
        ...


class Targets:
    """One for each kind."""

    def __init__(self, scenario: TriedTarget, model: TriedTarget) -> None:
        self._scenario, self._model = scenario, model

    def of(self, target: Target) -> TriedTarget:
        """Raises Invalid."""
        if (target.scenario is None) == (target.model is None):
            raise Invalid("target names a scenario or a model, one of both", code="bad_target", field="target")
        return self._scenario if target.scenario is not None else self._model
