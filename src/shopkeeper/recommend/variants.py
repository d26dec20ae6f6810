"""Variants of scenarios: which fields are other for whom, and what an experiment on one may ask."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.experiments import Plan, Target, VariantPlan
from shopkeeper.lifecycle.experiments.assigning import Assignments, Chosen
from shopkeeper.lifecycle.experiments.people import People
from shopkeeper.recommend.scenariobook import ScenarioBook
from shopkeeper.recommend.scenariocheck import Known, check_scenario
from shopkeeper.recommend.scenarioform import body_of, scenario_of, varied
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.stores.experiments import Kept

_LOGGER = logging.getLogger(__name__)
_MOST = 10_000


class ScenarioVariants:
    """On the loop. Costs a look into a dict where nothing is tried."""

    def __init__(self, assignments: Assignments, people: People) -> None:
        self._assignments = assignments
        self._people = people
        self._made: dict[tuple[tuple[str, int], ...], tuple[Scenario, Scenario]] = {}

    def of(self, scenario: Scenario, user_id: str) -> tuple[Scenario, tuple[Chosen, ...]]:
        """What answers the user, and what of it is tried."""
        subject = f"scenario:{scenario.name}"
        if not self._assignments.on(subject):
            return scenario, ()
        unit = self._people.find(user_id)
        chosen = () if unit is None else self._assignments.of(subject, unit.user_id, unit.row)
        return (self._with(scenario, chosen), chosen) if chosen else (scenario, ())

    def _with(self, scenario: Scenario, chosen: tuple[Chosen, ...]) -> Scenario:
        key = tuple((one.draw.experiment_id, one.variant) for one in chosen)
        kept = self._made.get(key)
        if kept is not None and kept[0] is scenario:
            return kept[1]
        if len(self._made) >= _MOST:
            self._made.clear()
        made = scenario
        for one in chosen:
            try:
                made = varied(made, one.config)
            except (KeyError, TypeError, ValueError):
                _LOGGER.exception("variant %s of %s cannot be read and is passed over", one.name, one.draw.name)
        self._made[key] = (scenario, made)
        return made


class ScenarioTarget:
    """An experiment on a scenario. `tell(name)`: what is kept of its slates goes."""

    def __init__(self, book: ScenarioBook, known: Known, tell: Callable[[str], None]) -> None:
        self._book = book
        self._known = known
        self._tell = tell

    def check(self, target: Target, variants: list[VariantPlan]) -> None:
        scenario = self._book.find(str(target.scenario))
        fields = frozenset(body_of(scenario))
        for at, one in enumerate(variants):
            for name in one.config:
                if name not in fields:
                    raise _wrong(at, name, f"a scenario has no such field; there are: {', '.join(sorted(fields))}")
            try:
                check_scenario(varied(scenario, one.config), self._known)
            except Invalid as error:
                raise _wrong(at, error.field or "", error.message) from error
            except (AttributeError, KeyError, TypeError, ValueError) as error:
                raise _wrong(at, "", f"is not of the form of a scenario ({error!r:.200})") from error

    def clash(self, one: Plan, other: Plan, /) -> str | None:
        both = sorted(_fields(one) & _fields(other))
        if not both:
            return None
        return f"both change {', '.join(both)}; give them the same layer, with a share each"

    def begin(self, kept: Kept) -> None:
        """Nothing has to be loaded."""

    def end(self, kept: Kept) -> None:
        """Nothing was held."""

    def changed(self, target: Target) -> None:
        self._tell(str(target.scenario))

    def gone(self, kept: Kept) -> str | None:
        name = str(kept.plan.target.scenario)
        return None if self._book.has(name) else f"scenario {name!r} is gone"

    def check_roll_out(self, kept: Kept, variant: VariantPlan) -> None:
        """No gate stands before a scenario."""

    def before(self, kept: Kept, variant: VariantPlan) -> dict[str, Any]:
        if not variant.config:
            return {}
        now = self._book.find(str(kept.plan.target.scenario))
        before = {"version": now.version + 1, "built_in": self._book.is_built_in(now), "body": body_of(now)}
        _rolled_out(kept, variant, before)  # what cannot be read is refused here, before anything is noted
        return before

    def roll_out(self, kept: Kept, variant: VariantPlan, before: Mapping[str, Any], by: str) -> None:
        tag = f'"{before["version"] - 1}"'
        self._book.put(_rolled_out(kept, variant, before), by=by, if_match=tag).result()

    def is_out(self, kept: Kept, variant: VariantPlan, before: Mapping[str, Any], /) -> bool:
        name = str(kept.plan.target.scenario)
        if not self._book.has(name):
            return False
        now, rolled_out = self._book.find(name), _rolled_out(kept, variant, before)
        return now.version == rolled_out.version and _as_stored(now) == _as_stored(rolled_out)

    def roll_back(self, kept: Kept, before: Mapping[str, Any], by: str) -> None:
        name, tag = str(kept.plan.target.scenario), f'"{before["version"]}"'
        try:
            now = self._book.find(name).version
        except NotFound:
            now = None
        if now != before["version"]:
            raise Conflict(f"scenario {name!r} was changed since; change it by hand", code="changed_since")
        if before["built_in"]:
            self._book.delete(name, by=by, if_match=tag).result()
        else:
            self._book.put(scenario_of(name, 1, before["body"]), by=by, if_match=tag).result()


def _rolled_out(kept: Kept, variant: VariantPlan, before: Mapping[str, Any]) -> Scenario:
    """What was there before, with the variant's fields, as the version that follows it."""
    name = str(kept.plan.target.scenario)
    return varied(scenario_of(name, before["version"], before["body"]), variant.config)


def _as_stored(scenario: Scenario) -> Any:
    """One of them was read from JSON, the other may not have been."""
    return msgspec.json.decode(msgspec.json.encode(body_of(scenario)))


def _fields(plan: Plan) -> set[str]:
    return {name for one in plan.variants for name in one.config}


def _wrong(at: int, name: str, told: str) -> Invalid:
    field = f"variants[{at}].config" + (f".{name}" if name else "")
    return Invalid(f"{field}: {told}", code="bad_config", field=field)
