"""The session task: a visitor is shown slate after slate for as long as they stay; each follows one of several aims.

The people are those of the simulator's frozen response model. A session's worth is the clicks of all its slates, so an
aim is worth what it earns now and what it does to the rest of the visit: who clicks stays, who is tired goes, and what
was clicked on tells what to show next. The agent sees what any shop sees of a visit, none of the simulator's insides.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import MINUTE
from shopkeeper.core.errors import Conflict
from shopkeeper.recommend.qlearning.environment import Outcome
from shopkeeper.recommend.qlearning.steps import Floats, Ints, State
from shopkeeper.recommend.qlearning.visitstate import STATE, Seen, states
from shopkeeper.sources.simulator.audience import Audience
from shopkeeper.sources.simulator.draws import CLICKS, generator
from shopkeeper.sources.simulator.responses import ResponseModel

AIMS: Final = ("liked", "new", "varied", "popular")
"""`liked`: what goes with the clicks so far, shown before or not. `new`: the same among what this visit has not seen.
`varied`: of each category what sells best and was not seen yet. `popular`: what sells best and was not seen yet."""
PLACES: Final = 6
MOST_SLATES: Final = 20
_RIDGE: Final = 20.0
_BEFORE: Final = 80
"""Slates of any items that each person was shown before: from their clicks the shop knows what goes together."""
_KNOWN: Final = 0.5
"""Share of visits by people whose earlier clicks the shop knows; the others are strangers."""


@dataclass(frozen=True)
class Knowledge:
    """What the shop has learned before: `together` (items, items) scores of items by a click on another (EASE, Steck
    2019), `sells` (items,) clicks, `clicks` (people, items), `kind` (items,) the category of each."""

    together: Floats
    sells: Floats
    clicks: Floats
    kind: Ints

    @classmethod
    def of(cls, model: ResponseModel, seed: int) -> Knowledge:
        """From slates of any items, shown to all people before the visits begin."""
        random = generator(seed, CLICKS, 3)
        people, items = len(model.user_ids), len(model.item_ids)
        clicks = np.zeros((people, items))
        for _ in range(_BEFORE):
            slates = np.argpartition(random.random((people, items)), PLACES, axis=1)[:, :PLACES]
            chances = model.chances(np.arange(people), slates, model.starts - MINUTE)
            hits, places = np.nonzero(random.random(chances.shape) < chances)
            clicks[hits, slates[hits, places]] = 1.0
        gram = clicks.T @ clicks
        inverse = np.linalg.inv(gram + _RIDGE * np.eye(items))
        together = -inverse / np.diag(inverse)
        np.fill_diagonal(together, 0.0)
        _, kind = np.unique([str(one.category) for one in model.world.items()], return_inverse=True)
        return cls(together, clicks.sum(axis=0), clicks, kind)


class Sessions:
    """m visits side by side. `state` (m, STATE) is what can be seen of them; `act` shows each its next slate."""

    def __init__(self, model: ResponseModel, knowledge: Knowledge) -> None:
        self.model, self.knowledge = model, knowledge

    def begin(self, seed: int, visits: int) -> Floats:
        """New visits, each of another person. Returns their states."""
        random = generator(seed, CLICKS, 4)
        self._audience = Audience(self.model, int(random.integers(2**31)))
        self._users = random.permutation(len(self.model.user_ids))[:visits]
        self._at = self.model.starts + int(random.integers(24 * 60)) * MINUTE
        known = random.random(visits) < _KNOWN
        self._before = self.knowledge.clicks[self._users] * known[:, None]
        self._clicked = np.zeros_like(self._before)
        self._shown = np.zeros(self._before.shape, dtype=np.bool_)
        self._known = known
        self._slates = np.zeros(visits, dtype=np.int64)
        self._last = np.full(visits, -1, dtype=np.int64)
        self._hits = np.zeros(visits)
        self._quiet = np.zeros(visits)
        self._by_aim = np.zeros((visits, len(AIMS)))
        self._scores = self._goes_with()
        self.here = np.ones(visits, dtype=np.bool_)
        return self.state

    @property
    def state(self) -> Floats:
        """(m, STATE), each number in [0, 1]: the slates so far, the clicks of the last and of all, slates since a
        click, whether the person is known; which aim came last (4), the clicks that each has had here (4), how much of
        the next `liked` slate was seen already, what was clicked on before the visit, the share of all items seen."""
        return states(
            Seen(
                slates=self._slates,
                hits=self._hits,
                clicks=self._clicked.sum(axis=1),
                quiet=self._quiet,
                known=self._known.astype(np.float64),
                last=self._last,
                by_action=self._by_aim,
                stale=np.take_along_axis(self._shown, _best(self._scores), axis=1).mean(axis=1),
                before=self._before.sum(axis=1),
                share=self._shown.sum(axis=1) / len(self.knowledge.sells),
            )
        )

    def act(self, actions: Ints) -> tuple[Floats, NDArray[np.bool_]]:
        """Shows each visitor that is still here a slate by its aim; `actions` of the others are not read. Returns
        clicks (m,), 0 where nobody is, and who has gone now (m,)."""
        here = np.flatnonzero(self.here)
        slates = np.empty((len(here), PLACES), dtype=np.int64)
        for aim in np.unique(actions[here]):
            mine = actions[here] == aim
            slates[mine] = self._slate(int(aim), here[mine])
        answer = self._audience.show(self._users[here], slates, self._at)
        self._at += MINUTE
        hits = answer.clicked.sum(axis=1)
        rows, places = np.nonzero(answer.clicked)
        self._clicked[here[rows], slates[rows, places]] = 1.0
        self._shown[here[:, None], slates] = True
        self._slates[here] += 1
        self._last[here], self._hits[here] = actions[here], hits
        self._by_aim[here, actions[here]] += hits
        self._quiet[here] = np.where(hits > 0, 0, self._quiet[here] + 1)
        self._scores = self._goes_with()
        rewards = np.zeros(len(self._users))
        rewards[here] = hits
        gone = np.zeros(len(self._users), dtype=np.bool_)
        gone[here] = ~answer.stays
        self.here &= ~gone
        return rewards, gone

    @property
    def over(self) -> NDArray[np.bool_]:
        """Who has seen as many slates as a visit may have (m,)."""
        return self._slates >= MOST_SLATES

    def _goes_with(self) -> Floats:
        """What goes with the clicks so far (m, items); where there are none what sells decides."""
        sells = self.knowledge.sells / self.knowledge.sells.max()
        scores: Floats = (self._before + self._clicked) @ self.knowledge.together + 0.01 * sells
        return scores

    def _slate(self, aim: int, rows: Ints) -> Ints:
        """(rows, PLACES): the next slate of these visits by one aim."""
        scores, shown = self._scores[rows], self._shown[rows]
        if AIMS[aim] == "varied":
            return self._varied(shown)
        if AIMS[aim] == "popular":
            scores = np.broadcast_to(self.knowledge.sells, shown.shape)
        return _best(scores if AIMS[aim] == "liked" else np.where(shown, -np.inf, scores))

    def _varied(self, shown: NDArray[np.bool_]) -> Ints:
        """The best of each category, the best categories first."""
        left = np.where(shown, -np.inf, self.knowledge.sells[None, :])
        best = np.full((len(shown), self._kinds), -np.inf)
        which = np.zeros((len(shown), self._kinds), dtype=np.int64)
        for kind in range(self._kinds):
            mine = np.flatnonzero(self.knowledge.kind == kind)
            at = left[:, mine].argmax(axis=1)
            which[:, kind] = mine[at]
            best[:, kind] = left[np.arange(len(left)), which[:, kind]]
        order = np.argsort(-best, axis=1, kind="stable")[:, :PLACES]
        return np.take_along_axis(which, order, axis=1)

    @cached_property
    def _kinds(self) -> int:
        return int(self.knowledge.kind.max()) + 1


def _best(scores: Floats) -> Ints:
    """The PLACES best (m, PLACES), best first."""
    return np.argsort(-scores, axis=1, kind="stable")[:, :PLACES]


class SessionWorld:
    """One visit at a time, as an agent's environment."""

    states = "vector"
    state_size = STATE
    actions = len(AIMS)

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions
        self._going = False

    @classmethod
    def of_simulator(cls, seed: int = 1) -> SessionWorld:
        """On the frozen people of response model v1."""
        model = ResponseModel.version("v1")
        return cls(Sessions(model, Knowledge.of(model, seed)))

    def reset(self, seed: int) -> State:
        self._going = True
        first: State = self._sessions.begin(seed, 1)[0]
        return first

    def step(self, action: int) -> Outcome:
        if not self._going:
            raise Conflict("this visit has ended; begin another", code="episode_over")
        rewards, gone = self._sessions.act(np.array([action]))
        cut = bool(self._sessions.over[0])
        self._going = not (gone[0] or cut)
        return Outcome(self._sessions.state[0], float(rewards[0]), bool(gone[0]), cut=cut and not gone[0])
