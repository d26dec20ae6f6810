"""What all policies have in common: arms with places, checked rounds, a state that travels, and their training."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.explore.arms import ArmBook, Kept
from shopkeeper.recommend.explore.params import PolicyParams
from shopkeeper.recommend.explore.policy import (
    Arms,
    Context,
    Numbers,
    checked_context,
    checked_propensity,
    checked_reward,
)
from shopkeeper.recommend.explore.rows import LearnedRows, PolicyRows

_FILE = "policy.npz"
_TELL_EVERY = 20_000


class ArmPolicy(ABC):
    """A policy made of what is kept of its arms. Subclasses work out in `__init__` what serving reads."""

    name: ClassVar[str]
    contextual: ClassVar[bool] = False

    def __init__(self, kept: Kept) -> None:
        self.kept = kept
        self.arm_ids = kept.arm_ids
        self.feature_names = kept.context_names

    @abstractmethod
    def chances(self, arms: Arms, context: Context | None) -> Numbers: ...

    @abstractmethod
    def estimates(self, arms: Arms, context: Context | None) -> Numbers: ...

    def save(self, folder: Path) -> None:
        (folder / _FILE).write_bytes(self.kept.pack())

    @classmethod
    def load(cls, folder: Path) -> ArmPolicy:
        return cls(Kept.unpack((folder / _FILE).read_bytes(), cls.name))


class ArmLearner(ABC):
    """Subclasses say what is kept of an arm and what one round changes in it."""

    policy: ClassVar[type[ArmPolicy]]
    params_type: ClassVar[type[PolicyParams]]
    bounded: ClassVar[bool] = True

    def __init__(self, params: Any, dimension: int = 1, context_names: tuple[str, ...] = ()) -> None:
        if context_names and len(context_names) != dimension:
            raise Invalid(
                f"{len(context_names)} names for contexts of {dimension} numbers", code="bad_context", field="context"
            )
        self.params = params
        self.dimension = dimension if self.policy.contextual else 1
        self.context_names = context_names or tuple(f"context_{at}" for at in range(dimension))
        if not self.policy.contextual:
            self.context_names = ()
        self.rounds = 0
        self.book = ArmBook(self.begin())

    @abstractmethod
    def begin(self) -> Mapping[str, Numbers]:
        """{column: what a new arm begins with}."""

    @abstractmethod
    def learn_checked(self, arm: int, reward: float, context: Context, propensity: float) -> None:
        """A round that is known to be right."""

    def place(self, arm_id: str) -> int:
        return self.book.place(arm_id)

    def forget(self, arm: int) -> None:
        self.book.forget(arm)

    def learn(self, arm: int, reward: float, context: Context | None, propensity: float = 1.0) -> None:
        value, chance = checked_reward(reward, bounded=self.bounded), checked_propensity(propensity)
        numbers = checked_context(context, self.dimension) if self.policy.contextual else _BIAS
        if self.book.living(arm):
            self.learn_checked(arm, value, numbers, chance)
            self.rounds += 1

    def kept(self) -> Kept:
        return Kept(
            policy=self.policy.name,
            params=msgspec.to_builtins(self.params),
            rounds=self.rounds,
            arm_ids=tuple(self.book.ids),
            columns=self.book.frozen(),
            dimension=self.dimension,
            context_names=self.context_names,
        )

    def snapshot(self) -> ArmPolicy:
        return self.policy(self.kept())

    def state(self) -> bytes:
        return self.kept().pack()

    @classmethod
    def restore(cls, state: bytes) -> ArmLearner:
        return cls.resume(Kept.unpack(state, cls.policy.name))

    @classmethod
    def resume(cls, kept: Kept, params: Any = None) -> ArmLearner:
        """Goes on from what a policy has learned, with its parameters or with others. Raises Invalid (`bad_state`)."""
        try:
            chosen = msgspec.convert(kept.params, cls.params_type) if params is None else params
        except msgspec.ValidationError as error:
            raise Invalid(f"parameters of a {kept.policy} policy: {error}", code="bad_state") from error
        learner = cls(chosen, kept.dimension, kept.context_names)
        learner.rounds = kept.rounds
        learner.book = ArmBook.of(kept, learner.begin())
        return learner


_BIAS = np.ones(1)


class ArmTrainer:
    """The algorithm of a policy: learns logged rounds in their order."""

    name: ClassVar[str]
    family: ClassVar[str] = "policy"
    contextual: ClassVar[bool] = False
    description: ClassVar[str]
    tags: ClassVar[tuple[str, ...]] = ("explore", "bandit")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    learner: ClassVar[type[ArmLearner]]
    model: ClassVar[type[ArmPolicy]]
    Params: ClassVar[type[PolicyParams]]

    def __init__(self, params: Any, seed: int) -> None:
        self.params = params
        self.seed = seed  # nothing here is drawn at random: chances are worked out
        self._before: Kept | None = None

    def begin(self, dimension: int = 1, context_names: tuple[str, ...] = ()) -> ArmLearner:
        """A learner that has seen nothing; `dimension`: length of the contexts."""
        return self.learner(self.params, dimension, context_names)

    def continue_from(self, model: Any) -> None:
        if not isinstance(model, self.model):
            raise Invalid(
                f"a {self.name} policy goes on from one of its kind, not from {type(model).__name__}",
                code="cannot_continue",
            )
        self._before = model.kept

    def fit(self, data: PolicyRows, report: Report) -> ArmPolicy:
        """Raises Invalid (`bad_context`, `bad_reward`, `no_rounds`) for rounds that this policy cannot learn from."""
        rows = data.check()
        if isinstance(rows, LearnedRows):
            return self._as_learned(rows)
        learner = self._beginning(rows)
        replay(learner, rows, report)
        return learner.snapshot()

    def _as_learned(self, rows: LearnedRows) -> ArmPolicy:
        """What a scenario's learner knows. Raises Invalid (`wrong_algorithm`)."""
        if rows.policy != self.name:
            raise Invalid(
                f"the scenario's learner is a {rows.policy} policy, not {self.name}: keep it as that algorithm",
                code="wrong_algorithm",
                field="algorithm",
            )
        return self.learner.restore(rows.state).snapshot()

    def _beginning(self, rows: PolicyRows) -> ArmLearner:
        if self._before is not None:
            return self.learner.resume(self._before, self.params)
        if not self.contextual:
            return self.begin()
        if rows.context is None:
            raise Invalid(
                f"the rounds have no context and a {self.name} policy learns from it: take rounds that were logged "
                "with one, or a policy without context",
                code="bad_context",
                field="context",
            )
        return self.begin(rows.context.shape[1], rows.context_names)


def replay(learner: ArmLearner, rows: PolicyRows, report: Report) -> None:
    """Learn rounds one by one, the oldest first. Only arms that were chosen get places."""
    place = {arm: learner.place(rows.arm_ids[arm]) for arm in dict.fromkeys(rows.arm.tolist())}
    columns = zip(rows.arm.tolist(), rows.reward.tolist(), rows.propensity.tolist(), strict=True)
    for at, (arm, reward, propensity) in enumerate(columns):
        learner.learn(place[arm], reward, None if rows.context is None else rows.context[at], propensity)
        if at % _TELL_EVERY == 0:
            report(at, len(rows), message="learning rounds")
