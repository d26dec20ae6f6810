"""What rankers made of trees share: a native form that is kept, and an ONNX form that answers small requests."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.onnx_forms import OnnxScorer, tree_graph
from shopkeeper.learning.tabular import Schema
from shopkeeper.learning.trees import Trees
from shopkeeper.learning.treewalk import TreeWalk, near_thresholds

GRAPH = "trees.onnx"
_FACTS = "form.json"
_SAMPLE = 5000
TOLERANCE = 1e-5
_WORTH_THREADS = 100_000


class _Facts(msgspec.Struct, kw_only=True):
    """`onnx_max_difference` between both forms on training rows; null where the trees have no ONNX form."""

    onnx_max_difference: float | None = None


class TreeRanker(ABC):
    """`score` is a probability; each call uses one thread, so that callers may run many at once."""

    loop_rows: ClassVar[int] = 256
    onnx_rows: int | None = None
    """Up to so many rows the ONNX form is the faster one (`make bench-tabular`); None: always."""

    def __init__(self, booster: Any, schema: Schema, form: OnnxScorer | None, difference: float | None) -> None:
        self.schema = schema
        self.feature_names = schema.names
        self.defaults = schema.defaults
        self.onnx_max_difference = difference
        self.form = form
        self._booster = booster

    @classmethod
    def with_form(cls, booster: Any, schema: Schema, values: NDArray[np.float32]) -> Self:
        """Makes the ONNX form and compares it on some of `values` (n, f); one that is off does not serve."""
        native = cls(booster, schema, None, None)
        try:
            form = OnnxScorer(tree_graph(cls.trees_of(booster), len(schema.names)))
        except Invalid:  # categorical splits, or too many nodes
            return native
        rows = schema.standardise(values[:: max(1, len(values) // _SAMPLE)])
        difference = float(np.max(np.abs(native.native(rows).astype(np.float64) - form.score(rows)), initial=0.0))
        return cls(booster, schema, form if difference <= TOLERANCE else None, difference)

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f), not standardised -> probability (n,). Raises Invalid for another number of columns."""
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise Invalid(f"rows have shape {rows.shape}, expected (n, {len(self.feature_names)})", code="bad_shape")
        if not len(rows):
            return np.empty(0, dtype=np.float32)
        ready = self.schema.standardise(rows)
        if self.form is not None and (self.onnx_rows is None or len(rows) <= self.onnx_rows):
            return self.form.score(ready)
        return self.native(ready)

    def quickened(self) -> Callable[[NDArray[np.float32]], NDArray[np.float32]] | None:
        """`score` for the candidates of a slate, compiled; None where there is no such form, or where it is off.

        Takes a second or two, which the first slates need not wait for.
        """
        try:
            trees = self.trees_of(self._booster)
            walk = TreeWalk(trees)
        except (Invalid, ImportError):
            return None
        rows = near_thresholds(trees, len(self.feature_names))
        found = walk.score(rows)
        if found is None or float(np.max(np.abs(found - self.native(rows)), initial=0.0)) > TOLERANCE:
            return None

        def score(rows: NDArray[np.float32]) -> NDArray[np.float32]:
            scores = walk.score(self.schema.standardise(rows))
            return self.score(rows) if scores is None else scores

        return score

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        outputs: list[Any] = self.score(self.schema.encode(rows)).tolist()
        return outputs

    def importance(self) -> dict[str, float]:
        """Share of the total gain of each feature, the largest first; features without a split are left out."""
        gain = {self.feature_names[at]: value for at, value in self.gains().items() if value > 0}
        total = sum(gain.values()) or 1.0
        return dict(sorted(((name, value / total) for name, value in gain.items()), key=lambda pair: -pair[1]))

    def save(self, folder: Path) -> None:
        self.write(folder)
        self.schema.save(folder)
        (folder / _FACTS).write_bytes(msgspec.json.encode(_Facts(onnx_max_difference=self.onnx_max_difference)))
        if self.form is not None:
            (folder / GRAPH).write_bytes(self.form.graph)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Raises Invalid when trees and schema do not fit together."""
        schema = Schema.load(folder)
        booster = cls.fitting(folder, schema)
        facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=_Facts)
        graph = folder / GRAPH
        form = OnnxScorer(graph.read_bytes()) if graph.exists() else None
        return cls(booster, schema, form, facts.onnx_max_difference)

    @classmethod
    def fitting(cls, folder: Path, schema: Schema) -> Any:
        """The library's own trees. Raises Invalid when they and the schema do not fit together."""
        booster = cls.read(folder)
        if cls.width_of(booster) != len(schema.names):
            raise Invalid(
                f"the trees know {cls.width_of(booster)} features, the schema names {len(schema.names)}",
                code="bad_artifact",
            )
        return booster

    # -- what each library does in its own way

    @abstractmethod
    def native(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) standardised -> (n,) by the library itself."""

    @abstractmethod
    def gains(self) -> dict[int, float]:
        """Total gain by place of the feature."""

    @abstractmethod
    def write(self, folder: Path) -> None: ...

    @classmethod
    @abstractmethod
    def read(cls, folder: Path) -> Any: ...

    @staticmethod
    @abstractmethod
    def width_of(booster: Any) -> int: ...

    @staticmethod
    @abstractmethod
    def trees_of(booster: Any) -> Trees:
        """Raises Invalid where they have no form of their own."""


def threads_for(rows: int) -> int:
    """Threads to grow trees with; 0: as many as the job may use.

    Threads that wait for one another cost more than few rows are worth: on two busy cores the 32,561 rows of Adult took
    26 s with two threads and 2.6 s with one.
    """
    return 1 if rows < _WORTH_THREADS else 0


class Growing:
    """Tells the job of every tree; `report` raises Cancelled when the job was asked to stop."""

    def __init__(self, report: Report, trees: int) -> None:
        self._report, self._trees = report, trees

    def tree(self, number: int, loss: float | None) -> None:
        """`number` from 1; `loss` on the rows to stop by."""
        metrics = {} if loss is None else {"val_loss": float(loss)}
        self._report(number, self._trees, metrics, message="growing trees", epoch=True)
