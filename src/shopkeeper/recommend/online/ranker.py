"""What an online ranker answers: a linear model of the log-odds, so that what each feature adds is known exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.online.ftrl import Ftrl, Step
from shopkeeper.recommend.online.inputs import LinearInputs

_WEIGHTS = "ftrl.npz"
_FACTS = "ftrl.json"


class _Facts(msgspec.Struct, kw_only=True):
    step: Step
    updates: int
    importance: dict[str, float]


class FtrlRanker:
    """`updates` is how many batches the weights have learned from. Threads may share it; nothing here learns."""

    loop_rows: ClassVar[int] = 512

    def __init__(
        self, inputs: LinearInputs, learned: Ftrl, updates: int, importance: dict[str, float] | None = None
    ) -> None:
        self.inputs = inputs
        self.schema = inputs.schema
        self.feature_names = self.schema.names
        self.defaults = self.schema.defaults
        self.updates = updates
        self._learned = learned
        self._importance = importance or {}
        _ = learned.weights  # worked out before threads share it

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f), not standardised -> probability (n,). Raises Invalid for another number of columns."""
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise Invalid(f"rows have shape {rows.shape}, expected (n, {len(self.feature_names)})", code="bad_shape")
        if not len(rows):
            return np.empty(0, dtype=np.float32)
        return self._learned.probabilities(self.inputs.read(rows)).astype(np.float32)

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        outputs: list[Any] = self.score(self.schema.encode(rows)).tolist()
        return outputs

    def added(self, rows: NDArray[np.float32]) -> tuple[NDArray[np.float64], float]:
        """What each feature adds to the log-odds (n, f), and where all begin: exact, as the model is linear."""
        weights = self._learned.weights
        return self.inputs.parts(self.inputs.read(rows), weights), float(weights[-1])

    def importance(self) -> dict[str, float]:
        """Share of each feature in what the log-loss grows by without it, see `ranking.attribution`."""
        return self._importance

    def learning(self) -> Ftrl:
        """A copy that goes on learning."""
        return self._learned.copy()

    def save(self, folder: Path) -> None:
        self.schema.save(folder)
        np.savez(folder / _WEIGHTS, z=self._learned.z, n=self._learned.n, edges=self.inputs.edges)
        facts = _Facts(step=self._learned.step, updates=self.updates, importance=self._importance)
        (folder / _FACTS).write_bytes(msgspec.json.encode(facts))

    @classmethod
    def load(cls, folder: Path) -> FtrlRanker:
        """Raises Invalid when weights and schema do not fit together."""
        schema = Schema.load(folder)
        facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Facts)
        with np.load(folder / _WEIGHTS, allow_pickle=False) as stored:
            inputs = LinearInputs(schema, stored["edges"])
            z, n = stored["z"], stored["n"]
        if z.shape != (inputs.width,) or n.shape != z.shape:
            raise Invalid(
                f"{len(z)} weights do not fit the schema, which asks for {inputs.width}; train it again",
                code="bad_artifact",
            )
        return cls(inputs, Ftrl.of(z, n, facts.step), facts.updates, facts.importance)
