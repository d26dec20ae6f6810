"""Is a scenario one that this shop can answer? What is wrong is told with the place where it stands."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import check_name
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.addresses import CHAMPION, parse_address
from shopkeeper.recommend.acting.check import Agents, check_agent
from shopkeeper.recommend.acting.check import problem_of as problem_of_agent
from shopkeeper.recommend.asking import check_channel
from shopkeeper.recommend.explore.asked import ALIASES, FIELDS, MOST_HELD_OUT, Exploring
from shopkeeper.recommend.explore.context import check_context
from shopkeeper.recommend.explore.snapshots import begun, policies
from shopkeeper.recommend.itemrules import problem_of
from shopkeeper.recommend.objectives import OBJECTIVES, RELEVANCE
from shopkeeper.recommend.scenarios import NAMED, STAGES, Scenario, is_named
from shopkeeper.rules.schema import Schema, writable

MOST_CHANNELS = 20
MOST_QUOTA = 1000
MOST_CANDIDATES = 2000
MOST_RULES = 32
MOST_FACTOR = 100.0
MOST_WEIGHT = 100.0
MOST_TTL_S = 86_400.0
MOST_POOL = 100
MOST_CONTEXT = 32
_HELP = 1000


@dataclass(frozen=True)
class Known:
    """What a scenario may name: recall models and rankers, the fields of items, and agents. `find(model, ref)` looks a
    version of a ranker up; it raises NotFound, or Invalid for what is no reference, where there is none."""

    recall: Callable[[], Collection[str]]
    rankers: Callable[[], Collection[str]]
    schema: Callable[[], Schema]
    find: Callable[[str, str], Version | None] = lambda _model, _ref: None
    agents: Agents | None = None


def check_scenario(scenario: Scenario, known: Known) -> None:
    """Raises Invalid, the field in it: `recall[1].channel`, `filters[0]` (then "at N:" within the rule) ...; Conflict
    (`not_proven`) for an agent that may not steer it."""
    check_name(scenario.name)
    if len(scenario.help) > _HELP:
        raise _wrong("help", f"has {len(scenario.help)} characters, at most {_HELP} are kept")
    _check_recall(scenario, known.recall())
    _bounded("candidates", scenario.candidates, 1, MOST_CANDIDATES)
    schema = known.schema()
    _check_filters(scenario.filters, schema)
    if scenario.ranker is not None and (why := _lacking(scenario.ranker, known)) is not None:
        raise _wrong("ranker", why, code="unknown_ranker")
    _check_objectives(scenario, known)
    _bounded("diversity", scenario.diversity, 0, 1)
    _few("boosts", scenario.boosts, MOST_RULES)
    for at, boost in enumerate(scenario.boosts):
        _check_rule(f"boosts[{at}].rule", boost.rule, schema)
        _bounded(f"boosts[{at}].factor", boost.factor, 0, MOST_FACTOR)
    _check_explore(scenario.explore)
    check_agent(scenario, known.agents, lambda one: check_scenario(one, known))
    for stage, ms in scenario.deadlines.items():
        _among("deadlines", stage, STAGES)
        _bounded(f"deadlines.{stage}", ms, 1, 5000)
    _bounded("ttl_s", scenario.ttl_s, 0, MOST_TTL_S)


def problems_of(scenario: Scenario, known: Known) -> list[str]:
    """What cannot be answered as it stands now, each with its place: rules over fields that are gone, which hold for
    nothing, a version of a ranker that is gone, without which the order of recall stays, an agent that is gone, without
    which the scenario answers as it is, and what the ranker does not foretell, for which relevance stands."""
    found, schema = [], known.schema()
    one = scenario.ranker
    if one is not None and ("@" in one or "/" in one) and (why := _lacking(one, known)) is not None:
        found.append(f"ranker: {why}")
    if (why := problem_of_agent(scenario, known.agents)) is not None:
        found.append(f"agent.agent_id: {why}; the scenario as it is answers")
    told = _tasks(scenario, known)
    found += [f"objectives.{name}: {one} does not tell it" for name in _of_tasks(scenario) if name not in told]
    for at, text in enumerate(scenario.filters):
        if not is_named(text) and (why := problem_of(text, schema)) is not None:
            found.append(f"filters[{at}]: {why}")
    for at, boost in enumerate(scenario.boosts):
        if (why := problem_of(boost.rule, schema)) is not None:
            found.append(f"boosts[{at}].rule: {why}")
    return found


def _check_recall(scenario: Scenario, models: Collection[str]) -> None:
    if not scenario.recall:
        raise _wrong("recall", "is empty; name one channel at least")
    _few("recall", scenario.recall, MOST_CHANNELS)
    met: dict[str, int] = {}
    for at, each in enumerate(scenario.recall):
        place = f"recall[{at}]"
        try:
            check_channel(each.channel, models)
        except Invalid as error:
            raise _wrong(f"{place}.channel", error.message, code="unknown_channel") from None
        if each.channel in met:
            raise _wrong(f"{place}.channel", f"{each.channel!r} is named by recall[{met[each.channel]}] already")
        met[each.channel] = at
        _bounded(f"{place}.quota", each.quota, 1, MOST_QUOTA)
        _bounded(f"{place}.weight", each.weight, 0, MOST_WEIGHT)


def _check_filters(filters: Sequence[str], schema: Schema) -> None:
    _few("filters", filters, MOST_RULES)
    for at, text in enumerate(filters):
        if is_named(text):
            continue
        if writable(text) and text not in schema.types:
            told = f"no filter {text!r}; there are: {', '.join(NAMED)}, or a rule over the fields of items"
            raise _wrong(f"filters[{at}]", told, code="unknown_filter")
        _check_rule(f"filters[{at}]", text, schema)


def _check_rule(field: str, text: str, schema: Schema) -> None:
    why = problem_of(text, schema)
    if why is not None:
        raise _wrong(field, why, code="bad_rule")


def _lacking(ranker: str, known: Known) -> str | None:
    """Why there is no such ranker; None: there is, or for a name alone there will be once it is trained."""
    rankers = known.rankers()
    try:
        model, ref = parse_address(ranker)
    except Invalid:
        model, ref = "", CHAMPION
    if model not in rankers:
        return f"no ranker {ranker[:80]!r}; there are: {', '.join(sorted(rankers))}, or null for none"
    if ref == CHAMPION:
        return None
    try:
        known.find(model, ref)
    except (Invalid, NotFound) as error:
        return error.message
    return None


def _of_tasks(scenario: Scenario) -> list[str]:
    """The objectives that are to be told by the ranker."""
    return [name for name in scenario.objectives if name not in OBJECTIVES]


def _tasks(scenario: Scenario, known: Known) -> Collection[str]:
    """What the ranker foretells by name, as its training wrote it down; nothing before it is trained. Looked up only
    where it is needed."""
    if scenario.ranker is None or not _of_tasks(scenario):
        return ()
    try:
        found = known.find(*parse_address(scenario.ranker))
    except (Invalid, NotFound):
        return ()
    return () if found is None else [str(task["name"]) for task in found.data.get("tasks", ())]


def _check_objectives(scenario: Scenario, known: Known) -> None:
    objectives, tasks = scenario.objectives, _tasks(scenario, known)
    for name, weight in objectives.items():
        _among("objectives", name, (*OBJECTIVES, *tasks))
        _bounded(f"objectives.{name}", weight, 0 if name == RELEVANCE else -MOST_WEIGHT, MOST_WEIGHT)
    if objectives and not any(objectives.values()):
        raise _wrong("objectives", "all weigh 0; give one of them a weight, or leave them all out")


def _check_explore(explore: Mapping[str, Any]) -> None:
    if not explore:
        return
    for name in explore:
        _among("explore", name, FIELDS)
    policy, known = explore.get("policy"), policies()
    if not isinstance(policy, str) or ALIASES.get(policy, policy) not in known:
        raise _wrong("explore.policy", f"is {policy!r}; there are: {', '.join(known)}", code="unknown_policy")
    for name, least, most in (("share", 0, 1), ("floor", 0, 1), ("pool", 2, MOST_POOL), ("held_out", 0, MOST_HELD_OUT)):
        value = explore.get(name, least)
        kinds = int if name == "pool" else int | float
        if isinstance(value, bool) or not isinstance(value, kinds):
            raise _wrong(f"explore.{name}", f"is {value!r}, expected a number from {least} to {most}")
        _bounded(f"explore.{name}", value, least, most)
    slots = explore.get("slots", [])
    if not isinstance(slots, list | tuple) or not all(type(slot) is int and 0 <= slot < 100 for slot in slots):
        raise _wrong("explore.slots", "must be a list of places, 0 (the first) to 99")
    _few("explore.slots", slots, 100)
    _check_context(explore.get("context", []))
    params = explore.get("params", {})
    if not isinstance(params, Mapping):
        raise _wrong("explore.params", "must be an object of the policy's parameters")
    try:
        begun(Exploring(ALIASES.get(policy, policy), params=params))
    except Invalid as error:
        raise _wrong("explore.params", error.message, code="bad_param") from None


def _check_context(names: Any) -> None:
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise _wrong("explore.context", "must be a list of names of features")
    _few("explore.context", names, MOST_CONTEXT)
    for at, name in enumerate(names):
        try:
            check_context(name)
        except Invalid as error:
            raise _wrong(f"explore.context[{at}]", error.message, code=error.code) from None


def _few(field: str, given: Sequence[Any], most: int) -> None:
    if len(given) > most:
        raise _wrong(field, f"has {len(given)} entries, at most {most} are taken")


def _among(field: str, name: str, known: tuple[str, ...]) -> None:
    if name not in known:
        raise _wrong(f"{field}.{name[:64]}", f"is not known; there are: {', '.join(known)}")


def _bounded(field: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise _wrong(field, f"is {value:g}, expected {low:g} to {high:g}", code="out_of_bounds")


def _wrong(field: str, told: str, *, code: str = "bad_scenario") -> Invalid:
    return Invalid(f"{field}: {told}", code=code, field=field)
