"""What a model of several tasks answers: named chances and amounts for each row, by a graph that needs no torch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.learning.onnx_forms import open_session
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.multitask.heads import Head

GRAPH, SMALL = "net.onnx", "net.int8.onnx"
"""One of the two: the second where weights are bytes."""
_FACTS = "tasks.json"
_AT_ONCE = 8192


class About(msgspec.Struct, kw_only=True, frozen=True):
    """`heads` in the order of the answers; `goals` what counts when it ranks. Differences are between forms of the
    model, the largest on training rows: a chance as it is, an amount in spreads of its task."""

    heads: tuple[Head, ...]
    goals: dict[str, float] = {}
    best_epoch: int = 0
    onnx_max_difference: float = 0.0
    int8_max_difference: float | None = None


class MultitaskModel:
    """Threads may share it. `score` makes it a ranker, too: by the first task, or by the weights of `goals`."""

    output: ClassVar[str] = "object"

    def __init__(self, graph: bytes, schema: Schema, about: About) -> None:
        """Raises Invalid (`bad_graph`)."""
        self.schema, self.about = schema, about
        self.feature_names, self.defaults = schema.names, schema.defaults
        self._graph = graph
        self._session = open_session(graph)
        goals = about.goals or {about.heads[0].name: 1.0}
        weights = [goals.get(head.name, 0.0) / (1.0 if head.law == "chance" else head.scale) for head in about.heads]
        self._goals = np.array(weights, dtype=np.float32)

    @property
    def output_names(self) -> tuple[str, ...]:
        return tuple(head.name for head in self.about.heads)

    def answers(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f), not standardised, NaN where missing -> (n, t). Raises Invalid for another number of columns."""
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise Invalid(f"rows have shape {rows.shape}, expected (n, {len(self.feature_names)})", code="bad_shape")
        if not len(rows):
            return np.empty((0, len(self.about.heads)), dtype=np.float32)
        ready = np.ascontiguousarray(self.schema.standardise(rows))
        parts = [run(self._session, ready[at : at + _AT_ONCE]) for at in range(0, len(ready), _AT_ONCE)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) -> (n,) what ranks: the weighted sum of the goals, an amount in spreads of its task."""
        scores: NDArray[np.float32] = self.answers(rows) @ self._goals
        return scores

    def score_tasks(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) -> (n, 1 + t): the score, then each task in its own unit."""
        answers = self.answers(rows)
        return np.column_stack([answers @ self._goals, answers])

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        """A dict of the tasks for each row."""
        names = self.output_names
        return [dict(zip(names, answer, strict=True)) for answer in self.answers(self.schema.encode(rows)).tolist()]

    def save(self, folder: Path) -> None:
        (folder / _graph_of(self.about)).write_bytes(self._graph)
        (folder / _FACTS).write_bytes(msgspec.json.encode(self.about))
        self.schema.save(folder)

    @classmethod
    def load(cls, folder: Path) -> MultitaskModel:
        """Raises Unavailable, Invalid."""
        try:
            about = msgspec.json.decode((folder / _FACTS).read_bytes(), type=About)
            graph = (folder / _graph_of(about)).read_bytes()
        except (OSError, msgspec.DecodeError) as error:
            raise Unavailable(f"the model of several tasks cannot be read ({error}); train it again") from error
        return cls(graph, Schema.load(folder), about)


def _graph_of(about: About) -> str:
    return GRAPH if about.int8_max_difference is None else SMALL


def run(session: Any, rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, f) standardised -> (n, t)."""
    said: NDArray[np.float32] = session.run(None, {"rows": rows})[0]
    return said


def largest_difference(heads: Sequence[Head], one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    """Of answers (n, t): a chance as it is, an amount in spreads of its task."""
    units = np.array([1.0 if head.law == "chance" else head.scale for head in heads])
    return float(np.max(np.abs(one.astype(np.float64) - other) / units, initial=0.0))
