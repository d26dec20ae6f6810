"""How `deepfm` learns: passes over rows in drawn order, until rows beside them say that it is enough.

The best state serves, not the last. A pass without a gain goes back to it and goes on slower. A training that runs away
begins once more from it at a quarter of the pace, and is given up the second time.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.ranking.deepfm_inputs import Inputs
from shopkeeper.recommend.ranking.deepfm_net import Codes, Floats, Learner

SLOWER = 0.3
_RUNAWAY = 0.25
_TOLD = 50  # steps between two reports
_DIVERGED = "the training diverged twice: its loss is no number; lower learning_rate"


@dataclass(frozen=True)
class Pace:
    epochs: int
    batch: int
    learning_rate: float
    patience: int
    minutes: float
    unknown: float
    """Share of the codes that are taken for the one of what was never seen."""


@dataclass(frozen=True)
class Batchable:
    """Rows as the net reads them: codes (n, c), numbers (n, p), label and weight (n,)."""

    codes: Codes
    numbers: Floats
    label: Floats
    weight: Floats

    @classmethod
    def of(cls, inputs: Inputs, values: Floats, label: Floats, weight: Floats) -> Batchable:
        """Of standardised `values` (n, f)."""
        return cls(*inputs.read(values), label, weight)

    def __len__(self) -> int:
        return len(self.label)


class _Runaway(Exception):
    """A loss that is no number."""


@dataclass
class Learning:
    """One training. `others` (c,): the codes of what was never seen."""

    learner: Learner
    rows: Batchable
    check: Batchable
    others: NDArray[np.int32]
    pace: Pace
    random: np.random.Generator
    losses: list[float] = field(default_factory=list)
    """On the rows beside, of each pass."""

    def learn(self, report: Report) -> int:
        """The net is then in its best state; the number of the pass that made it. Raises Invalid (`diverged`),
        Cancelled."""
        self._began = time.monotonic()
        self._rate = self.pace.learning_rate
        self._best, self._best_loss, self._best_epoch = self.learner.weights.copy(), self.loss(), 0
        for attempt in (1, 2):
            try:
                with np.errstate(over="ignore", invalid="ignore"):  # what runs away is told below
                    self._passes(report)
                break
            except _Runaway:
                if attempt == 2:
                    raise Invalid(_DIVERGED, code="diverged") from None
                report(len(self.losses), self.pace.epochs, message="diverged: once more from the best state, slower")
                self._back(_RUNAWAY)
        self.learner.weights.put(self._best)
        return self._best_epoch

    def loss(self) -> float:
        """The mean log-loss of the rows beside, by their weights."""
        check = self.check
        logits = self.learner.logits(check.codes, check.numbers).astype(np.float64)
        return float(np.average(np.logaddexp(0.0, logits) - check.label * logits, weights=check.weight))

    def _passes(self, report: Report) -> None:
        pace, waited = self.pace, 0
        while len(self.losses) < pace.epochs and waited < pace.patience and not self._late:
            learned = self._pass(report)
            loss = self.loss()
            if not math.isfinite(loss):
                raise _Runaway
            self.losses.append(loss)
            waited += 1
            if loss < self._best_loss:
                self._best, self._best_loss = self.learner.weights.copy(), loss
                self._best_epoch, waited = len(self.losses), 0
            told = {"loss": learned, "val_loss": loss, "learning_rate": self._rate}
            report(len(self.losses), pace.epochs, told, message="learning", epoch=True)
            if waited:
                self._back(SLOWER)

    def _pass(self, report: Report) -> float:
        """Its mean loss."""
        rows, batch = self.rows, self.pace.batch
        order, total = self.random.permutation(len(rows)), 0.0
        steps = -(-len(rows) // batch)
        done = len(self.losses) * steps
        for step in range(steps):
            if step % _TOLD == 0:
                report(done + step, self.pace.epochs * steps, message="learning")
                if self._late:
                    break
            drawn = order[step * batch : (step + 1) * batch]
            codes = rows.codes[drawn]
            if self.pace.unknown:
                codes = np.where(self.random.random(codes.shape) < self.pace.unknown, self.others, codes)
            loss = self.learner.step(codes, rows.numbers[drawn], rows.label[drawn], rows.weight[drawn], self._rate)
            if not math.isfinite(loss):
                raise _Runaway
            total += loss * len(drawn)
        return total / len(rows)

    def _back(self, slower: float) -> None:
        self.learner.weights.put(self._best)
        self.learner.calm()
        self._rate *= slower

    @property
    def _late(self) -> bool:
        return time.monotonic() - self._began > 60 * self.pace.minutes
