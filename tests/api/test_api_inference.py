"""Open Inference Protocol V2 and KServe V1 over HTTP, against what their texts require."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import wiretoys
from api_server import Running

ROW = {"price": 1.0, "age": 2.0, "ctr": 3.0}  # 321
SORTED = [2.0, 3.0, 1.0]  # age, ctr, price

# What the protocol's text requires of each answer: field -> JSON type.
TENSOR = {"name": str, "shape": list, "datatype": str, "data": list}
TENSOR_METADATA = {"name": str, "datatype": str, "shape": list}
INFER_ANSWER = {"model_name": str, "model_version": str, "outputs": list}
MODEL_METADATA = {"name": str, "versions": list, "platform": str, "inputs": list, "outputs": list}
SERVER_METADATA = {"name": str, "version": str, "extensions": list}


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with wiretoys.served(tmp_path_factory.mktemp("wire"), enabled_models=",".join(wiretoys.MODELS)) as running:
        yield running


def conforms(body: dict[str, Any], required: dict[str, type]) -> None:
    for name, kind in required.items():
        assert isinstance(body[name], kind), (name, body)


def tensor(name: str = "input0", shape: Any = (1, 3), datatype: str = "FP64", data: Any = SORTED) -> dict[str, Any]:
    return {"name": name, "shape": list(shape), "datatype": datatype, "data": data}


def infer(wire: Running, *inputs: dict[str, Any], model: str = "xgb", **more: Any) -> httpx.Response:
    return wire.http.post(f"/v2/models/{model}/infer", json={"inputs": list(inputs), **more})


def outputs(answer: httpx.Response) -> dict[str, Any]:
    assert answer.status_code == 200, answer.text
    body = answer.json()
    conforms(body, INFER_ANSWER)
    for one in body["outputs"]:
        conforms(one, TENSOR)
    return {one["name"]: (one["datatype"], one["shape"], one["data"]) for one in body["outputs"]}


@pytest.mark.parametrize("data", [[*SORTED, 0, 0, 4], [SORTED, [0, 0, 4]]])
def test_a_matrix_has_the_features_sorted_by_name_flat_or_nested(wire: Running, data: list[Any]) -> None:
    assert outputs(infer(wire, tensor(shape=(2, 3), data=data))) == {"output0": ("FP64", [2], [321.0, 4.0])}


@pytest.mark.parametrize("datatype", ["FP16", "FP32", "FP64", "INT64", "INT8", "UINT16"])
def test_whole_numbers_fit_into_every_number_type(wire: Running, datatype: str) -> None:
    answer = infer(wire, tensor(datatype=datatype, data=[2, 3, 1]))
    assert outputs(answer)["output0"][2] == [321.0]


def test_yes_and_no_are_numbers_too(wire: Running) -> None:
    assert outputs(infer(wire, tensor(datatype="BOOL", data=[True, False, True])))["output0"][2] == [11.0]


def test_rows_may_be_json_in_a_bytes_tensor(wire: Running) -> None:
    rows = tensor("features", [2], "BYTES", [json.dumps(ROW), '{"price": 4}'])
    assert outputs(infer(wire, rows))["output0"][2] == [321.0, 4.0]


def test_one_tensor_a_feature(wire: Running) -> None:
    columns = [
        tensor("price", [2], data=[1, 4]),
        tensor("ctr", [2, 1], "INT32", [[3], [0]]),
        tensor("age", [2], data=[2, 0]),
    ]
    assert outputs(infer(wire, *columns))["output0"][2] == [321.0, 4.0]
    assert outputs(infer(wire, tensor("price", [1], data=[7])))["output0"][2] == [7.0]


def test_vectors_tasks_and_lists_as_tensors(wire: Running) -> None:
    two = tensor(shape=(2, 3), data=SORTED * 2)
    assert outputs(infer(wire, two, model="user_tower")) == {
        "output0": ("FP64", [2, 3], [321.0, 0.5, -1.0, 321.0, 0.5, -1.0])
    }
    assert outputs(infer(wire, tensor(), model="user_tower"))["output0"][1] == [1, 3]
    tasks = outputs(infer(wire, two, model="mmoe"))
    assert tasks["ctr"] == ("FP64", [2], [321.0, 321.0])
    assert list(tasks) == ["ctr", "watch_time", "gmv"]
    asked = tensor("features", [2], "BYTES", ['{"user_id":"u5","top_k":2}', '{"user_id":"stranger"}'])
    assert outputs(infer(wire, asked, model="graph_recall")) == {"output0": ("BYTES", [2], ['["u6","u7"]', "[]"])}


def test_id_comes_back_versions_are_told_and_outputs_chosen(wire: Running) -> None:
    body = {
        "id": "42",
        "parameters": {"note": "ignored"},
        "inputs": [tensor()],
        "outputs": [{"name": "gmv"}, {"name": "ctr"}],
    }
    answer = wire.http.post("/v2/models/mmoe/versions/v1/infer", json=body)
    assert answer.json()["id"] == "42"
    assert (answer.json()["model_name"], answer.json()["model_version"]) == ("mmoe", "1")
    assert answer.headers["x-model-version"] == "v1"
    assert [one["name"] for one in answer.json()["outputs"]] == ["gmv", "ctr"]
    assert "id" not in infer(wire, tensor()).json()
    for path in ("/v2/models/xgb/versions/2/infer", "/v2/models/xgb@candidate/infer"):
        second = wire.http.post(path, json={"inputs": [tensor()]}).json()
        assert (second["model_name"], second["model_version"]) == ("xgb", "2")


def test_a_wish_for_binary_outputs_is_answered_in_json(wire: Running) -> None:
    answer = infer(wire, tensor(), parameters={"binary_data_output": True})
    assert outputs(answer)["output0"][2] == [321.0]


BAD_TENSORS: list[list[dict[str, Any]]] = [
    [tensor(shape=(1, 2), data=[1, 2])],
    [tensor(shape=(2, 3))],
    [tensor(shape=(3,))],
    [tensor(shape=(1, 3, 1))],
    [tensor(shape=(0, 3), data=[])],
    [tensor(shape=(10**15, 0), data=[])],
    [tensor(shape=(10**15, 3))],
    [tensor(shape=(1, 3), data=[[1, 2]])],
    [tensor(shape=(1, 3), data=[SORTED, SORTED])],
    [tensor(shape=(1, 3), data=[[1, [2], 3]])],
    [tensor(datatype="FP128")],
    [tensor(datatype="fp64")],
    [tensor(datatype="BYTES", data=["a", "b", "c"])],
    [tensor(datatype="INT64")],
    [tensor(datatype="INT8", data=[1, 2, 128])],
    [tensor(datatype="UINT8", data=[1, 2, -1])],
    [tensor(datatype="FP64", data=[1, 2, "3"])],
    [tensor(datatype="FP64", data=[1, 2, None])],
    [tensor(datatype="FP64", data=[1, 2, True])],
    [tensor("features", [1], "BYTES", ["not json"])],
    [tensor("features", [1], "BYTES", ["[1]"])],
    [tensor("features", [1], "BYTES", ['{"a":' * 40 + "1" + "}" * 40])],
    [tensor("features", [2], "BYTES", ["{}"])],
    [tensor("price", [1], "BYTES", ["ten"])],
    [tensor("prize", [1], data=[1])],
    [tensor("price", [1], data=[1]), tensor("age", [2], data=[1, 2])],
    [tensor("price", [1], data=[1]), tensor("price", [1], data=[2])],
    [tensor("price", [10_001], data=[1] * 10_001)],
    [tensor(shape=(10_001, 3), data=[1] * 30_003)],
    [{"name": "input0", "shape": [1, 3], "datatype": "FP64"}],
    [{"name": "input0", "shape": [1, 3], "datatype": "FP64", "parameters": {"binary_data_size": 24}}],
]


@pytest.mark.parametrize("inputs", BAD_TENSORS, ids=lambda inputs: json.dumps(inputs)[:80])
def test_what_is_no_tensor_of_this_model_is_400(wire: Running, inputs: list[dict[str, Any]]) -> None:
    refused(infer(wire, *inputs), 400)


def refused(answer: httpx.Response, status: int, code: str | None = None) -> None:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert body["error"] == body["detail"] != ""
    assert body["request_id"] == answer.headers["x-request-id"]
    assert code is None or body["code"] == code


V2, V1 = "/v2/models/xgb/infer", "/v1/models/xgb:predict"
GOOD_V2, GOOD_V1 = {"inputs": [tensor()]}, {"instances": [ROW]}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/v2/models/nothing/infer", GOOD_V2, 404, None),
        ("/v2/models/xgb/versions/9/infer", GOOD_V2, 404, "unknown_version"),
        ("/v2/models/xgb@nobody/infer", GOOD_V2, 404, "unknown_version"),
        ("/v2/models/..%2Fxgb/infer", GOOD_V2, 404, "unknown_path"),
        ("/v2/models/%2e%2e/infer", GOOD_V2, 422, "bad_name"),
        ("/v2/models/xgb%00/infer", GOOD_V2, 422, "bad_name"),
        ("/v2/models/dumb/infer", GOOD_V2, 400, "not_a_row_scorer"),
        ("/v2/models/graph_recall/infer", GOOD_V2, 400, "bad_tensor"),
        (V2, {"inputs": []}, 422, "wrong_value"),
        (V2, {}, 422, "wrong_value"),
        (V2, {"inputs": [tensor(shape=(-1, 3))]}, 422, "wrong_value"),
        (V2, {"inputs": [tensor(shape=())]}, 422, "wrong_value"),
        (V2, {**GOOD_V2, "outputs": [{"name": "nothing"}]}, 400, "bad_tensor"),
        (V2, b"{", 422, "not_json"),
        (V2, b'{"inputs":[{"name":"input0","shape":[1,3],"datatype":"FP64","data":[NaN,1,2]}]}', 422, "not_json"),
        (V2, b"[" * 40 + b"]" * 40, 422, "too_deep"),
        ("/v1/models/nothing:predict", GOOD_V1, 404, None),
        ("/v1/models/..%2Fxgb:predict", GOOD_V1, 404, "unknown_path"),
        ("/v1/models/XGB:predict", GOOD_V1, 422, "bad_name"),
        (V1, {}, 422, "wrong_value"),
        (V1, {"instances": []}, 400, "empty_data"),
        (V1, {"instances": [[1, 2]]}, 400, "bad_instance"),
        (V1, {"instances": [1]}, 422, "wrong_value"),
        (V1, {"instances": [{"price": "ten"}]}, 400, "not_a_number"),
        (V1, {"instances": [{}] * 10_001}, 422, "wrong_value"),
    ],
)  # fmt: skip
def test_what_is_refused_says_why(wire: Running, path: str, body: Any, status: int, code: str | None) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    refused(wire.http.post(path, headers={"content-type": "application/json"}, **sent), status, code)


@pytest.mark.parametrize("path", [V2, V1])
def test_another_content_type_and_binary_tensors_are_refused(wire: Running, path: str) -> None:
    refused(wire.http.post(path, content=b"{}", headers={"content-type": "application/octet-stream"}), 415)
    if path == V2:
        headers = {"inference-header-content-length": "10"}
        refused(wire.http.post(path, content=b"{}\x00\x01", headers=headers), 400, "binary_data")


def test_the_server_tells_what_it_is_and_that_it_is_ready(wire: Running) -> None:
    conforms(wire.http.get("/v2").json(), SERVER_METADATA)
    assert wire.http.get("/v2/health/live").json() == {"live": True}
    assert wire.http.get("/v2/health/ready").json() == {"ready": True, "live": True}


def test_a_server_without_models_is_live_and_not_ready(live: Running) -> None:
    assert live.http.get("/v2/health/live").status_code == 200
    assert live.http.get("/v2/health/ready").status_code == 503
    assert live.http.get("/v2/health/ready").json()["ready"] is False
    assert live.http.get("/v1/models").json() == {"models": []}


@pytest.mark.parametrize("path", ["/v2/models/xgb", "/v2/models/xgb/versions/2", "/v2/models/xgb@candidate"])
def test_model_metadata_names_tensors_and_columns(wire: Running, path: str) -> None:
    body = wire.http.get(path).json()
    conforms(body, MODEL_METADATA)
    (given,), (told,) = body["inputs"], body["outputs"]
    conforms(given, TENSOR_METADATA)
    conforms(told, TENSOR_METADATA)
    assert (body["name"], body["versions"], body["platform"]) == ("xgb", ["2", "1"], "shopkeeper_wire_number")
    assert (given["name"], given["shape"]) == ("input0", [-1, 3])
    assert given["parameters"] == {"columns": "age,ctr,price"}
    assert (told["name"], told["datatype"], told["shape"]) == ("output0", "FP64", [-1])


def test_looking_at_a_version_loads_nothing(wire: Running) -> None:
    version = wiretoys.add_version(wire.shop.registry, wire.shop.home.path / "made", "mmoe", 3.0).version
    assert len(wire.http.get(f"/v2/models/mmoe/versions/{version}").json()["outputs"]) == 3
    assert wire.http.get(f"/v2/models/mmoe/versions/{version}/ready").status_code == 200
    assert wire.shop.serving.peek("mmoe", str(version)) is None
    wire.shop.registry.mark(wire.shop.registry.version("mmoe", version), "broken")
    broken = wire.http.get(f"/v2/models/mmoe/versions/{version}/ready")
    assert (broken.status_code, broken.json()) == (503, {"name": "mmoe", "ready": False})
    refused(wire.http.get("/v2/models/dumb"), 400, "not_a_row_scorer")


def test_metadata_fits_what_is_answered(wire: Running) -> None:
    shapes = {
        "user_tower": [("output0", "FP64", [-1, 3])],
        "mmoe": [(name, "FP64", [-1]) for name in ("ctr", "watch_time", "gmv")],
        "graph_recall": [("output0", "BYTES", [-1])],
    }
    for model, expected in shapes.items():
        body = wire.http.get(f"/v2/models/{model}").json()
        assert [(one["name"], one["datatype"], one["shape"]) for one in body["outputs"]] == expected
    (features,) = wire.http.get("/v2/models/graph_recall").json()["inputs"]
    assert (features["name"], features["datatype"], features["shape"]) == ("features", "BYTES", [-1])


def test_model_readiness(wire: Running) -> None:
    assert wire.http.get("/v2/models/xgb/ready").json() == {"name": "xgb", "ready": True}
    for version in (1, 2):  # the second one is loaded when it is asked
        assert wire.http.get(f"/v2/models/xgb/versions/{version}/ready").status_code == 200
    for path in (
        "/v2/models/nothing/ready",
        "/v2/models/xgb/versions/9/ready",
        "/v2/models/nothing",
        "/v1/models/nothing",
    ):
        refused(wire.http.get(path), 404)


def test_v1_takes_objects_or_lists_and_never_flattens(wire: Running) -> None:
    assert wire.http.post(V1, json=GOOD_V1).json() == {"predictions": [321.0]}
    assert wire.http.post(V1, json={"inputs": [ROW, {}]}).json() == {"predictions": [321.0, 0.0]}
    assert wire.http.post(V1, json={"instances": [SORTED, ROW]}).json() == {"predictions": [321.0, 321.0]}
    answer = wire.http.post("/v1/models/user_tower:predict", json=GOOD_V1)
    assert answer.json() == {"predictions": [[321.0, 0.5, -1.0]]}
    assert answer.headers["x-model-version"] == "v1"
    assert wire.http.get("/v1/models").json() == {"models": sorted(set(wiretoys.MODELS) - {"dumb"})}
    assert wire.http.get("/v1/models/xgb").json() == {"name": "xgb", "ready": True}
