"""The online learner: outcomes in their order, an update with every hundred of them, and what to do when the world
has changed.

Each outcome is answered before it is learned (prequential), which measures the learner all the time and costs nothing;
the loss goes to a drift detector. When that speaks, the rate's schedule begins anew, most of what made steps short is
forgotten, and the newest outcomes are learned once more.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import moment
from shopkeeper.core.learning import Drift, OnlineSettings
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.online.drift import Adwin, PageHinkley, detector
from shopkeeper.recommend.online.ftrl import Ftrl, Step
from shopkeeper.recommend.online.inputs import LinearInputs
from shopkeeper.recommend.online.kept import Kept, Packed, decode, encode
from shopkeeper.recommend.online.ranker import FtrlRanker
from shopkeeper.recommend.online.rates import share

_RECENT = 1000
_LARGEST_LOSS = 4.605  # nats: of an outcome that was given a chance of 1 %
_EPS = 1e-7


@dataclass(frozen=True)
class Outcomes:
    """n shown items whose outcome is known, in order: `values` float32 (n, f) in the order of the learner's schema,
    `label` in [0, 1], `weight` from 0, `users` rows (-1: nobody known); all (n,)."""

    values: NDArray[np.float32]
    label: NDArray[np.float32]
    weight: NDArray[np.float32]
    users: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.label)

    def take(self, where: slice | NDArray[np.bool_]) -> Outcomes:
        return Outcomes(self.values[where], self.label[where], self.weight[where], self.users[where])

    def then(self, more: Outcomes) -> Outcomes:
        pairs = ((getattr(self, name), getattr(more, name)) for name in ("values", "label", "weight", "users"))
        return Outcomes(*map(np.concatenate, pairs))

    @classmethod
    def none(cls, width: int) -> Outcomes:
        empty = np.empty(0, dtype=np.float32)
        return cls(np.empty((0, width), dtype=np.float32), empty, empty, np.empty(0, dtype=np.int32))


class OnlineLearner:
    """Belongs to one thread. `counts`: updates, since (updates since the start or the last drift), examples, drifts,
    pending (outcomes that wait for the next update), quiet (outcomes in which a detector says nothing new)."""

    def __init__(self, begin: FtrlRanker, settings: OnlineSettings) -> None:
        self.settings = settings
        self.inputs = begin.inputs
        self._ftrl = begin.learning()
        self._step = self._ftrl.step
        self._importance = begin.importance()
        self._model_updates = begin.updates
        self._buffer = Outcomes.none(len(begin.feature_names))
        self._recent = np.empty(0, dtype=np.float32)
        self._detector: Adwin | PageHinkley | None = detector(settings.drift)
        self._detector_name = settings.drift
        self._drifted = False
        self.drifted_at: int | None = None
        self.counts = {"updates": 0, "since": 0, "examples": 0, "drifts": 0, "pending": 0, "quiet": 0}
        self.pace(settings)

    # -- learning

    def pace(self, settings: OnlineSettings) -> None:
        """Goes on by other settings; what was learned stays."""
        if settings.drift != self._detector_name:
            self._detector, self._detector_name = detector(settings.drift), settings.drift
        self.settings = settings
        self._ftrl.paced(self._wanted())

    def take(self, outcomes: Outcomes, at: int = 0) -> NDArray[np.float64]:
        """Outcomes in their order, `at` (us) now; as many updates as they are worth. What was said before, (n,)."""
        said, start, every = np.empty(len(outcomes)), 0, max(1, min(self.settings.every, self.settings.buffer))
        while start < len(outcomes):
            end = min(len(outcomes), start + max(1, every - self.counts["pending"]))
            said[start:end] = self._noted(outcomes.take(slice(start, end)), at)
            if self.counts["pending"] >= every:
                self._update()
            start = end
        return said

    def forget(self, rows: Iterable[int]) -> bool:
        """Of erased people nothing waits or is taught again. Whether anything of theirs was here."""
        gone = np.isin(self._buffer.users, np.fromiter(rows, dtype=np.int32))
        if not gone.any():
            return False
        pending = self.counts["pending"]
        waiting = np.arange(len(gone)) >= len(gone) - pending
        self.counts["pending"] = pending - int((gone & waiting).sum())
        self._buffer = self._buffer.take(~gone)
        return True

    def _noted(self, outcomes: Outcomes, at: int) -> NDArray[np.float64]:
        said = self._ftrl.probabilities(self.inputs.read(outcomes.values))
        p = np.clip(said, _EPS, 1.0 - _EPS)
        loss = -(outcomes.label * np.log(p) + (1.0 - outcomes.label) * np.log1p(-p))
        self._recent = np.concatenate([self._recent, loss.astype(np.float32)])[-_RECENT:]
        if self._detector is not None:
            for one in np.minimum(loss / _LARGEST_LOSS, 1.0).tolist():
                self._watch(self._detector.update(one), at)
        self._buffer = self._buffer.then(outcomes).take(slice(-self.settings.buffer, None))
        self.counts["examples"] += len(outcomes)
        self.counts["pending"] += len(outcomes)
        return said

    def _watch(self, spoken: bool, at: int) -> None:
        """A detector speaks several times of one change: within a buffer of outcomes it is the same."""
        self.counts["quiet"] = max(0, self.counts["quiet"] - 1)
        if spoken and not self.counts["quiet"]:
            self._drifted, self.drifted_at = True, at
            self.counts["drifts"] += 1
            self.counts["quiet"] = self.settings.buffer

    def _update(self) -> None:
        pending, self.counts["pending"] = self.counts["pending"], 0
        self.counts["updates"] += 1
        if self._drifted:
            self._drifted, self.counts["since"] = False, 0
            self._ftrl.paced(self._wanted(), self.settings.forget)
            self._learn(self._buffer)
            return
        self.counts["since"] += 1
        self._ftrl.paced(self._wanted())
        self._learn(self._buffer.take(slice(-pending, None)))

    def _learn(self, outcomes: Outcomes) -> None:
        rows = self.inputs.read(outcomes.values)
        for start in range(0, len(rows), self.settings.batch):
            part = slice(start, start + self.settings.batch)
            label, weight = (each[part].astype(np.float64) for each in (outcomes.label, outcomes.weight))
            self._ftrl.learn(rows.take(part), label, weight)

    # -- what it is now

    @property
    def rate(self) -> float:
        return self._ftrl.step.alpha

    @property
    def schema(self) -> Schema:
        return self.inputs.schema

    @property
    def newest(self) -> Outcomes:
        """The outcomes that are kept, oldest first."""
        return self._buffer

    @property
    def users(self) -> set[int]:
        """Rows of the people whose outcomes are kept."""
        return set(self._buffer.users[self._buffer.users >= 0].tolist())

    @property
    def log_loss(self) -> float | None:
        return float(self._recent.mean()) if len(self._recent) else None

    @property
    def drift(self) -> Drift | None:
        found = self._detector
        if found is None:
            return None
        return Drift(
            detector=self._detector_name,
            detected=self.counts["drifts"],
            last_at=None if self.drifted_at is None else moment(self.drifted_at),
            seen=found.seen,
            mean_loss=found.mean * _LARGEST_LOSS,
        )

    def ranker(self) -> FtrlRanker:
        """What it knows now, as a model that serves."""
        updates = self._model_updates + self.counts["updates"]
        return FtrlRanker(self.inputs, self._ftrl.copy(), updates, self._importance)

    def _wanted(self) -> Step:
        one = self.settings
        rate = one.rate * share(one.schedule, self.counts["since"], one.period, one.least)
        return Step(rate, self._step.beta, self._step.l1, self._step.l2)

    # -- across processes

    def state(self) -> bytes:
        kept = Kept(
            columns=self.schema.columns,
            edges=Packed.of(self.inputs.edges),
            z=Packed.of(self._ftrl.z),
            n=Packed.of(self._ftrl.n),
            step=self._ftrl.step,
            importance=self._importance,
            values=Packed.of(self._buffer.values),
            label=Packed.of(self._buffer.label),
            weight=Packed.of(self._buffer.weight),
            users=Packed.of(self._buffer.users),
            recent=Packed.of(self._recent),
            detector=self._detector_name,
            detecting=msgspec.msgpack.encode(self._detector),
            counts={**self.counts, "drifted": int(self._drifted)},
            drifted_at=self.drifted_at,
            model_updates=self._model_updates,
        )
        return encode(kept)

    @classmethod
    def restore(cls, content: bytes, settings: OnlineSettings) -> OnlineLearner:
        """Goes on exactly where `state` was. Raises Unavailable (`bad_state`)."""
        kept = decode(content)
        inputs = LinearInputs(Schema(kept.columns), kept.edges.array())
        ftrl = Ftrl.of(kept.z.array(), kept.n.array(), kept.step)
        made = cls.__new__(cls)
        made.inputs, made._ftrl, made._step = inputs, ftrl, kept.step
        made._importance, made._model_updates = kept.importance, kept.model_updates
        made._buffer = Outcomes(*(each.array() for each in (kept.values, kept.label, kept.weight, kept.users)))
        made._recent = kept.recent.array()
        kind = type(detector(kept.detector))
        made._detector = msgspec.msgpack.decode(kept.detecting, type=kind)
        made._detector_name = kept.detector
        made.counts = {name: value for name, value in kept.counts.items() if name != "drifted"}
        made._drifted, made.drifted_at = bool(kept.counts["drifted"]), kept.drifted_at
        made.settings = settings
        made.pace(settings)
        return made
