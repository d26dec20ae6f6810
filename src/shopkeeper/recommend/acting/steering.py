"""Which action of a scenario answers a slate: drawn by the slate's id, noted with its chance."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Final

from shopkeeper.recommend.acting.acted import Acted
from shopkeeper.recommend.acting.frozen import FrozenAgents
from shopkeeper.recommend.acting.visits import OpenVisits
from shopkeeper.recommend.explore.drawing import number, picked
from shopkeeper.recommend.scenarioform import varied
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.stores.vocabulary import UserVocabulary

_LOGGER = logging.getLogger(__name__)
_SLOT: Final = -1
"""The draw of the whole slate, beside those of its slots."""
_MOST = 10_000
_UNPROVEN: Final = (
    "the agent should steer, but its newest verdict on this scenario with these actions is not PROMOTE, or there is "
    "none; it is asked in the shadow until it is judged so"
)


class Steering:
    """On the loop. `allows` says whether the user of a row may be known; `strangers`: may people without a row?"""

    def __init__(
        self,
        agents: FrozenAgents,
        visits: OpenVisits,
        users: UserVocabulary,
        *,
        allows: Callable[[int], bool],
        strangers: bool = True,
    ) -> None:
        self._agents, self._visits, self._users = agents, visits, users
        self._allows, self._strangers = allows, strangers
        self._made: dict[int, tuple[Scenario, tuple[Scenario, ...]]] = {}

    def act(
        self, scenario: Scenario, user_id: str, slate_id: str, now: int
    ) -> tuple[Scenario, Acted | None, str | None]:
        """What answers, what is to be noted of it, and why an agent that should steer has no choice. One that is not
        proven any more, as after a training, is in the shadow. Never raises."""
        asked = scenario.asking
        if asked is None:
            return scenario, None, None
        row = self._users.row(user_id)
        if not (self._strangers if row is None else self._allows(row)):
            return scenario, None, None
        try:
            state = self._visits.state(scenario.name, asked.key, user_id, row, now)
            choice = self._agents.choose(asked.agent_id, state)
            if choice is not None:
                instead = None
                if asked.steers and not self._agents.proven(asked.agent_id, scenario.name, asked.key):
                    asked, instead = asked.shadow, _UNPROVEN
                chances = asked.chances(choice)
                action = picked(chances, number(slate_id, _SLOT))
                made = self._actions(scenario)[action]
                return made, Acted(asked, state, action, choice, float(chances[action]), instead), None
            why = self._agents.why(asked.agent_id)
        except Exception as error:  # an edge: the scenario as it is answers
            _LOGGER.exception("agent %s could not be asked for scenario %s", asked.agent_id, scenario.name)
            why = f"{type(error).__name__}: {error}"
        return scenario, None, f"agent: {why}" if asked.steers else None

    def _actions(self, scenario: Scenario) -> tuple[Scenario, ...]:
        """The scenario by each action. A slate that an agent had a part in is never given again: the next is another
        step of the visit."""
        kept = self._made.get(id(scenario))
        if kept is not None:
            return kept[1]
        if len(self._made) >= _MOST:
            self._made.clear()
        assert scenario.asking is not None
        made = tuple(replace(varied(scenario, one.config), ttl_s=0.0) for one in scenario.asking.actions)
        self._made[id(scenario)] = (scenario, made)  # which keeps it, so that its id is no other's
        return made
