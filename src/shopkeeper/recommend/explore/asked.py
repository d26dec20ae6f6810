"""What a scenario asks of exploring: which policy, how much, where, among how many, by what it may go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

SHARE = 0.1
POOL = 20
FLOOR = 0.1
MOST_HELD_OUT = 0.5
FIELDS = ("policy", "share", "slots", "pool", "floor", "context", "params", "held_out")
ALIASES: Mapping[str, str] = {"ucb": "ucb1", "thompson": "thompson_beta", "linear": "linucb"}
"""Names that policies had before there was more than one of a kind."""
_NONE: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Exploring:
    """`share` [0, 1] of the chance goes to the policy, of which `floor` [0, 1] is spread evenly over the pool; the rest
    to the best candidate. `slots` None: every place. `pool` candidates are drawn from; `context` names what the policy
    reads beside the bias, `params` are the policy's own. `held_out` [0, 0.5] of the slates are never learned, so that
    what was learned can be measured on them."""

    policy: str
    share: float = SHARE
    slots: frozenset[int] | None = None
    pool: int = POOL
    floor: float = FLOOR
    context: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    held_out: float = 0.0

    @cached_property
    def begun_with(self) -> dict[str, Any]:
        """What was learned by one policy is of no use to one that was begun with something else."""
        held = {"held_out": self.held_out} if self.held_out else {}
        return {"context": list(self.context), "params": dict(self.params), **held}

    @cached_property
    def key(self) -> str:
        """Stands for the policy and what it was begun with, 16 characters."""
        said = json.dumps([self.policy, self.begun_with], sort_keys=True, default=str)
        return hashlib.blake2b(said.encode(), digest_size=8).hexdigest()


def exploring(given: Mapping[str, Any]) -> Exploring | None:
    """From a scenario's `explore`, which is in order; None: nothing is explored."""
    if not given:
        return None
    slots = given.get("slots")
    return Exploring(
        policy=ALIASES.get(given["policy"], given["policy"]),
        share=float(given.get("share", SHARE)),
        slots=frozenset(slots) if slots else None,
        pool=int(given.get("pool", POOL)),
        floor=float(given.get("floor", FLOOR)),
        context=tuple(given.get("context", ())),
        params=dict(given.get("params", _NONE)),
        held_out=float(given.get("held_out", 0.0)),
    )


def is_held(slate_id: str, asked: Mapping[str, Any]) -> bool:
    """Whether a slate is kept to measure on, by its id and what its policy was begun with: that never changes."""
    share = asked.get("held_out", 0.0)
    digest = hashlib.blake2b(slate_id.encode(), digest_size=4, person=b"held draws").digest()
    return int.from_bytes(digest) < float(share) * 2**32
