"""Models as ONNX graphs: trees written as a tree ensemble, sessions that serve, weights in int8.

A session answers a few rows ten times faster than XGBoost's own predictor, which spends most of such a call on
preparing itself; on many rows it is slower. Who serves chooses by the number of rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.trees import Trees

MOST_NODES = 500_000
_INPUT, _OUTPUT = "rows", "probability"
_OPSETS = {"": 17, "ai.onnx.ml": 3}
_IR = 8


class OnnxScorer:
    """A graph with one float32 input (n, f) and one output a row. Threads may share it."""

    def __init__(self, graph: bytes) -> None:
        """Raises Invalid (`bad_graph`) for what cannot be run or has other inputs and outputs."""
        self._session = open_session(graph)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        if len(inputs) != 1 or len(outputs) != 1 or inputs[0].type != "tensor(float)" or len(inputs[0].shape) != 2:
            told = ", ".join(f"{one.name} {one.type} {one.shape}" for one in (*inputs, *outputs))
            raise Invalid(f"the graph must have one float input (n, f) and one output, not {told}", code="bad_graph")
        self.graph = graph
        self.width = inputs[0].shape[1] if isinstance(inputs[0].shape[1], int) else None
        self._input, self._outputs = inputs[0].name, [outputs[0].name]

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) -> (n,)."""
        answer: NDArray[np.float32] = self._session.run(self._outputs, {self._input: rows})[0]
        return answer.reshape(-1)


def open_session(graph: bytes) -> Any:
    """One thread a call and no busy waiting: many calls run beside each other. Raises Invalid (`bad_graph`)."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the edge: its errors have no base of their own
        raise Invalid(f"the graph cannot be run: {str(error)[:300]}", code="bad_graph") from error


def tree_graph(trees: Trees, features: int) -> bytes:
    """A graph (n, features) -> (n, 1) that gives the probability. Raises Invalid beyond MOST_NODES."""
    from onnx import TensorProto, helper

    if len(trees) > MOST_NODES:
        raise Invalid(f"{len(trees):,} nodes are too many for a graph, at most {MOST_NODES:,}", code="no_form")
    leaves = np.flatnonzero(trees.leaf)
    split = "BRANCH_LT" if trees.test == "<" else "BRANCH_LEQ"
    node = helper.make_node(
        "TreeEnsembleRegressor",
        [_INPUT],
        ["sum"],
        domain="ai.onnx.ml",
        n_targets=1,
        aggregate_function="SUM",
        base_values=[trees.base],
        nodes_treeids=trees.tree.tolist(),
        nodes_nodeids=trees.node.tolist(),
        nodes_featureids=trees.feature.tolist(),
        nodes_modes=["LEAF" if leaf else split for leaf in trees.leaf.tolist()],
        nodes_values=trees.threshold.tolist(),
        nodes_truenodeids=trees.yes.tolist(),
        nodes_falsenodeids=trees.no.tolist(),
        nodes_missing_value_tracks_true=trees.missing_yes.astype(np.int64).tolist(),
        target_treeids=trees.tree[leaves].tolist(),
        target_nodeids=trees.node[leaves].tolist(),
        target_ids=[0] * len(leaves),
        target_weights=trees.value[leaves].tolist(),
    )
    graph = helper.make_graph(
        [node, helper.make_node("Sigmoid", ["sum"], [_OUTPUT])],
        "trees",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["n", 1])],
    )
    opsets = [helper.make_opsetid(domain, version) for domain, version in _OPSETS.items()]
    made: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=_IR).SerializeToString()
    return made


def int8(
    source: Path, target: Path, samples: NDArray[np.float32], operators: Sequence[str] = ("MatMul", "Gemm")
) -> float:
    """Writes `source` with int8 weights in its matrix products (or in those of other `operators`); the largest
    difference of outputs on `samples` (n, f).

    Activations stay float and are scaled anew for each call, so nothing has to be calibrated. Raises Invalid.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, op_types_to_quantize=list(operators), weight_type=QuantType.QInt8)
    before, after = (OnnxScorer(path.read_bytes()).score(samples) for path in (source, target))
    return float(np.max(np.abs(before.astype(np.float64) - after), initial=0.0))
