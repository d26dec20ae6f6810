"""A slate as it was computed: what is cached, logged, and answered under one or many request ids.

The id of an answer is the slate's own id (26 characters), for answers from a cache followed by `-` and a number in
base 32: so every answer is addressed by itself, and one row in the log stands for all that a slate has answered.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import moment
from shopkeeper.core.records import RecItem, RecResponse
from shopkeeper.lifecycle.experiments.assigning import Chosen
from shopkeeper.recommend.acting.acted import Acted
from shopkeeper.recommend.explore.explored import Explored

SLATE_ID = 26
_ANSWER = re.compile(rf"([0-9A-Z]{{{SLATE_ID}}})-[0-9A-HJKMNP-TV-Z]{{2,13}}")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a ranker saw of the items that were shown: `vectors` float32 (len(rows), len(names))."""

    model: str
    version: int
    names: tuple[str, ...]
    vectors: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Made:
    """`user` row (-1: answered as a stranger), `rows` int32 (m,) of the items shown, `made_at` us of the shop clock,
    `ttl_s` seconds that it may be answered again (0: never), `taken_ms` milliseconds that it took."""

    slate_id: str
    user_id: str
    user: int
    scenario: str
    scenario_version: int
    items: tuple[RecItem, ...]
    rows: NDArray[np.int32]
    made_at: int
    ttl_s: float
    taken_ms: float
    model_version: str
    versions: dict[str, int]
    stages: dict[str, float]
    degraded: bool = False
    explanation: str | None = None
    debug_info: dict[str, Any] | None = None
    seen: Seen | None = field(default=None, repr=False)
    tried: tuple[Chosen, ...] = ()
    explored: Explored | None = field(default=None, repr=False)
    acted: Acted | None = field(default=None, repr=False)

    def response(self) -> RecResponse:
        """The first answer that it makes."""
        return RecResponse(
            request_id=self.slate_id,
            user_id=self.user_id,
            recommendations=list(self.items),
            latency_ms=self.taken_ms,
            model_version=self.model_version,
            scenario=self.scenario,
            cache_hit=False,
            timestamp=moment(self.made_at),
            degraded=self.degraded,
            explanation=self.explanation,
            stages=self.stages,
            debug_info=self.debug_info,
        )


def slate_of(request_id: str) -> str:
    """The slate that answered a request; what is not of this form is its own."""
    found = _ANSWER.fullmatch(request_id)
    return request_id if found is None else found[1]
