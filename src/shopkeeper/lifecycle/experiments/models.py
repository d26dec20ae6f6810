"""Versions of a model as variants: an experiment shares the requests by a split (traffic.py), which loads and keeps the
versions, has the champion stand in and guards them; the experiment says who gets which."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.experiments import Plan, Target, VariantPlan
from shopkeeper.lifecycle import splits
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.registry import REMOVED, Registry
from shopkeeper.lifecycle.traffic import Traffic
from shopkeeper.lifecycle.versions import check_gate
from shopkeeper.stores.experiments import Kept


class ModelTarget:
    """The control is the champion of the moment of its start, and every variant names a version."""

    def __init__(self, registry: Registry, traffic: Traffic) -> None:
        self._registry = registry
        self._traffic = traffic

    def check(self, target: Target, variants: list[VariantPlan]) -> None:
        model = str(target.model)
        self._registry.model(model, target.scope)
        for at, one in enumerate(variants):
            field = f"variants[{at}].config"
            if set(one.config) != {"version"} or type(one.config["version"]) is not int:
                raise Invalid(
                    f'{field} of a model is {{"version": NUMBER}}, it says {one.config!r:.80}',
                    code="bad_config",
                    field=field,
                )
            if self._registry.version(model, one.config["version"], target.scope).status == REMOVED:
                raise NotFound(
                    f"the files of {model!r} version {one.config['version']} were removed", code="unknown_version"
                )

    def clash(self, _one: Plan, _other: Plan, /) -> str | None:
        return "a model answers by one version; give both the same layer, with a share each"

    def begin(self, kept: Kept) -> None:
        target, model = kept.plan.target, str(kept.plan.target.model)
        champion = self._registry.model(model, target.scope).aliases.get(CHAMPION)
        versions = versions_of(kept.plan)
        if champion is None:
            raise Conflict(
                f"model {model!r} has no champion that could stand in; promote a version", code="no_champion"
            )
        tag, _ = self._traffic.stored(model, target.scope)
        active = self._traffic.active(model, target.scope)
        wanted = sorted({champion, *versions})
        if active is not None:
            if {one.version for one in active.split.variants} >= set(wanted):
                return
            raise Conflict(
                f"the requests of {model!r} are shared already; end its split, or try both in one experiment",
                code="has_traffic",
            )
        if len(wanted) > 1:
            plan = splits.Split(variants=[splits.Variant(version=one, weight=1.0) for one in wanted])
            self._traffic.set_split(
                model, plan, scope=target.scope, by=kept.updated_by, reason=_reason(kept), if_match=tag
            )

    def end(self, kept: Kept) -> None:
        target, model = kept.plan.target, str(kept.plan.target.model)
        champion = self._registry.model(model, target.scope).aliases.get(CHAMPION)
        active = self._traffic.active(model, target.scope)
        if active is None or champion is None:
            return
        if {one.version for one in active.split.variants} <= {champion, *versions_of(kept.plan)}:
            alone = splits.Split(variants=[splits.Variant(version=champion, weight=1.0)])
            self._traffic.set_split(model, alone, scope=target.scope, by=kept.updated_by, reason=_reason(kept))

    def changed(self, target: Target) -> None:
        """Nothing is kept of a model's answers."""

    def gone(self, kept: Kept) -> str | None:
        target, model = kept.plan.target, str(kept.plan.target.model)
        try:
            champion = self._registry.model(model, target.scope).aliases.get(CHAMPION)
        except NotFound:
            return f"model {model!r} is gone"
        wanted = {champion, *versions_of(kept.plan)}
        if len(wanted) < 2:
            return None
        active = self._traffic.active(model, target.scope)
        there = set() if active is None else {one.version for one in active.split.variants}
        lost = sorted(one for one in wanted - there if one is not None)
        if not lost:
            return None
        return f"{model} v{lost[0]} is in no split any more: the guard took it out, or somebody changed the traffic"

    def check_roll_out(self, kept: Kept, variant: VariantPlan) -> None:
        """Asks the gate. Raises NotFound, Conflict."""
        target, model = kept.plan.target, str(kept.plan.target.model)
        chosen = self._registry.version(model, int(variant.config["version"]), target.scope)
        champion = self._registry.model(model, target.scope).aliases.get(CHAMPION)
        if champion != chosen.version:
            check_gate(chosen, champion)

    def before(self, kept: Kept, variant: VariantPlan) -> dict[str, Any]:
        target, model = kept.plan.target, str(kept.plan.target.model)
        champion = self._registry.model(model, target.scope).aliases.get(CHAMPION)
        version = int(variant.config["version"])
        return {} if champion == version else {"champion": champion, "version": version}

    def roll_out(self, kept: Kept, variant: VariantPlan, before: Mapping[str, Any], by: str) -> None:
        """Through the gate. Raises Conflict when it says no."""
        target, model = kept.plan.target, str(kept.plan.target.model)
        why = f"experiment {kept.plan.name!r} ({kept.experiment_id}): {variant.name}"
        self._registry.promote(model, before["version"], scope=target.scope, reason=why, by=by)

    def is_out(self, kept: Kept, _variant: VariantPlan, before: Mapping[str, Any], /) -> bool:
        target, model = kept.plan.target, str(kept.plan.target.model)
        try:
            champion = self._registry.model(model, target.scope).aliases.get(CHAMPION)
        except NotFound:
            return False
        return bool(champion == before["version"])

    def roll_back(self, kept: Kept, before: Mapping[str, Any], by: str) -> None:
        target, model = kept.plan.target, str(kept.plan.target.model)
        if self._registry.model(model, target.scope).aliases.get(CHAMPION) != before["version"]:
            raise Conflict(f"model {model!r} has another champion by now; roll that one back", code="moved")
        why = f"experiment {kept.plan.name!r} is taken back"
        self._registry.rollback(model, scope=target.scope, to=str(before["champion"]), reason=why, by=by)


def versions_of(plan: Plan) -> list[int]:
    """Of the variants, control first."""
    return [int(one.config["version"]) for one in plan.variants]


def _reason(kept: Kept) -> str:
    return f"experiment {kept.plan.name!r} ({kept.experiment_id})"
