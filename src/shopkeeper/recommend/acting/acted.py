"""What an agent had to do with a slate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.acting.asked import Asking


@dataclass(frozen=True, slots=True)
class Acted:
    """`state` (16,) of the visit before the slate; the `action` that was drawn with `propensity`; the agent's own
    `choice`. `instead`: why an agent that should steer is in the shadow."""

    asked: Asking
    state: NDArray[np.float64]
    action: int
    choice: int
    propensity: float
    instead: str | None = None

    @property
    def shown(self) -> dict[str, Any]:
        """For the metadata of the items."""
        name = self.asked.actions[self.action].name
        return {"agent_id": self.asked.agent_id, "action": name, "propensity": self.propensity}

    def facts(self) -> dict[str, Any]:
        """For `debug_info`."""
        asked = self.asked
        choice = asked.actions[self.choice].name
        told = {**self.shown, "mode": asked.mode, "choice": choice, "state": self.state.tolist()}
        return told if self.instead is None else {**told, "explanation": self.instead}
