"""Towers as numpy, as an ONNX graph and with int8 weights, vectors in int8: bytes, time, and what is lost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import QuantType, quantize_dynamic

from benchmarks.dssm import _WIKIQA, _fit, _of_lists, _read, _scores
from benchmarks.dssm import TOWERS as TOWERS_ALONE
from benchmarks.suggest_quality import written
from benchmarks.tower_sets import LastWatch, last_watch
from benchmarks.towers import TOWERS
from shopkeeper import plugins
from shopkeeper.core.protocols import silent
from shopkeeper.learning.onnx_forms import open_session
from shopkeeper.recommend.recall.tower_model import Towers

Floats = NDArray[np.float32]
Answer = Callable[[Floats], Floats]
_DEEP = 100
_ROUNDS = 300
_USERS = 2000


def main() -> None:
    """`--dry`: only prints."""
    written("embedding_forms", "Forms of towers", _PROTOCOL, _tables, [_NOTE])


_PROTOCOL = (
    "The user's tower of `two_tower` and `youtube_dnn` after one pass over MovieLens-1M (64 numbers, layers of 128 and "
    f"64), seed 1; {_USERS} users with their whole histories. What is measured begins after the means over the "
    "history, which stay tables in each form. Time: median of one row and of 256 rows, one thread. Kept: share of the "
    "100 nearest movies of float32 that are among the 100 nearest of the form; Hit@100: the last movie is among these. "
    "int8 weights: dynamic, by `onnxruntime`. **Vectors in int8**: one scale for each vector, inner products of what "
    "they stand for. **dssm**: three passes over WikiQA's training file, its table of 65,536 hashed features in the "
    "forms; official test questions, by the vectors alone."
)
_NOTE = (
    "A form with int8 weights saves bytes of the layers only; of a version nearly all are tables that are looked up. "
    "The table of dssm is kept as float16 in the version and as float32 in memory."
)


def _tables() -> list[dict[str, Any]]:
    task = last_watch(tuning=False)
    forms, vectors = list[list[Any]](), list[list[Any]]()
    for name in ("two_tower", "youtube_dnn"):
        trainer = plugins.algorithm(name)
        model = trainer(trainer.Params(**{**TOWERS[name], "epochs": 1}), 1).fit(task.data, silent)
        to = _places(model, task)
        given, wanted = _given(model, task, to), to[task.wanted[:_USERS]]
        exact = model._through("user", given)
        near = _nearest(exact, model.item_vectors)
        whole = sum(array.nbytes for array in model.arrays.values())
        for form, (answer, size) in _forms(model, given).items():
            found = answer(given)
            cosine = (_unit(found) * _unit(exact)).sum(axis=1)
            again = _nearest(found, model.item_vectors)
            one, many = (_micros(answer, given[:rows]) for rows in (1, 256))
            hit = _hit(again, wanted)
            forms.append([name, form, size / 1024, one, many, float(cosine.min()), _kept(near, again), hit])
            print(forms[-1], flush=True)
        rounded = _rounded(model.item_vectors)
        again = _nearest(exact, rounded)
        vectors += [
            [name, "float32", model.item_vectors.nbytes / 1024, whole / 1024, 1.0, _hit(near, wanted)],
            [name, "int8", model.item_vectors.size / 1024, whole / 1024, _kept(near, again), _hit(again, wanted)],
        ]
        print(vectors[-1], flush=True)
    return [
        {
            "title": "The user's tower",
            "columns": [
                "model",
                "form",
                "KiB of layers",
                "1 row, us",
                "256 rows, us",
                "lowest cosine",
                "kept",
                "Hit@100",
            ],
            "rows": forms,
        },
        {
            "title": "Vectors of 3,416 movies",
            "columns": ["model", "vectors", "KiB", "KiB of the whole version", "kept", "Hit@100"],
            "rows": vectors,
        },
        _matcher(),
    ]


def _matcher() -> dict[str, Any]:
    train, test = (_read(path, "Question", "Sentence", "Label") for path in _WIKIQA)
    model, _ = _fit(TOWERS_ALONE, train, 1, {"epochs": 3})
    table, exact = model.towers._table, model.query_vectors(test.queries)
    rows = []
    for form, other, size in (
        ("float32", table, table.nbytes),
        ("float16", table.astype(np.float16).astype(np.float32), table.size * 2),
        ("int8", _rounded(table), table.size + 4 * len(table)),
    ):
        model.towers._table = other
        cosine = (model.query_vectors(test.queries) * exact).sum(axis=1)
        found = _of_lists(test, _scores(model))
        rows.append([form, size / 1024, float(cosine.min()), found["map"], found["mrr"]])
        print(rows[-1], flush=True)
    return {"title": "The table of dssm", "columns": ["form", "KiB", "lowest cosine", "MAP", "MRR"], "rows": rows}


def _places(model: Towers, task: LastWatch) -> NDArray[np.int32]:
    """The model's place of each movie; all take part."""
    place = {one: at for at, one in enumerate(model.item_ids)}
    return np.array([place[one] for one in task.data.orders.item_ids], dtype=np.int32)


def _given(model: Towers, task: LastWatch, to: NDArray[np.int32]) -> Floats:
    """What goes into the first layer, of each user."""
    caught = list[Floats]()

    class Caught(type(model)):  # type: ignore[misc]
        def _through(self, tower: str, x: Floats) -> Floats:
            caught.append(x.copy())
            return super()._through(tower, x)

    watched = Caught(model.item_ids, model.arrays, model.user_traits, model.item_traits, model.temperature)
    histories = [to[task.known[user]] for user in range(_USERS)]
    watched._users([task.traits(user) for user in range(_USERS)], histories)
    return caught[-1]


def _forms(model: Towers, given: Floats) -> dict[str, tuple[Answer, int]]:
    layers = [name for name in model.arrays if name.startswith("user") and name[4].isdigit()]
    size = sum(model.arrays[name].nbytes for name in layers)
    plain = _graph(model, given.shape[1])
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "float.onnx"), Path(folder, "int8.onnx")
        source.write_bytes(plain)
        quantize_dynamic(source, target, op_types_to_quantize=["MatMul", "Gemm"], weight_type=QuantType.QInt8)
        small = target.read_bytes()
    return {
        "numpy": (lambda rows: model._through("user", rows), size),
        "ONNX": (_answer(plain), len(plain)),
        "ONNX, int8 weights": (_answer(small), len(small)),
    }


def _answer(graph: bytes) -> Answer:
    session = open_session(graph)

    def answer(rows: Floats) -> Floats:
        found: Floats = session.run(None, {"x": rows})[0]
        return found

    return answer


def _graph(model: Towers, width: int) -> bytes:
    nodes, constants, last, at = [], [], "x", 0
    while f"user{at}" in model.arrays:
        if at:
            nodes.append(helper.make_node("Relu", [last], [f"r{at}"]))
            last = f"r{at}"
        for name in (f"user{at}", f"user{at}_b"):
            constants.append(numpy_helper.from_array(model.arrays[name], name))
        nodes.append(helper.make_node("MatMul", [last, f"user{at}"], [f"m{at}"]))
        nodes.append(helper.make_node("Add", [f"m{at}", f"user{at}_b"], [f"h{at}"]))
        last, at = f"h{at}", at + 1
    if model.unit:
        nodes.append(helper.make_node("LpNormalization", [last], ["unit"], axis=1, p=2))
        last = "unit"
    made = helper.make_graph(
        nodes,
        "tower",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info(last, TensorProto.FLOAT, ["n", model.output_size])],
        constants,
    )
    opsets = [helper.make_opsetid("", 17)]
    graph: bytes = helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()
    return graph


def _unit(vectors: Floats) -> Floats:
    found: Floats = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-9)
    return found


def _rounded(vectors: Floats) -> Floats:
    scale = np.maximum(np.abs(vectors).max(axis=1, keepdims=True), 1e-9) / 127
    found: Floats = (np.rint(vectors / scale) * scale).astype(np.float32)
    return found


def _nearest(users: Floats, items: Floats) -> NDArray[np.int64]:
    return np.argpartition(-(users @ items.T), _DEEP, axis=1)[:, :_DEEP]


def _kept(before: NDArray[np.int64], after: NDArray[np.int64]) -> float:
    return float(np.mean([len(np.intersect1d(a, b)) / _DEEP for a, b in zip(before, after, strict=True)]))


def _hit(near: NDArray[np.int64], wanted: NDArray[np.int32]) -> float:
    return float((near == wanted[:, None]).any(axis=1).mean())


def _micros(answer: Answer, rows: Floats) -> float:
    taken = list[float]()
    for _ in range(_ROUNDS):
        began = time.perf_counter()
        answer(rows)
        taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e6


if __name__ == "__main__":
    main()
