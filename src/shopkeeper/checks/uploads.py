"""Checks for algorithms that train nothing and take uploaded graphs (`uploads_only`): `for check in CHECKS`."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np

from shopkeeper.checks.artifacts import differing_in_threads, saved_and_loaded
from shopkeeper.core.errors import Invalid, Refused
from shopkeeper.core.protocols import RowScorer, Trainer, silent
from shopkeeper.recommend.ranking.model import Ranker
from shopkeeper.recommend.ranking.onnx_model import prepare_upload

NAMES = ("price", "age", "visits")


def small_graph(features: int = len(NAMES), hidden: int = 8, seed: int = 3) -> bytes:
    """Two layers, (n, features) -> (n, 1), as another program would write them."""
    from onnx import TensorProto, helper, numpy_helper

    random = np.random.default_rng(seed)
    shapes = {"w1": (features, hidden), "b1": (hidden,), "w2": (hidden, 1), "b2": (1,)}
    weights = [
        numpy_helper.from_array(random.normal(scale=shape[0] ** -0.5, size=shape).astype(np.float32), name)
        for name, shape in shapes.items()
    ]
    nodes = [
        helper.make_node("Gemm", ["rows", "w1", "b1"], ["h"]),
        helper.make_node("Relu", ["h"], ["r"]),
        helper.make_node("Gemm", ["r", "w2", "b2"], ["o"]),
        helper.make_node("Sigmoid", ["o"], ["said"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("rows", TensorProto.FLOAT, ["n", features])],
        [helper.make_tensor_value_info("said", TensorProto.FLOAT, ["n", 1])],
        weights,
    )
    made: bytes = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8
    ).SerializeToString()
    return made


def small_model(trainer: type[Trainer]) -> Ranker:
    """What an upload of `small_graph` serves as."""
    with tempfile.TemporaryDirectory() as name:
        file, folder = Path(name, "graph.onnx"), Path(name, "artifact")
        folder.mkdir()
        file.write_bytes(small_graph())
        prepare_upload(file, folder, NAMES, quantise=False)
        return cast(Ranker, trainer.model.load(folder))


def small_golden() -> list[dict[str, float]]:
    return [dict.fromkeys(NAMES, 0.0), {"price": 1.5, "age": -0.3, "visits": 2.0}]


def states_its_facts(trainer: type[Trainer]) -> None:
    """The class says what it is, and that it is for uploads."""
    assert trainer.family == "ranking"
    assert trainer.description
    assert trainer.uploads_only  # type: ignore[attr-defined]


def refuses_to_train(trainer: type[Trainer]) -> None:
    """With a sentence that says what to do instead."""
    try:
        trainer(trainer.Params(), 1).fit(None, silent)
    except Refused as error:
        told = error.message
    else:
        told = ""
    assert "upload" in told


def scores_named_rows(trainer: type[Trainer]) -> None:
    """The same as a matrix in the order of its names; unknown names are ignored, missing ones take the default."""
    model = small_model(trainer)
    assert isinstance(model, RowScorer)
    assert model.feature_names == NAMES
    values = np.random.default_rng(4).normal(size=(5, 3)).astype(np.float32)
    named: list[dict[str, Any]] = [dict(zip(NAMES, map(float, row), strict=True), other=1.0) for row in values]
    np.testing.assert_allclose(model.score_rows(named), model.score(values), rtol=1e-6)
    np.testing.assert_allclose(model.score_rows([{}]), model.score(np.zeros((1, 3), dtype=np.float32)), rtol=1e-6)
    assert model.score_rows([]) == []


def refuses_what_is_not_a_number(trainer: type[Trainer]) -> None:
    """The message names the feature."""
    model = small_model(trainer)
    for value in ("many", float("inf"), [1.0]):
        try:
            model.score_rows([{"price": value}])
        except Invalid as error:
            told = error.message
        else:
            told = ""
        assert "price" in told, f"{value!r} was scored"


def loads_what_it_saved(trainer: type[Trainer]) -> None:
    """The same answers after save and load, from plain data files."""
    model = small_model(trainer)
    again = cast(Ranker, saved_and_loaded(model))
    assert again.feature_names == model.feature_names
    assert again.score_rows(small_golden()) == model.score_rows(small_golden())


def answers_many_threads(trainer: type[Trainer]) -> None:
    """Scoring at the same time from several threads gives what one thread gives."""
    model = small_model(trainer)
    parts = [np.random.default_rng(seed).normal(size=(50, 3)).astype(np.float32) for seed in range(16)]
    assert not differing_in_threads(model.score, parts)


CHECKS: tuple[Callable[[type[Trainer]], None], ...] = (
    states_its_facts,
    refuses_to_train,
    scores_named_rows,
    refuses_what_is_not_a_number,
    loads_what_it_saved,
    answers_many_threads,
)
