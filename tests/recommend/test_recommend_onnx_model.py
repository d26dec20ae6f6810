"""Uploaded graphs: what `prepare_upload` writes, names, int8, and the end to end of a version."""

import resource
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest

from shopkeeper import plugins
from shopkeeper.checks.uploads import NAMES, small_graph
from shopkeeper.core.errors import Invalid
from shopkeeper.learning.onnx_checking import MOST_BYTES
from shopkeeper.lifecycle.loading import load_model, write_golden
from shopkeeper.recommend.ranking.onnx_model import GRAPH, OnnxRanker, prepare_upload, probe_rows
from shopkeeper.stores.artifacts import seal


def uploaded(folder: Path, graph: bytes, names: list[str] | None = None, quantise: bool = False) -> tuple[Path, dict]:
    file, target = folder / "upload.onnx", folder / "artifact"
    target.mkdir()
    file.write_bytes(graph)
    return target, prepare_upload(file, target, names, quantise)


def test_an_upload_becomes_an_artifact_that_loads_and_answers(tmp_path: Path) -> None:
    target, facts = uploaded(tmp_path, small_graph(), list(NAMES))
    assert (facts["form"], facts["features"]) == ("float32", 3)
    assert sorted(one.name for one in target.iterdir()) == [GRAPH, "schema.json"]
    model = OnnxRanker.load(target)
    family = plugins.family(plugins.algorithm("onnx").family)
    golden = {"rows": probe_rows(model.feature_names)}
    expected = family.probe(model, golden)
    write_golden(target, golden, expected)
    loaded, _ = load_model("onnx", target, seal(target, {}))
    assert family.probe(loaded, golden) == expected
    assert loaded.score_rows([{"price": 1.0}]) == model.score_rows([{"price": 1.0, "age": 0, "visits": 0}])


def test_without_names_the_columns_are_numbered(tmp_path: Path) -> None:
    target, _ = uploaded(tmp_path, small_graph())
    assert OnnxRanker.load(target).feature_names == ("f0", "f1", "f2")


@pytest.mark.parametrize("names", [["a", "b"], ["a", "b", "b"], ["a", "b", " "], ["a", "b", "c", "d"]])
def test_names_that_do_not_fit_are_refused(names: list[str], tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="takes 3 features"):
        uploaded(tmp_path, small_graph(), names)


def test_a_broken_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid, match="no valid ONNX"):
        uploaded(tmp_path, b"PK\x03\x04 a zip, say")


def test_a_file_that_is_too_large_is_not_even_read(tmp_path: Path) -> None:
    file, target = tmp_path / "upload.onnx", tmp_path / "artifact"
    target.mkdir()
    with file.open("wb") as out:
        out.truncate(MOST_BYTES + 1)
    tracemalloc.start()
    with pytest.raises(Invalid, match="at most"):
        prepare_upload(file, target, None, quantise=False)
    assert tracemalloc.get_traced_memory()[1] < MOST_BYTES // 100
    tracemalloc.stop()


@pytest.mark.parametrize("floats", [600_000_000, 10**13])
def test_a_graph_that_asks_for_gigabytes_is_refused_and_takes_none(floats: int, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(small_graph())
    for node in model.graph.node:
        node.output[:] = ["small" if name == model.graph.output[0].name else name for name in node.output]
    made = onnx.helper.make_node
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array([floats]), "many"))
    one = onnx.numpy_helper.from_array(np.ones(1, np.float32))
    model.graph.node.extend(
        [
            made("ConstantOfShape", ["many"], ["large"], value=one),
            made("ReduceMean", ["large"], ["mean"], keepdims=0),
            made("Add", ["small", "mean"], [model.graph.output[0].name]),
        ]
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(Invalid, match=r"cannot serve|cannot be run") as caught:
        uploaded(tmp_path, model.SerializeToString())
    assert caught.value.code == "bad_graph"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # KiB


def test_int8_is_kept_where_outputs_stay_close(tmp_path: Path) -> None:
    graph = small_graph(features=64, hidden=256)
    target, facts = uploaded(tmp_path, graph, quantise=True)
    assert facts["form"] == "int8"
    assert facts["bytes"] == (target / GRAPH).stat().st_size < len(graph) / 2
    rows = np.random.default_rng(5).normal(size=(100, 64)).astype(np.float32)
    (tmp_path / "plain").mkdir()
    plain, _ = uploaded(tmp_path / "plain", graph)
    difference = np.abs(OnnxRanker.load(target).score(rows) - OnnxRanker.load(plain).score(rows)).max()
    assert 0 < difference < 0.02
    assert facts["int8_max_difference"] < 0.01


def test_int8_that_is_off_is_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopkeeper.recommend.ranking.onnx_model.INT8_TOLERANCE", 1e-9)
    target, facts = uploaded(tmp_path, small_graph(features=64, hidden=256), quantise=True)
    assert facts["form"] == "float32"
    assert facts["int8_max_difference"] > 0
    assert sorted(one.name for one in target.iterdir()) == [GRAPH, "schema.json"]


def test_a_schema_of_another_width_is_refused(tmp_path: Path) -> None:
    target, _ = uploaded(tmp_path, small_graph())
    (target / "schema.json").write_text('[{"name":"only"}]')
    with pytest.raises(Invalid, match="takes 3 features"):
        OnnxRanker.load(target)


def test_rows_of_another_width_are_refused(tmp_path: Path) -> None:
    target, _ = uploaded(tmp_path, small_graph())
    with pytest.raises(Invalid, match=r"expected \(n, 3\)"):
        OnnxRanker.load(target).score(np.zeros((2, 4), dtype=np.float32))
