"""Is a stranger's ONNX graph fit to serve? Data only, of known operators, of bounded size, with finite answers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.onnx_forms import OnnxScorer

MOST_BYTES = 256 << 20
MOST_FEATURES = 10_000
DOMAINS = ("", "ai.onnx", "ai.onnx.ml")
_UNBOUNDED = ("Loop", "Scan")
_BESIDE = 0.02  # graphs in int8 share one scale among the rows of a call


class GraphFacts(msgspec.Struct, kw_only=True):
    """What a graph is: bytes, number of input features, operators, opsets by domain, and who wrote it."""

    bytes: int
    features: int
    operators: list[str]
    opsets: dict[str, int]
    producer: str


def check_bytes(size: int) -> None:
    """Raises Invalid (`too_large`)."""
    if size > MOST_BYTES:
        raise Invalid(f"the graph has {size:,} bytes, at most {MOST_BYTES:,}", code="too_large")


def check_operators(graph: bytes) -> tuple[Any, list[str]]:
    """(model, names of its operators). Raises Invalid as `check_graph`, but runs nothing."""
    check_bytes(len(graph))
    model = _parsed(graph)
    nodes = list(_nodes(model))
    for domain in {node.domain for node in nodes} | {opset.domain for opset in model.opset_import}:
        if domain not in DOMAINS:
            raise _bad(f"it uses operators of {domain!r}; those of ONNX itself (ai.onnx, ai.onnx.ml) can be run")
    operators = sorted({node.op_type for node in nodes})
    if looping := [name for name in operators if name in _UNBOUNDED]:
        raise _bad(f"it holds {', '.join(looping)}: how long an answer takes would have no bound")
    if any(tensor.data_location == tensor.EXTERNAL for tensor in _tensors(model, nodes)):
        raise _bad("its weights lie in another file; save it with the weights inside")
    return model, operators


def check_graph(graph: bytes) -> GraphFacts:
    """Raises Invalid (`bad_graph`, `too_large`): not ONNX, other inputs or outputs than one float table and one number
    a row, operators of other domains, loops, weights outside the file, or answers that are not finite.
    """
    model, operators = check_operators(graph)
    scorer = OnnxScorer(graph)
    if scorer.width is None or not 1 <= scorer.width <= MOST_FEATURES:
        raise _bad(f"its input must have a fixed number of columns, 1 to {MOST_FEATURES}, not {scorer.width}")
    _try(scorer, scorer.width)
    return GraphFacts(
        bytes=len(graph),
        features=scorer.width,
        operators=operators,
        opsets={opset.domain or "ai.onnx": opset.version for opset in model.opset_import},
        producer=f"{model.producer_name} {model.producer_version}".strip()[:200],
    )


def _parsed(graph: bytes) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(graph)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        first = (str(error).strip().splitlines() or ["no ONNX"])[0]
        raise _bad(f"it is no valid ONNX model ({first[:200]})") from error
    return model


def _nodes(model: Any) -> Iterator[Any]:
    """Of the graph, its functions, and the graphs within nodes."""
    waiting = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    while waiting:
        node = waiting.pop()
        yield node
        for attribute in node.attribute:
            for inner in (*attribute.graphs, attribute.g):
                waiting += inner.node


def _tensors(model: Any, nodes: list[Any]) -> Iterator[Any]:
    sparse = list(model.graph.sparse_initializer)
    yield from model.graph.initializer
    for node in nodes:
        for attribute in node.attribute:
            yield from (attribute.t, *attribute.tensors)
            sparse += [attribute.sparse_tensor, *attribute.sparse_tensors]
            for inner in (*attribute.graphs, attribute.g):
                yield from inner.initializer
                sparse += inner.sparse_initializer
    for one in sparse:
        yield from (one.values, one.indices)


def _try(scorer: OnnxScorer, width: int) -> None:
    """One row and several, zeros and drawn numbers: as many finite answers as rows, and the same one alone."""
    rows = np.random.default_rng(0).normal(size=(5, width)).astype(np.float32)
    rows[0] = 0.0
    try:
        many, one = scorer.score(rows), scorer.score(rows[:1])
    except Exception as error:  # the edge: the runtime's errors have no base of their own
        raise _bad(f"it fails on a row of zeros ({str(error)[:200]})") from error
    if many.shape != (5,) or one.shape != (1,):
        raise _bad(f"it gives {many.size} outputs for 5 rows and {one.size} for one, expected one a row")
    if not np.isfinite(many).all():
        raise _bad("it gives NaN or infinity on plain rows")
    if abs(float(one[0] - many[0])) > _BESIDE * max(1.0, float(np.ptp(many))):
        raise _bad("its answer to a row depends on the rows beside it")


def _bad(what: str) -> Invalid:
    return Invalid(f"the graph cannot serve: {what}", code="bad_graph", field="file")
