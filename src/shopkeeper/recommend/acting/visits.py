"""Visits that are open now: what a shop sees of each, from the slates that it answered and the clicks that followed.

A bounded memory, not a log: a restart ends what is open.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import MINUTE
from shopkeeper.recommend.acting.acted import Acted
from shopkeeper.recommend.made import Made
from shopkeeper.recommend.qlearning.steps import Floats
from shopkeeper.recommend.qlearning.visitstate import MOST_ACTIONS, Seen, states
from shopkeeper.recommend.rewards.joining import TAKEN
from shopkeeper.stores.vocabulary import UserVocabulary, Vocabulary

GAP: Final = 30 * MINUTE
"""A pause of so much shop time ends a visit."""
MOST_SLATES: Final = 100
"""A visit that would be longer is another one from there."""
MOST_PEOPLE: Final = 20_000


@dataclass
class Visit:
    """`actions` of its slates; `shown` items (rows) with the newest slate that held each; `clicked` items with the
    slate that was clicked on; `hits` clicks on the newest slate, `quiet` slates without a click before that; `stale`:
    the share of the newest slate that had been seen before."""

    visit_id: str
    key: str
    row: int | None
    before: int
    last_at: int = 0
    actions: list[int] = field(default_factory=list)
    shown: dict[int, int] = field(default_factory=dict)
    clicked: dict[int, int] = field(default_factory=dict)
    by_action: NDArray[np.float64] = field(default_factory=lambda: np.zeros(MOST_ACTIONS))
    hits: int = 0
    quiet: int = 0
    stale: float = 0.0

    def goes_on(self, key: str, now: int) -> bool:
        """A clock that was set back by more than the gap ends it, too."""
        return self.key == key and abs(now - self.last_at) <= GAP and len(self.actions) < MOST_SLATES

    def show(self, action: int, items: NDArray[np.int32], at: int) -> None:
        if self.actions:
            self.quiet = 0 if self.hits else self.quiet + 1
        rows = items.tolist()
        self.stale = sum(row in self.shown for row in rows) / max(len(rows), 1)
        self.shown |= dict.fromkeys(rows, len(self.actions))
        self.actions.append(action)
        self.hits, self.last_at = 0, at

    def click(self, item: int) -> None:
        """Once for an item of a slate."""
        slate = self.shown.get(item)
        if slate is None or self.clicked.get(item) == slate:
            return
        self.clicked[item] = slate
        self.by_action[self.actions[slate]] += 1
        if slate == len(self.actions) - 1:
            self.hits += 1

    def state(self, items: int) -> Floats:
        """(16,), of a shop of so many items."""
        quiet = 0 if self.hits or not self.actions else self.quiet + 1
        one = states(
            Seen(
                slates=np.array([len(self.actions)]),
                hits=np.array([float(self.hits)]),
                clicks=np.array([float(len(self.clicked))]),
                quiet=np.array([float(quiet)]),
                known=np.array([float(self.row is not None)]),
                last=np.array([self.actions[-1] if self.actions else -1]),
                by_action=self.by_action[None, :],
                stale=np.array([self.stale]),
                before=np.array([float(self.before)]),
                share=np.array([len(self.shown) / max(items, 1)]),
            )
        )
        found: Floats = one[0]
        return found


class OpenVisits:
    """A follower of the log; used on the loop. `before(row)` tells by how many different items a person is known,
    `items` how many there are. The `most` people who were answered last are remembered."""

    name = "visits"

    def __init__(
        self,
        users: UserVocabulary,
        types: Vocabulary,
        *,
        before: Callable[[int], int],
        items: Callable[[], int],
        most: int = MOST_PEOPLE,
    ) -> None:
        self._users, self._types = users, types
        self._before, self._items, self._most = before, items, most
        self._open: OrderedDict[str, dict[str, Visit]] = OrderedDict()
        """By the id that was asked for and the scenario."""

    def __len__(self) -> int:
        return len(self._open)

    def state(self, scenario: str, key: str, user_id: str, row: int | None, now: int) -> Floats:
        """What is seen of somebody's visit before its next slate; of a new one when none goes on."""
        visit = self._going(scenario, key, user_id, now)
        if visit is None:
            visit = Visit("", key, row, self._known(row))
        return visit.state(self._items())

    def show(self, made: Made, acted: Acted, row: int | None) -> tuple[str, int]:
        """A slate was answered: the visit that it belongs to and its number in it. The first gives the visit its id."""
        visit = self._going(made.scenario, acted.asked.key, made.user_id, made.made_at)
        of_person = self._open.pop(made.user_id, {})
        if visit is None:
            visit = Visit(made.slate_id, acted.asked.key, row, self._known(row))
            of_person[made.scenario] = visit
        visit.row = row
        visit.show(acted.action, made.rows, made.made_at)
        self._open[made.user_id] = of_person
        while len(self._open) > self._most:
            self._open.popitem(last=False)
        return visit.visit_id, len(visit.actions) - 1

    def apply(self, batch: EventBatch) -> None:
        """Somebody took what they were shown. Without open visits, as while the log is read at a start, this is
        nothing."""
        if not self._open:
            return
        taken = {row for name in TAKEN if (row := self._types.row(name)) is not None}
        for at, kind in enumerate(batch.type.tolist()):
            if kind in taken and batch.user[at] >= 0 and batch.item[at] >= 0:
                for visit in self._open.get(self._users.id(int(batch.user[at])), {}).values():
                    visit.click(int(batch.item[at]))

    def forget(self, row: int) -> None:
        """Of an erased person nothing is kept; nor of people without a row, as it may have been one of them."""
        mine = [user_id for user_id, of in self._open.items() if any(one.row in (None, row) for one in of.values())]
        for user_id in mine:
            del self._open[user_id]

    def _going(self, scenario: str, key: str, user_id: str, now: int) -> Visit | None:
        visit = self._open.get(user_id, {}).get(scenario)
        return visit if visit is not None and visit.goes_on(key, now) else None

    def _known(self, row: int | None) -> int:
        return 0 if row is None else self._before(row)
