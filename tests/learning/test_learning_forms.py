"""Trees as ONNX graphs answer as the library does; graphs in int8 stay close; strangers' graphs are looked at."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import lightgbm
import numpy as np
import onnx
import pytest
import xgboost
from onnx import TensorProto, helper, numpy_helper

from shopkeeper.checks.uploads import small_graph
from shopkeeper.core.errors import Invalid
from shopkeeper.learning.onnx_checking import check_graph
from shopkeeper.learning.onnx_forms import OnnxScorer, int8, tree_graph
from shopkeeper.learning.trees import trees_of_lightgbm, trees_of_xgboost

F = 6


def rows(n: int, gaps: float, seed: int = 0) -> np.ndarray:
    """Normal numbers, a coarse one (many values on a threshold), zeros of both signs, tiny and huge ones."""
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, F)).astype(np.float32)
    values[:, 1] = random.integers(0, 4, n)
    values[:, 2] = random.choice(np.array([0.0, -0.0, 1e-38, -1e-38, 1e30, -1e30], dtype=np.float32), n)
    values[random.random(values.shape) < gaps] = np.nan
    return values


def label(values: np.ndarray) -> np.ndarray:
    known = np.nan_to_num(values, nan=0.3)
    noise = np.random.default_rng(9).normal(size=len(values))
    return (known[:, 0] + 0.5 * known[:, 1] * (known[:, 2] > 0) + noise > 0.5).astype(np.float32)


def xgb(gaps: float, **more) -> xgboost.Booster:
    values = rows(4000, gaps)
    data = xgboost.QuantileDMatrix(values, label(values))
    return xgboost.train({"objective": "binary:logistic", "max_depth": 6, "seed": 1, **more}, data, 60)


def lgbm(gaps: float, **more) -> lightgbm.Booster:
    values = rows(4000, gaps)
    settings = {"objective": "binary", "verbose": -1, "num_leaves": 31, "seed": 1, "deterministic": True, **more}
    categories = settings.pop("categories", [])
    return lightgbm.train(settings, lightgbm.Dataset(values, label(values), categorical_feature=categories), 60)


def on_thresholds(trees, n: int = 2000) -> np.ndarray:
    """Rows whose values are thresholds of the trees, and their next neighbours."""
    random = np.random.default_rng(4)
    values = rows(n, 0.1, seed=5)
    for at in range(F):
        used = trees.threshold[(trees.feature == at) & ~trees.leaf]
        if len(used):
            drawn = random.choice(used, n)
            with np.errstate(over="ignore"):
                near = [drawn, np.nextafter(drawn, np.float32(np.inf)), np.nextafter(drawn, np.float32(-np.inf))]
            values[:, at] = np.nan_to_num(np.choose(random.integers(0, 3, n), near))
    return values


@pytest.mark.parametrize("gaps", [0.0, 0.15])
def test_xgboost_and_its_graph_agree_also_on_thresholds_and_gaps(gaps):
    booster = xgb(gaps)
    trees = trees_of_xgboost(booster)
    form = OnnxScorer(tree_graph(trees, F))
    for asked in (rows(3000, 0.0, 7), rows(3000, 0.3, 8), on_thresholds(trees), np.full((1, F), np.nan, np.float32)):
        assert np.abs(form.score(asked) - booster.inplace_predict(asked, validate_features=False)).max() <= 1e-6


@pytest.mark.parametrize("gaps", [0.0, 0.15])
def test_lightgbm_and_its_graph_agree_also_on_thresholds_and_gaps(gaps):
    booster = lgbm(gaps)
    trees = trees_of_lightgbm(booster)
    form = OnnxScorer(tree_graph(trees, F))
    for asked in (rows(3000, 0.0, 7), rows(3000, 0.3, 8), on_thresholds(trees), np.full((1, F), np.nan, np.float32)):
        assert np.abs(form.score(asked) - booster.predict(asked)).max() <= 1e-6


def test_trees_of_one_leaf_are_a_form_too():
    values = rows(100, 0.0)
    same = np.array([0, 1] * 50, dtype=np.float32)
    booster = xgboost.train(
        {"objective": "binary:logistic", "min_child_weight": 1e9}, xgboost.DMatrix(values, same), num_boost_round=2
    )
    form = OnnxScorer(tree_graph(trees_of_xgboost(booster), F))
    np.testing.assert_allclose(form.score(values), booster.inplace_predict(values), atol=1e-6)


def test_what_has_no_form_is_said():
    with pytest.raises(Invalid, match="categorical splits"):
        trees_of_lightgbm(lgbm(0.0, categories=[1], min_data_per_group=1, cat_smooth=1))
    with pytest.raises(Invalid, match="reg:squarederror"):
        trees_of_xgboost(xgb(0.0, objective="reg:squarederror"))
    with pytest.raises(Invalid, match="regression"):
        trees_of_lightgbm(lgbm(0.0, objective="regression"))
    few = rows(9, 0.0)
    none = xgboost.train({"objective": "binary:logistic"}, xgboost.DMatrix(few, label(few)), 0)
    with pytest.raises(Invalid, match="without trees"):
        trees_of_xgboost(none)


def test_threads_share_a_session():
    form = OnnxScorer(small_graph())
    parts = [np.random.default_rng(k).normal(size=(40, 3)).astype(np.float32) for k in range(32)]
    alone = [form.score(part) for part in parts]
    with ThreadPoolExecutor(8) as pool:
        for one, other in zip(alone, pool.map(form.score, parts), strict=True):
            np.testing.assert_array_equal(one, other)


def test_int8_is_smaller_and_close(tmp_path: Path):
    source, target = tmp_path / "whole.onnx", tmp_path / "small.onnx"
    source.write_bytes(small_graph(features=64, hidden=256))
    samples = np.random.default_rng(0).normal(size=(200, 64)).astype(np.float32)
    difference = int8(source, target, samples)
    assert 0 < difference < 0.1
    assert target.stat().st_size < source.stat().st_size / 2
    assert np.isfinite(OnnxScorer(target.read_bytes()).score(samples)).all()


# -- graphs that others made


def graph(nodes, *, inputs=("n", 3), outputs=("n", 1), weights=(), domains=(), kind=TensorProto.FLOAT) -> bytes:
    made = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("rows", kind, list(inputs))],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, list(outputs))],
        list(weights),
    )
    opsets = [helper.make_opsetid("", 17), *(helper.make_opsetid(domain, 1) for domain in domains)]
    return helper.make_model(made, opset_imports=opsets, ir_version=8).SerializeToString()


def weight(name: str, *shape: int, value: float = 0.5):
    return numpy_helper.from_array(np.full(shape, value, dtype=np.float32), name)


PRODUCT = helper.make_node("MatMul", ["rows", "w"], ["out"])


def test_a_sound_graph_is_described():
    facts = check_graph(small_graph())
    assert (facts.features, facts.operators) == (3, ["Gemm", "Relu", "Sigmoid"])
    assert facts.opsets == {"ai.onnx": 17}
    assert facts.bytes == len(small_graph())


def outside() -> bytes:
    held = weight("w", 3, 1)
    held.data_location = TensorProto.EXTERNAL
    held.ClearField("raw_data")
    for key, value in {"location": "../../etc/passwd", "offset": "0", "length": "12"}.items():
        entry = held.external_data.add()
        entry.key, entry.value = key, value
    return graph([PRODUCT], weights=[held])


def outside_sparse() -> bytes:
    made = onnx.load_model_from_string(graph([PRODUCT]))
    values = weight("w", 2)
    values.data_location = TensorProto.EXTERNAL
    values.ClearField("raw_data")
    values.external_data.add(key="location", value="w.bin")
    places = numpy_helper.from_array(np.array([0, 2]), "places")
    made.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 1]))
    content: bytes = made.SerializeToString()
    return content


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "no valid ONNX"),
        (b"not a graph at all", "no valid ONNX"),
        (b"\x80\x04\x95pickle", "no valid ONNX"),
        (small_graph()[:-40], "no valid ONNX|cannot be run"),
        (graph([helper.make_node("Magic", ["rows"], ["out"], domain="evil")], domains=["evil"]), "operators of 'evil'"),
        (graph([PRODUCT], weights=[weight("w", 3, 2)], outputs=("n", 2)), "outputs for 5 rows"),
        (graph([PRODUCT], weights=[weight("w", 3, 1, value=float("nan"))]), "NaN or infinity"),
        (graph([PRODUCT], inputs=("n", "m"), weights=[weight("w", 3, 1)]), "fixed number of columns"),
        (graph([PRODUCT], inputs=("n", 4), weights=[weight("w", 3, 1)]), "no valid ONNX|cannot be run|fails"),
        (graph([helper.make_node("ReduceMean", ["rows"], ["out"], keepdims=1)], outputs=(1, 1)), "outputs for 5 rows"),
        (graph([helper.make_node("Cast", ["rows"], ["out"], to=1)], kind=TensorProto.INT64), "one float input"),
        (
            graph(
                [
                    helper.make_node("ReduceMean", ["rows"], ["mean"], axes=[0], keepdims=1),
                    helper.make_node("Sub", ["rows", "mean"], ["rest"]),
                    helper.make_node("MatMul", ["rest", "w"], ["out"]),
                ],
                weights=[weight("w", 3, 1)],
            ),
            "depends on the rows beside it",
        ),
        (outside(), "another file|no valid ONNX"),
        (outside_sparse(), "another file|no valid ONNX"),
    ],
)
def test_a_graph_that_cannot_serve_is_refused_with_the_reason(content, told):
    with pytest.raises(Invalid, match=told):
        check_graph(content)


def test_a_loop_is_refused_also_when_it_hides():
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Identity", ["v"], ["w"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("v", TensorProto.FLOAT, ["n", 1]),
        ],
        [
            helper.make_tensor_value_info("on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("w", TensorProto.FLOAT, ["n", 1]),
        ],
    )
    branch = helper.make_graph(
        [helper.make_node("Loop", ["times", "", "rows"], ["b"], body=body)],
        "branch",
        [],
        [helper.make_tensor_value_info("b", TensorProto.FLOAT, ["n", 1])],
    )
    times = numpy_helper.from_array(np.array(10**12), "times")
    yes = numpy_helper.from_array(np.array(True), "yes")
    node = helper.make_node("If", ["yes"], ["out"], then_branch=branch, else_branch=branch)
    with pytest.raises(Invalid, match="holds Loop"):
        check_graph(graph([node], inputs=("n", 1), weights=[times, yes]))
