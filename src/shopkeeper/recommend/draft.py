"""A slate on its way: what is asked, what it is before it is ranked, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import RecFilters
from shopkeeper.recommend.attempts import Run
from shopkeeper.recommend.candidates import Candidates
from shopkeeper.recommend.channels import OF_THE_BOUGHT, Channel
from shopkeeper.recommend.explore.explored import Explored
from shopkeeper.recommend.history import History
from shopkeeper.recommend.made import Seen
from shopkeeper.recommend.reasons import Reason
from shopkeeper.recommend.scenarios import Scenario
from shopkeeper.recommend.scoring import Desk


@dataclass(frozen=True)
class Wish:
    """What is asked: `user` row (-1: nobody known), `now` us, `n` items; `about` rows of the page or basket;
    `diversity` instead of the scenario's; `tell` what the value of each item is made of. `slate_id`: its id, without
    which nothing is drawn."""

    user: int
    now: int
    n: int
    scenario: Scenario
    filters: RecFilters | None = None
    about: NDArray[np.int32] = field(default_factory=lambda: np.empty(0, dtype=np.int32))
    context: dict[str, Any] = field(default_factory=dict)
    ranker: str | None = None
    diversity: float | None = None
    tell: bool = False
    deadline_ms: float = 100.0
    slate_id: str = ""

    @property
    def anchored(self) -> bool:
        """Is it about the page or basket, and not about the user?"""
        return self.scenario.anchored and len(self.about) > 0

    @property
    def most(self) -> int:
        """Candidates: as many as the scenario wants, and no fewer than are asked for."""
        return max(self.scenario.candidates, self.n)

    @property
    def only_again(self) -> bool:
        """May nothing be shown but what the user bought before?"""
        return all(quota.channel in OF_THE_BOUGHT for quota in self.scenario.recall)


@dataclass
class Slate:
    """What came of it. `places` (m,) are the chosen positions in `candidates`, best first; `probability` is of all
    candidates, None without a ranker. `stages` are milliseconds."""

    candidates: Candidates
    places: NDArray[np.int64]
    probability: NDArray[np.float32] | None
    reasons: list[Reason]
    versions: dict[str, int]
    stages: dict[str, float]
    fallbacks: list[str]
    seen: Seen | None = None
    told: list[dict[str, Any]] | None = None
    explored: Explored | None = None


@dataclass
class Draft:
    """A slate that is not ranked yet. `desk` None: no ranker orders it; `seen` is what that one sees, `tasks` what it
    tells of each candidate beside `scores`, (k,) each."""

    wish: Wish
    run: Run
    history: History
    channels: dict[str, Channel]
    candidates: Candidates
    desk: Desk | None = None
    seen: Seen | None = None
    scores: NDArray[np.float32] | None = None
    tasks: dict[str, NDArray[np.float32]] = field(default_factory=dict)

    def take(self, told: NDArray[np.float32] | None) -> None:
        """What the desk gave: (k,) the scores, or (k, 1 + t) with what the ranker tells beside."""
        if told is None or told.ndim == 1 or self.desk is None:
            self.scores = told
        else:
            self.scores, self.tasks = told[:, 0], dict(zip(self.desk.tasks, told.T[1:], strict=True))

    @property
    def waits(self) -> bool:
        """Must its ranker be waited for?"""
        return self.desk is not None and self.seen is not None and not self.desk.quick(self.seen.vectors)
