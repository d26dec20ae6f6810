"""Files for older servers, and graphs that other programs made: what goes out and comes in beside archives."""

from __future__ import annotations

import io
import json
import pickle
import tarfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from api_server import Running, serving
from onnx import TensorProto, helper

V1 = "/api/v1/models"
UPLOAD = "/api/v1/model-registry/models/upload"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With two trained versions of xgb, the second on scaled values, and one of an algorithm without older files."""
    home = tmp_path_factory.mktemp("legacy")
    table = home / "rows.csv"
    drawn = np.random.default_rng(3).normal(size=(600, 3)).round(3)
    lines = [f"{a},{b},{c},{int(a + b > 0)}" for a, b, c in drawn]
    table.write_text("\n".join(["age,price,stock,bought", *lines]))
    with serving(home) as running:
        source = {"kind": "file", "path": str(table), "label": "bought"}
        for params in ({"trees": 5}, {"trees": 5, "normalize": True}):
            trained = running.shop.releases.train("xgb", "xgb", params=params, source=source)
            assert running.shop.jobs.wait(trained.job_id, 120).status == "done"
        popular = running.shop.releases.train("popularity", "popularity")
        running.shop.jobs.wait(popular.job_id, 120)
        yield running


def legacy(shop: Running, version: int) -> dict[str, bytes]:
    answer = shop.http.get(f"{V1}/xgb/versions/{version}/export", params={"format": "legacy"})
    assert answer.status_code == 200, answer.text
    assert f'filename="model-{version}.tar.gz"' in answer.headers["content-disposition"]
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        return {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]


def served(shop: Running, version: int, rows: list[list[float]]) -> list[float]:
    named = [dict(zip(("age", "price", "stock"), row, strict=True)) for row in rows]
    return shop.http.post(f"/predictions/xgb/{version}", json={"data": named}).json()["predictions"]


@pytest.mark.parametrize("version", [1, 2])
def test_an_older_server_would_answer_the_same(shop: Running, version: int) -> None:
    """Read as one does: the JSON model, the columns, and the scaler where there is one."""
    import xgboost

    files = legacy(shop, version)
    meta = json.loads(files["feature_meta.json"])
    assert meta["feature_columns"] == ["age", "price", "stock"]
    assert (meta["feature_count"], meta["label_column"], meta["normalized"]) == (3, "bought", version == 2)
    assert set(meta) == {
        "feature_columns", "feature_count", "label_column", "model_version", "normalized", "created_at",
    }  # fmt: skip
    assert ("feature_scaler.json" in files) == (version == 2)
    rows = [[0.5, -1.0, 2.0], [-0.2, 0.4, 0.0]]
    values = np.array(rows, dtype=np.float32)
    if version == 2:
        scaler = json.loads(files["feature_scaler.json"])
        named = [scaler[name] for name in meta["feature_columns"]]
        values = (values - [one["mean"] for one in named]) / [one["std"] for one in named]
    booster = xgboost.Booster()
    booster.load_model(bytearray(files["xgb_model.json"]))
    assert booster.inplace_predict(values).tolist() == pytest.approx(served(shop, version, rows), abs=1e-5)


def test_algorithms_without_older_files(shop: Running) -> None:
    answer = shop.http.get(f"{V1}/popularity/versions/1/export", params={"format": "legacy"})
    assert (answer.status_code, answer.json()["code"]) == (422, "no_legacy_form")
    assert {"xgb", "sasrec"} <= set(answer.json()["detail"].partition("these have: ")[2].split(", "))


def graph(path: Path, width: int = 2) -> bytes:
    """y = sigmoid(x . w)"""
    weights = helper.make_tensor("w", TensorProto.FLOAT, [width, 1], [1.0] * width)
    nodes = [helper.make_node("MatMul", ["x", "w"], ["z"]), helper.make_node("Sigmoid", ["z"], ["y"])]
    made = helper.make_graph(
        nodes, "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", width])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 1])],
        [weights],
    )  # fmt: skip
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path.read_bytes()


def send(shop: Running, content: bytes, filename: str = "m.onnx", **fields: str):
    return shop.http.post(UPLOAD, files={"file": (filename, content)}, data=fields)


def test_a_graph_becomes_a_version(shop: Running, tmp_path: Path) -> None:
    taken = send(shop, graph(tmp_path / "m.onnx"), name="clicks", version="summer", feature_names="age, price")
    assert taken.status_code == 200, taken.text
    version = taken.json()["version"]
    assert (version["algorithm"], version["feature_names"], version["label"]) == ("onnx", ["age", "price"], "summer")
    assert version["gate"]["verdict"] == "HOLD"
    assert shop.http.post(f"{V1}/clicks/promote", json={"version": 1, "force": True}).status_code == 200
    answer = shop.http.post("/predictions/clicks", json={"data": [{"age": 1.0, "price": -1.0}, {"age": 0.0}]})
    assert answer.json()["predictions"] == pytest.approx([0.5, 0.5])
    again = send(shop, graph(tmp_path / "m.onnx"), name="clicks", feature_names="age, price")
    assert (again.status_code, again.json()["code"]) == (409, "exists")


def test_graphs_that_are_none(shop: Running, tmp_path: Path) -> None:
    good = graph(tmp_path / "m.onnx")
    cases = {
        "junk": (b"\x08\x07junk", "m.onnx"),
        "pickle": (pickle.dumps({"a": 1}), "m.onnx"),
        "truncated": (good[: len(good) // 2], "m.onnx"),
        "empty": (b"", "m.onnx"),
        "archive": (good, "m.tar.gz"),
    }
    for what, (content, name) in cases.items():
        answer = send(shop, content, name, name="bad")
        assert answer.status_code == 422, (what, answer.text)
    assert send(shop, good, name="bad", feature_names="only_one").status_code == 422
    assert send(shop, good, name="popularity").json()["code"] == "wrong_family"
    assert shop.http.get(f"{V1}/bad").status_code == 404
    assert list((shop.shop.home.artifacts / ".incoming").iterdir()) == []


@pytest.mark.slow
def test_a_net_leaves_its_weights_and_what_its_rows_are(shop: Running) -> None:
    torch = pytest.importorskip("torch")
    table = shop.shop.home.path / "rows.csv"
    params = {"epochs": 2, "batch_size": 128, "hidden": [8], "embedding_dim": 4}
    source = {"kind": "file", "path": str(table), "label": "bought"}
    trained = shop.shop.releases.train("clicks_net", "deepfm", params=params, source=source)
    assert shop.shop.jobs.wait(trained.job_id, 240).status == "done"
    answer = shop.http.get(f"{V1}/clicks_net/versions/1/export", params={"format": "legacy"})
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    assert set(files) == {"deepfm_model.pt", "deepfm_feature_meta.json", "feature_scaler.json"}
    meta = json.loads(files["deepfm_feature_meta.json"])
    assert meta["feature_columns"] == ["age", "price", "stock"]
    assert (meta["label_column"], meta["output"], meta["normalized"]) == ("bought", "number", True)
    weights = torch.load(io.BytesIO(files["deepfm_model.pt"]), weights_only=True)
    assert {name: list(tensor.shape) for name, tensor in weights.items()} == meta["tensors"]
    assert sum(tensor.numel() for tensor in weights.values()) > 50
    assert all(torch.isfinite(tensor).all() for tensor in weights.values())
