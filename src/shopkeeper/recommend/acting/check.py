"""Is what a scenario asks of an agent in order, and may the agent steer it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.recommend.acting.asked import FIELDS, MODES, SHADOW, SHARE, asking
from shopkeeper.recommend.qlearning.config import AgentConfig
from shopkeeper.recommend.qlearning.visitstate import MOST_ACTIONS, STATE
from shopkeeper.recommend.scenarioform import body_of, varied
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.stores.visits import Verdict

PROMOTE = "PROMOTE"
_LONGEST_NAME = 64


class Agents(Protocol):
    def config(self, agent_id: str, /) -> AgentConfig:
        """Raises NotFound."""
        ...

    def verdict(self, agent_id: str, scenario: str, /) -> Verdict | None:
        """The newest; None: it was never judged there."""
        ...


def check_agent(scenario: Scenario, agents: Agents | None, check: Callable[[Scenario], None]) -> None:
    """`check` is that of a whole scenario. Raises Invalid with the field, Conflict (`not_proven`)."""
    given = scenario.agent
    if not given:
        return
    _check_form(given)
    asked = asking(given)
    assert asked is not None
    problem = problem_of(scenario, agents)
    if problem is not None:
        raise _wrong("agent_id", problem, code="unknown_agent")
    assert agents is not None
    config, k = agents.config(asked.agent_id), len(asked.actions)
    has = (config.states, config.state_size, config.action_size)
    if has != ("vector", STATE, k):
        raise _wrong(
            "agent_id",
            f"this agent reads states of kind {has[0]}, size {has[1]}, and has {has[2]} actions; a visit is a vector "
            f"of {STATE} numbers, and there are {k} actions here: make an agent like that",
            code="other_agent",
        )
    fields = frozenset(body_of(scenario)) - {"agent"}
    for at, action in enumerate(asked.actions):
        _check_action(scenario, action.config, f"actions[{at}].config", fields, check)
    if asked.steers:
        _check_proven(scenario.name, asked.key, agents.verdict(asked.agent_id, scenario.name))


def problem_of(scenario: Scenario, agents: Agents | None) -> str | None:
    """Why the agent cannot be asked; None: it can, or none is asked."""
    asked = scenario.asking
    if asked is None:
        return None
    if agents is None:
        return "there are no agents here"
    try:
        agents.config(asked.agent_id)
    except NotFound as error:
        return error.message
    return None


def _check_form(given: Mapping[str, Any]) -> None:
    for name in given:
        if name not in FIELDS:
            raise _wrong(str(name)[:64], f"is not known; there are: {', '.join(FIELDS)}")
    if not isinstance(given.get("agent_id"), str):
        raise _wrong("agent_id", "must be the id of an agent, see /api/v1/qlearning/agents", code="unknown_agent")
    mode, share = given.get("mode", SHADOW), given.get("share", SHARE)
    if mode not in MODES:
        raise _wrong("mode", f"is {mode!r:.80}, expected {' or '.join(MODES)}")
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 < share <= 1:
        raise _wrong("share", f"is {share!r:.80}, expected a number above 0 and at most 1", code="out_of_bounds")
    actions = given.get("actions")
    if not isinstance(actions, list | tuple) or not 2 <= len(actions) <= MOST_ACTIONS:
        raise _wrong("actions", f"must be a list of 2 to {MOST_ACTIONS}, each {{name, config}}")
    for at, one in enumerate(actions):
        whole = (
            isinstance(one, Mapping) and set(one) <= {"name", "config"} and isinstance(one.get("config", {}), Mapping)
        )
        if not whole or not isinstance(one.get("name"), str) or not 0 < len(one["name"]) <= _LONGEST_NAME:
            raise _wrong(f"actions[{at}]", f"must be {{name, config}}, the name of 1 to {_LONGEST_NAME} characters")
    names = [one["name"] for one in actions]
    if len(set(names)) < len(names):
        raise _wrong("actions", f"two are called {max(names, key=names.count)!r}; give each a name of its own")
    if actions[0].get("config"):
        raise _wrong("actions[0].config", "must be empty: the first action is the scenario as it is")


def _is_action(one: Any) -> bool:
    if not isinstance(one, Mapping) or not set(one) <= {"name", "config"}:
        return False
    name, config = one.get("name"), one.get("config", {})
    return isinstance(config, Mapping) and isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME


def _check_action(
    scenario: Scenario, config: Mapping[str, Any], place: str, fields: frozenset[str], check: Callable[[Scenario], None]
) -> None:
    for name in config:
        if name not in fields:
            told = f"an action has no such field; there are: {', '.join(sorted(fields))}"
            raise _wrong(f"{place}.{str(name)[:64]}", told)
    try:
        check(varied(scenario, {**config, "agent": {}}))
    except Invalid as error:
        raise _wrong(f"{place}.{error.field or ''}".rstrip("."), error.message, code=error.code) from error
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        raise _wrong(place, f"is not of the form of a scenario ({error!r:.200})") from error


def _check_proven(scenario: str, key: str, verdict: Verdict | None) -> None:
    if verdict is not None and verdict.key == key and verdict.verdict == PROMOTE:
        return
    if verdict is None:
        why = "it was never judged on visits of this scenario"
    elif verdict.key != key:
        why = "it was judged with other actions"
    else:
        why = f"the newest verdict is {verdict.verdict}: {'; '.join(verdict.judged.get('reasons', ()))}"
    raise Conflict(
        f"the agent may not steer {scenario!r}: {why}. Let it run in the mode shadow, then judge it: POST "
        f"/api/v1/qlearning/agents/ID/evaluation with the scenario",
        code="not_proven",
        field="agent.mode",
    )


def _wrong(name: str, told: str, *, code: str | None = None) -> Invalid:
    return Invalid(f"agent.{name}: {told}", code=code or "bad_scenario", field=f"agent.{name}")
