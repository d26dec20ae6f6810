"""What a scenario asks of an agent: which one, between which actions, to note its choice or to follow it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

SHADOW: Final = "shadow"
STEER: Final = "steer"
MODES: Final = (SHADOW, STEER)
SHARE: Final = 0.1
FIELDS: Final = ("agent_id", "actions", "mode", "share")


@dataclass(frozen=True)
class Action:
    """`config`: the fields of the scenario that are other; the first action has none."""

    name: str
    config: Mapping[str, Any]


@dataclass(frozen=True)
class Asking:
    """`share` (0, 1] of the slates gets any action, all equally probable; the others the first (the scenario as it is)
    in the mode `shadow`, the agent's choice in the mode `steer`."""

    agent_id: str
    actions: tuple[Action, ...]
    mode: str = SHADOW
    share: float = SHARE

    @property
    def steers(self) -> bool:
        return self.mode == STEER

    @cached_property
    def shadow(self) -> Asking:
        """The same, where the agent's choice is only noted."""
        return replace(self, mode=SHADOW)

    @cached_property
    def key(self) -> str:
        """Stands for the agent and its actions, 16 characters: what was judged of them says nothing of others."""
        said = json.dumps(
            [self.agent_id, [[one.name, one.config] for one in self.actions]], sort_keys=True, default=str
        )
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()

    def chances(self, choice: int) -> NDArray[np.float64]:
        """With which chance each action (k,) is shown, when the agent chooses one."""
        chances = np.full(len(self.actions), self.share / len(self.actions))
        chances[choice if self.steers else 0] += 1.0 - self.share
        return chances


def asking(given: Mapping[str, Any]) -> Asking | None:
    """From a scenario's `agent`, which is in order; None: no agent is asked."""
    if not given:
        return None
    return Asking(
        agent_id=given["agent_id"],
        actions=tuple(Action(one["name"], dict(one.get("config", {}))) for one in given["actions"]),
        mode=given.get("mode", SHADOW),
        share=float(given.get("share", SHARE)),
    )
