"""The net of `deepfm` as an ONNX graph: standardised rows (n, f) in, probabilities (n, 1) out. This is what serves."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.ranking.deepfm_inputs import FARTHEST, Inputs
from shopkeeper.recommend.ranking.deepfm_net import Weights

_INPUT, _OUTPUT = "rows", "probability"
_OPSET, _IR = 17, 8


def graph_of(weights: Weights, inputs: Inputs, features: int) -> bytes:
    """`features`: columns of a row, f."""
    from onnx import TensorProto, helper

    graph = _Graph()
    missing = graph.add("IsNaN", _INPUT)
    rows = graph.add("Where", missing, graph.keep(np.zeros(1, np.float32)), _INPUT)
    shape, named = weights.shape, weights.named
    heard, totals, squares, alone = [], [], [], [graph.keep(named["bias"], "bias")]
    if inputs.codes:
        codes = _codes(graph, rows, inputs)
        vectors = graph.add("Gather", graph.keep(weights.table[:, :-1], "codes"), codes, axis=0)
        alone.append(
            _summed(graph, graph.add("Gather", graph.keep(weights.table[:, -1:], "codes_alone"), codes, axis=0), 1)
        )
        heard.append(graph.add("Reshape", vectors, graph.keep(np.array([-1, shape.codes * shape.vector], np.int64))))
        totals.append(_summed(graph, vectors, 1))
        squares.append(_summed(graph, graph.add("Mul", vectors, vectors), 1))
    if inputs.width:
        numbers = _numbers(graph, rows, missing, inputs)
        heard.append(numbers)
        vector = named["numbers"][:, :-1]
        totals.append(graph.add("MatMul", numbers, graph.keep(vector, "numbers")))
        squares.append(graph.add("MatMul", graph.add("Mul", numbers, numbers), graph.keep(vector * vector)))
        alone.append(graph.add("MatMul", numbers, graph.keep(named["numbers"][:, -1:], "numbers_alone")))
    total = _added(graph, totals)
    pairs = _summed(graph, graph.add("Sub", graph.add("Mul", total, total), _added(graph, squares)), 1, keep=True)
    alone.append(graph.add("Mul", pairs, graph.keep(np.full(1, 0.5, np.float32))))
    hidden = graph.add("Concat", *heard, axis=1) if len(heard) > 1 else heard[0]
    for at in range(len(shape.layers)):
        product = graph.add("MatMul", hidden, graph.keep(named[f"layer{at}"], f"layer{at}"))
        hidden = graph.add("Relu", graph.add("Add", product, graph.keep(named[f"layer{at}_bias"], f"layer{at}_bias")))
    alone.append(graph.add("MatMul", hidden, graph.keep(named["last"][:, None], "last")))
    graph.nodes.append(helper.make_node("Sigmoid", [_added(graph, alone)], [_OUTPUT]))
    made = helper.make_graph(
        graph.nodes,
        "deepfm",
        [helper.make_tensor_value_info(_INPUT, TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info(_OUTPUT, TensorProto.FLOAT, ["n", 1])],
        graph.kept,
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=_IR)
    helper.set_model_props(model, {"onnx.quant.pre_process": "onnxruntime.quant"})  # as it is: int8 shall not warn
    written: bytes = model.SerializeToString()
    return written


class _Graph:
    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.kept: list[Any] = []

    def add(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """The name of what it gives."""
        from onnx import helper

        name = f"{operator.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, **attributes))
        return name

    def keep(self, values: NDArray[Any], name: str = "") -> str:
        """The name of an array that does not change: the given one, or a number."""
        from onnx import numpy_helper

        name = name or f"constant{len(self.kept)}"
        self.kept.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name


def _codes(graph: _Graph, rows: str, inputs: Inputs) -> str:
    """(n, codes) rows of the table."""
    told = graph.add("Gather", rows, graph.keep(np.array(inputs.codes, np.int64)), axis=1)
    last = np.array(inputs.sizes, np.float32) - 1
    near = graph.add("Min", graph.add("Max", told, graph.keep(np.zeros(1, np.float32))), graph.keep(last))
    return graph.add("Add", graph.add("Cast", near, to=_INT64), graph.keep(inputs.offsets))


def _numbers(graph: _Graph, rows: str, missing: str, inputs: Inputs) -> str:
    """(n, width) as `Inputs.read` gives them."""
    told = graph.add("Gather", rows, graph.keep(np.array(inputs.numbers, np.int64)), axis=1)
    far = [graph.keep(np.array(end, np.float32)) for end in (-FARTHEST, FARTHEST)]
    near = graph.add("Asinh", graph.add("Clip", told, *far))
    if not inputs.gaps:
        return near
    gaps = graph.add("Gather", missing, graph.keep(np.array(inputs.gaps, np.int64)), axis=1)
    return graph.add("Concat", near, graph.add("Cast", gaps, to=_FLOAT), axis=1)


def _summed(graph: _Graph, name: str, axis: int, *, keep: bool = False) -> str:
    return graph.add("ReduceSum", name, graph.keep(np.array([axis], np.int64)), keepdims=int(keep))


def _added(graph: _Graph, names: list[str]) -> str:
    return names[0] if len(names) == 1 else graph.add("Sum", *names)


_FLOAT, _INT64 = 1, 7
"""Types of tensors in ONNX."""
