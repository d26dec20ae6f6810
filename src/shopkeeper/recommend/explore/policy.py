"""The contract of exploring: a policy gives every arm of a pool a chance, a learner makes policies out of rewards.

An *arm* is an item that may be chosen. What serves (`Policy`) is a frozen snapshot of what learns (`Learner`): it never
changes, knows the chance with which it chooses, and so what it chose can be judged later (quality/offpolicy.py).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

Context: TypeAlias = NDArray[np.float64]
"""(d,), the first number 1.0 (bias). Policies without context ignore it."""

Arms: TypeAlias = NDArray[np.int32]
"""(k,), places in `arm_ids`; -1 is an arm that was never seen."""

Numbers: TypeAlias = NDArray[np.float64]

UNSEEN = -1
FORGOTTEN = ""
"""Stands in `arm_ids` where an arm was forgotten: places never change while a learner lives."""


@runtime_checkable
class Policy(Protocol):
    """A frozen snapshot: serves, thread-safe, saves and loads data only. A `Model` of family `policy`.

    Raises Invalid (`bad_context`) where `contextual` and the context is missing, of another length or not finite.
    """

    name: ClassVar[str]
    contextual: ClassVar[bool]
    feature_names: tuple[str, ...]
    arm_ids: tuple[str, ...]
    """Arms it has learned of, by place."""

    def chances(self, arms: Arms, context: Context | None) -> Numbers:
        """`arms` (k,): places in `arm_ids`, -1 one that it has never seen (prior). (k,), sums to 1: with which chance
        each of them is chosen."""
        ...

    def estimates(self, arms: Arms, context: Context | None) -> Numbers:
        """(k,): the reward that is expected of each."""
        ...

    def save(self, folder: Path) -> None: ...

    @classmethod
    def load(cls, folder: Path) -> Policy: ...


class Learner(Protocol):
    """Learns round by round; mutable, for a single thread."""

    bounded: ClassVar[bool]
    """Rewards must lie between 0 and 1; else any finite number will do."""

    def place(self, arm_id: str) -> int:
        """Where the arm stands; gives a new one a place, the same afterwards."""
        ...

    def learn(self, arm: int, reward: float, context: Context | None, propensity: float = 1.0) -> None:
        """One round: the arm at this place was chosen with this chance, and brought this. A round of an arm that was
        forgotten meanwhile teaches nothing.

        Raises Invalid: `bad_reward` outside of what the policy can learn from (`bounded`), `bad_context`,
        `bad_propensity` outside of (0, 1], `unknown_arm`."""
        ...

    def forget(self, arm: int) -> None:
        """The arm at this place was removed for good: its place stays empty, and whoever bears its id later begins
        anew at another place."""
        ...

    def snapshot(self) -> Policy:
        """What was learned until now, as it serves."""
        ...

    def state(self) -> bytes:
        """All that was learned, as plain data (npz without objects)."""
        ...

    @classmethod
    def restore(cls, state: bytes) -> Learner:
        """The learner that gave this state: goes on exactly as that one would. Raises Invalid (`bad_state`)."""
        ...


class PolicyTrainer(Protocol):
    """The algorithm of a policy, as `plugins.algorithm(name)` gives it; a `Trainer` of family `policy`. Its `fit` of
    `LearnedRows` (rows.py) is what the state in them says: nothing is learned."""

    name: ClassVar[str]
    contextual: ClassVar[bool]
    learner: ClassVar[type[Learner]]

    def __init__(self, params: Any, seed: int) -> None: ...

    def begin(self, dimension: int = 1, context_names: tuple[str, ...] = ()) -> Learner:
        """A learner that has seen nothing. `dimension`: length of the contexts, `context_names` what their numbers are;
        of no account without contexts. Raises Invalid (`bad_context`) where the two do not agree."""
        ...


def checked_context(context: Context | None, dimension: int) -> Context:
    """The context as float64 (d,). Raises Invalid (`bad_context`)."""
    if context is None:
        raise Invalid(f"no context came, expected {dimension} numbers", code="bad_context", field="context")
    numbers = np.asarray(context, dtype=np.float64)
    if numbers.shape != (dimension,):
        raise Invalid(
            f"a context of {dimension} numbers was expected, one of shape {numbers.shape} came: a policy reads the "
            "features with which it began; begin a new one for others",
            code="bad_context",
            field="context",
        )
    if not np.isfinite(numbers).all():
        raise Invalid("a context must be finite numbers: fill what is missing", code="bad_context", field="context")
    return numbers


def checked_reward(reward: float, *, bounded: bool) -> float:
    """The reward as it can be learned. Raises Invalid (`bad_reward`)."""
    value = float(reward)
    if not np.isfinite(value) or (bounded and not 0.0 <= value <= 1.0):
        told = "a number from 0 to 1: clip or scale rewards before they are learned" if bounded else "a finite number"
        raise Invalid(f"a reward of {reward} came, expected {told}", code="bad_reward", field="reward")
    return value


def checked_propensity(propensity: float) -> float:
    """Raises Invalid (`bad_propensity`)."""
    if not 0.0 < propensity <= 1.0:
        raise Invalid(
            f"a propensity of {propensity} came, expected a chance above 0 and at most 1",
            code="bad_propensity",
            field="propensity",
        )
    return float(propensity)
