"""A net of `deepfm` as it serves: a graph that onnxruntime runs, and the same with weights in int8."""

from __future__ import annotations

import tempfile
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Literal, TypeAlias

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.onnx_forms import OnnxScorer, int8
from shopkeeper.learning.tabular import Schema

Form: TypeAlias = Literal["float32", "int8"]

GRAPHS: dict[Form, str] = {"float32": "net.onnx", "int8": "net.int8.onnx"}
_FACTS = "deepfm.json"
_BATCH = 8192
QUANTISED = ("MatMul", "Gather")
"""Operators whose weights int8 takes: the layers, and the tables of vectors."""


class Facts(msgspec.Struct, kw_only=True, frozen=True):
    """`form` answers. `importance` of each feature: what the log-loss of rows that were not learned from grows by when
    its values are dealt anew among them, as a share of all; those that do not help are left out. `best_epoch` is the
    one whose state serves, 0: what it began with. `onnx_max_difference` between graph and net on training rows."""

    form: Form
    importance: dict[str, float]
    best_epoch: int
    onnx_max_difference: float


class DeepfmRanker:
    """`score` is a probability; each call uses one thread."""

    loop_rows: ClassVar[int] = 256

    def __init__(self, graphs: dict[Form, bytes], schema: Schema, facts: Facts) -> None:
        self.schema, self.facts = schema, facts
        self.feature_names, self.defaults = schema.names, schema.defaults
        self.onnx_max_difference = facts.onnx_max_difference
        self._graphs = graphs
        self._scorer = OnnxScorer(graphs[facts.form])
        if self._scorer.width != len(schema.names):
            raise Invalid(
                f"the net reads {self._scorer.width} features, the schema names {len(schema.names)}",
                code="bad_artifact",
            )

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f), not standardised -> probability (n,). Raises Invalid for another number of columns."""
        return self._scored(self._scorer, rows)

    def score_rows(self, rows: list[dict[str, object]]) -> list[object]:
        outputs: list[object] = self.score(self.schema.encode(rows)).tolist()
        return outputs

    @property
    def other_form(self) -> Form:
        """The one that does not answer."""
        return "int8" if self.facts.form == "float32" else "float32"

    def score_by_other(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return self._scored(self._other, rows)

    @cached_property
    def _other(self) -> OnnxScorer:
        return OnnxScorer(self._graphs[self.other_form])

    def _scored(self, scorer: OnnxScorer, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise Invalid(f"rows have shape {rows.shape}, expected (n, {len(self.feature_names)})", code="bad_shape")
        if not len(rows):
            return np.empty(0, dtype=np.float32)
        parts = [scorer.score(self.schema.standardise(rows[at : at + _BATCH])) for at in range(0, len(rows), _BATCH)]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def importance(self) -> dict[str, float]:
        """Share of each feature, the largest first; see `Facts`."""
        return dict(self.facts.importance)

    def save(self, folder: Path) -> None:
        for form, graph in self._graphs.items():
            (folder / GRAPHS[form]).write_bytes(graph)
        (folder / _FACTS).write_bytes(msgspec.json.encode(self.facts))
        self.schema.save(folder)

    @classmethod
    def load(cls, folder: Path) -> DeepfmRanker:
        """Raises Invalid when its files do not fit together."""
        try:
            facts = msgspec.json.decode((folder / _FACTS).read_bytes(), type=Facts)
            graphs = {form: (folder / name).read_bytes() for form, name in GRAPHS.items()}
        except (OSError, msgspec.DecodeError) as error:
            raise Invalid(f"the net cannot be read: {error}", code="bad_artifact") from error
        return cls(graphs, Schema.load(folder), facts)


def quantised(graph: bytes, samples: NDArray[np.float32]) -> bytes:
    """The graph with int8 weights."""
    with tempfile.TemporaryDirectory(prefix="shopkeeper-") as name:
        source, target = Path(name) / "net.onnx", Path(name) / "int8.onnx"
        source.write_bytes(graph)
        int8(source, target, samples, operators=QUANTISED)
        return target.read_bytes()
