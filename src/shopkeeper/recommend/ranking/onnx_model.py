"""Graphs made elsewhere: a model without training. `prepare_upload` makes its folder, the registry does the rest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, Refused
from shopkeeper.core.protocols import Params, Report
from shopkeeper.learning.onnx_apart import check_apart
from shopkeeper.learning.onnx_checking import check_bytes
from shopkeeper.learning.onnx_forms import OnnxScorer, int8
from shopkeeper.learning.tabular import Schema

GRAPH = "model.onnx"
INT8_TOLERANCE = 0.01
"""Of the spread of the outputs (at least of 1): beyond that the int8 form is not worth its bytes."""


class OnnxRanker:
    """One float32 input (n, f), one output a row."""

    def __init__(self, form: OnnxScorer, schema: Schema) -> None:
        self.schema = schema
        self.feature_names = schema.names
        self.defaults = schema.defaults
        self._form = form

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) -> (n,). Raises Invalid for another number of columns."""
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise Invalid(f"rows have shape {rows.shape}, expected (n, {len(self.feature_names)})", code="bad_shape")
        if not len(rows):
            return np.empty(0, dtype=np.float32)
        return self._form.score(self.schema.standardise(rows))

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        outputs: list[Any] = self.score(self.schema.encode(rows)).tolist()
        return outputs

    def save(self, folder: Path) -> None:
        (folder / GRAPH).write_bytes(self._form.graph)
        self.schema.save(folder)

    @classmethod
    def load(cls, folder: Path) -> OnnxRanker:
        """Raises Invalid when graph and schema do not fit together."""
        form, schema = OnnxScorer((folder / GRAPH).read_bytes()), Schema.load(folder)
        if form.width != len(schema.names):
            raise Invalid(
                f"the graph takes {form.width} features, the schema names {len(schema.names)}", code="bad_artifact"
            )
        return cls(form, schema)


class Onnx:
    """A graph that another program trained. Its rows are measured and judged like those of any ranker."""

    name: ClassVar[str] = "onnx"
    family: ClassVar[str] = "ranking"
    description: ClassVar[str] = "An uploaded ONNX graph: one row of numbers in, one number out"
    tags: ClassVar[tuple[str, ...]] = ("ranking", "upload", "tabular")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[OnnxRanker]] = OnnxRanker
    uploads_only: ClassVar[bool] = True

    class Params(Params):
        pass

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: Any, report: Report) -> OnnxRanker:
        """Raises Refused."""
        del data, report
        raise Refused(
            "the algorithm onnx trains nothing: upload a graph as a version of the model", code="uploads_only"
        )


def prepare_upload(path: Path, folder: Path, feature_names: Sequence[str] | None, quantise: bool) -> dict[str, Any]:
    """Checks the graph at `path` and writes an artifact of the algorithm `onnx` into the empty `folder`.

    `feature_names` in the order of the input's columns; f0, f1 ... when not given. `quantise` tries int8 weights and
    keeps them where outputs on drawn rows stay within INT8_TOLERANCE. Returns facts for the version: those of the
    graph, `form` (float32 or int8) and `int8_max_difference`. Raises Invalid for a graph that is not fit to serve.
    """
    check_bytes(path.stat().st_size)
    facts = check_apart(path)
    graph = path.read_bytes()
    schema = Schema.of_numbers(_names(feature_names, facts.features))
    told: dict[str, Any] = {**msgspec.to_builtins(facts), "form": "float32"}
    target = folder / GRAPH
    target.write_bytes(graph)
    if quantise and {"MatMul", "Gemm"} & set(facts.operators):
        told |= _quantise(target, facts.features)
    schema.save(folder)
    OnnxRanker.load(folder)
    return told


def probe_rows(names: Sequence[str], n: int = 4) -> list[dict[str, float]]:
    """Golden rows for a model without data of its own: drawn numbers, always the same."""
    values = np.random.default_rng(1).normal(size=(n, len(names))).round(4)
    return [dict(zip(names, map(float, row), strict=True)) for row in values]


def _names(given: Sequence[str] | None, features: int) -> list[str]:
    if given is None:
        return [f"f{at}" for at in range(features)]
    names = list(given)
    if len(names) != features or len(set(names)) != features or not all(name.strip() for name in names):
        raise Invalid(
            f"the graph takes {features} features: give as many different names, in its order, not {len(names)}",
            code="bad_features",
            field="feature_names",
        )
    return names


def _quantise(target: Path, features: int) -> dict[str, Any]:
    """Replaces the graph by its int8 form when the outputs stay close."""
    rows = np.random.default_rng(2).normal(size=(256, features)).astype(np.float32)
    small = target.with_name("int8.onnx")
    difference = int8(target, small, rows)
    outputs = OnnxScorer(target.read_bytes()).score(rows)
    if difference > INT8_TOLERANCE * max(1.0, float(np.ptp(outputs))):
        small.unlink()
        return {"int8_max_difference": difference}
    small.replace(target)
    return {"form": "int8", "int8_max_difference": difference, "bytes": target.stat().st_size}
