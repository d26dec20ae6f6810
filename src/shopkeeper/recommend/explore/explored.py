"""What was drawn for the slots of one slate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.explore.asked import Exploring


@dataclass(frozen=True, slots=True)
class Explored:
    """What was drawn for a slate: s `slots`, item rows `pools` (s, m) filled up with -1, `drawn` (s,), `chances` (s,)
    of what was drawn. `context` (d,) by `names`, as snapshot `number` of the policy read it."""

    asked: Exploring
    number: int
    slots: tuple[int, ...]
    drawn: NDArray[np.int32]
    pools: NDArray[np.int32]
    chances: NDArray[np.float64]
    names: tuple[str, ...]
    context: NDArray[np.float64] | None

    def propensity(self, place: int) -> float | None:
        """None: the slot did not explore."""
        return float(self.chances[self.slots.index(place)]) if place in self.slots else None

    def facts(self) -> dict[str, Any]:
        """For `debug_info`."""
        return {
            "policy": self.asked.policy,
            "snapshot": self.number,
            "slots": list(self.slots),
            "propensities": [round(chance, 6) for chance in self.chances.tolist()],
            "context": None if self.context is None else dict(zip(self.names, self.context.tolist(), strict=True)),
        }
