"""The prediction wire as older clients know it: shapes, one row, versions, codes, keys, headers."""

from __future__ import annotations

import base64
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import wiretoys
from api_server import Running

KEY = "a-key-that-nobody-guesses"
ROW = {"price": 1.0, "age": 2.0, "ctr": 3.0}  # 321


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with wiretoys.served(tmp_path_factory.mktemp("wire")) as running:
        yield running


@pytest.fixture(scope="module")
def locked_wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with wiretoys.served(tmp_path_factory.mktemp("locked-wire"), api_key=KEY, enabled_models="xgb, mmoe") as running:
        yield running


def post(wire: Running, path: str, body: Any, **more: Any) -> Any:
    answer = wire.http.post(path, json=body, **more)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_numbers_come_one_a_row_in_the_order_of_the_rows(wire: Running) -> None:
    rows = [{"price": 1.0}, ROW, {}]
    assert post(wire, "/predictions/xgb", {"data": rows}) == {"predictions": [1.0, 321.0, 0.0]}
    assert post(wire, "/predictions/xgb", {"data": [ROW]}) == {"predictions": [321.0]}


def test_named_numbers_stay_objects_whether_one_row_or_two(wire: Running) -> None:
    one = {"ctr": 321.0, "watch_time": 2.0, "gmv": 3.0}
    assert post(wire, "/predictions/mmoe", {"data": [ROW]}) == {"predictions": [one]}
    assert post(wire, "/predictions/mmoe", {"data": [ROW, ROW]}) == {"predictions": [one, one]}


def test_the_vector_of_exactly_one_row_is_flat_unless_strict(wire: Running) -> None:
    vector = [321.0, 0.5, -1.0]
    assert post(wire, "/predictions/user_tower", {"data": [ROW]}) == {"predictions": vector}
    assert post(wire, "/predictions/user_tower/1", {"data": [ROW]}) == {"predictions": vector}
    assert post(wire, "/predictions/user_tower", {"data": [ROW, ROW]}) == {"predictions": [vector, vector]}
    for yes in ("true", "1", "True"):
        assert post(wire, f"/predictions/user_tower?strict={yes}", {"data": [ROW]}) == {"predictions": [vector]}
    assert post(wire, "/predictions/user_tower?strict=false", {"data": [ROW]}) == {"predictions": vector}


def test_lists_of_ids_are_never_flat(wire: Running) -> None:
    rows = [{"user_id": "u5", "top_k": 2}]
    assert post(wire, "/predictions/graph_recall", {"data": rows}) == {"predictions": [["u6", "u7"]]}
    assert post(wire, "/predictions/graph_recall", {"data": [{"user_id": "stranger"}]}) == {"predictions": [[]]}
    assert len(post(wire, "/predictions/graph_recall", {"data": [{"user_id": "u1"}]})["predictions"][0]) == 20
    assert (
        len(post(wire, "/predictions/graph_recall", {"data": [{"user_id": "u1", "top_k": 900}]})["predictions"][0])
        == 500
    )


@pytest.mark.parametrize("path", ["/predictions/xgb/2", "/predictions/xgb/v2", "/predictions/xgb?version=2",
                                  "/predictions/xgb?version=v2", "/predictions/xgb@candidate"])  # fmt: skip
def test_a_version_is_named_in_path_query_or_name(wire: Running, path: str) -> None:
    answer = wire.http.post(path, json={"data": [ROW]})
    assert answer.json() == {"predictions": [642.0]}
    assert answer.headers["x-model-version"] == "v2"
    assert wire.http.post("/predictions/xgb?version=", json={"data": [ROW]}).headers["x-model-version"] == "v1"


@pytest.mark.parametrize("field", ["data", "features_list"])
def test_the_older_form_answers_scores_and_predictions_alike(wire: Running, field: str) -> None:
    answer = wire.http.post("/predict", json={field: [ROW, {}]})
    assert answer.json() == {"predictions": [321.0, 0.0], "scores": [321.0, 0.0]}
    assert answer.headers["x-model-version"] == "v1"


def test_the_older_form_prefers_data_and_names_the_list_of_several_tasks(wire: Running) -> None:
    assert post(wire, "/predict?model=xgb", {"data": [ROW], "features_list": [{}]})["scores"] == [321.0]
    tasks = {"ctr": 321.0, "watch_time": 2.0, "gmv": 3.0}
    assert post(wire, "/predict?model=mmoe", {"data": [ROW]}) == {"predictions": [tasks], "scores_list": [tasks]}
    assert post(wire, "/predict?model=user_tower", {"data": [ROW]})["predictions"] == [321.0, 0.5, -1.0]
    assert post(wire, "/predict?model=user_tower&strict=true", {"data": [ROW]})["scores"] == [[321.0, 0.5, -1.0]]


DEEP = b'{"data":[' + b'{"a":' * 40 + b"1" + b"}" * 40 + b"]}"
MANY = b'{"data":[' + b"{}," * 10_000 + b"{}]}"


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/predictions/nothing", {"data": [ROW]}, 404, "unknown_model"),
        ("/predictions/xgb/9", {"data": [ROW]}, 404, "unknown_version"),
        ("/predictions/xgb@nobody", {"data": [ROW]}, 404, "unknown_version"),
        ("/predictions/XGB", {"data": [ROW]}, 422, "bad_name"),
        ("/predictions/..%2Fsecret", {"data": [ROW]}, 422, "bad_name"),
        ("/predictions/%2e%2e%2f%2e%2e%2fetc%2fpasswd", {"data": [ROW]}, 404, None),
        ("/predictions/xgb%00", {"data": [ROW]}, 422, "bad_name"),
        ("/predictions/xgb", {"data": []}, 400, "empty_data"),
        ("/predictions/xgb", {"data": [{"price": "ten"}]}, 400, "not_a_number"),
        ("/predictions/dumb", {"data": [ROW]}, 400, "not_a_row_scorer"),
        ("/predictions/xgb", {}, 422, "wrong_value"),
        ("/predictions/xgb", {"data": ROW}, 422, "wrong_value"),
        ("/predictions/xgb", {"data": [[1, 2]]}, 422, "wrong_value"),
        ("/predictions/xgb", b"{", 422, "not_json"),
        ("/predictions/xgb", b"", 422, "no_body"),
        ("/predictions/xgb", b'{"data":[{"price":NaN}]}', 422, "not_json"),
        ("/predictions/xgb", b'{"data":[{"price":1e999}]}', 422, "wrong_value"),
        ("/predictions/xgb", DEEP, 422, "too_deep"),
        ("/predictions/xgb", MANY, 422, "wrong_value"),
        ("/predictions/broken", {"data": [{"price": 13}]}, 500, "bad_output"),
        ("/predictions/broken", {"data": [{"price": 15}]}, 500, "bad_output"),
        ("/predictions/broken", {"data": [{"price": 14}]}, 500, "model_failed"),
        ("/predict?model=nothing", {"data": [ROW]}, 404, "unknown_model"),
        ("/predict", {}, 422, "wrong_value"),
        ("/predict", {"data": []}, 400, "empty_data"),
    ],
)
def test_what_is_refused_says_why(wire: Running, path: str, body: Any, status: int, code: str | None) -> None:
    sent = {"content": body} if isinstance(body, bytes) else {"json": body}
    answer = wire.http.post(path, headers={"content-type": "application/json", "x-request-id": "mine"}, **sent)
    assert answer.status_code == status, answer.text
    told = answer.json()
    assert told["detail"]
    assert told["request_id"] == answer.headers["x-request-id"] == "mine"
    assert code is None or told["code"] == code
    assert "secret_inside" not in answer.text


def test_of_two_fields_with_one_name_the_last_is_read(wire: Running) -> None:
    body = b'{"data":[{"price":1,"price":5}],"data":[{"price":7}]}'
    assert wire.http.post("/predictions/xgb", content=body).json() == {"predictions": [7.0]}


def test_another_content_type_is_415(wire: Running) -> None:
    assert wire.http.post("/predictions/xgb", data={"data": "1"}).status_code == 415


def test_a_client_that_goes_away_in_the_middle_of_its_body_harms_nobody(wire: Running) -> None:
    host, port = wire.url.removeprefix("http://").split(":")
    for path in (b"/predictions/xgb", b"/v2/models/xgb/infer", b"/v1/models/xgb:predict"):
        with socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST %s HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n{" % path)
    assert post(wire, "/predictions/xgb", {"data": [ROW]}) == {"predictions": [321.0]}


def test_without_a_champion_a_model_answers_503(wire: Running) -> None:
    wiretoys.add_version(wire.shop.registry, wire.shop.home.path / "made", "fresh")
    answer = wire.http.post("/predictions/fresh", json={"data": [ROW]})
    assert (answer.status_code, answer.json()["code"]) == (503, "not_loaded")
    assert answer.headers["retry-after"]
    assert post(wire, "/predictions/fresh/1", {"data": [ROW]}) == {"predictions": [321.0]}
    assert wire.http.get("/v2/models/fresh/ready").json() == {"name": "fresh", "ready": False}
    assert wire.http.get("/v2/models/fresh/ready").status_code == 503
    assert wire.http.get("/v1/models/fresh").json() == {"name": "fresh", "ready": False}


def test_ping_health_and_front_with_and_without_a_model(wire: Running, live: Running) -> None:
    assert wire.http.get("/ping").json() == {"status": "Healthy"}
    health = wire.http.get("/health").json()
    assert (health["status"], health["model_loaded"]) == ("healthy", True)
    front = wire.http.get("/").json()
    assert {"service", "status", "model_loaded", "model_version", "feature_count", "models"} <= front.keys()
    assert {"xgb", "mmoe"} <= set(front["models"])
    assert (front["model_loaded"], front["model_version"], front["feature_count"]) == (True, "v1", 3)
    assert live.http.get("/ping").status_code == 503


def test_reload_tells_versions_and_count(wire: Running) -> None:
    told = post(wire, "/reload?model=xgb", None)
    assert {"status", "message", "old_version", "new_version", "feature_count"} <= told.keys()
    assert (told["status"], told["old_version"], told["new_version"], told["feature_count"]) == (
        "success",
        "v1",
        "v1",
        3,
    )


def key_headers() -> list[dict[str, str]]:
    basic = base64.b64encode(f"anybody:{KEY}".encode()).decode()
    return [{"x-api-key": KEY}, {"authorization": f"Bearer {KEY}"}, {"authorization": f"Basic {basic}"}]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/predictions/xgb", {"data": [ROW]}),
        ("/predict", {"data": [ROW]}),
        ("/reload", None),
        ("/v1/models/xgb:predict", {"instances": [ROW]}),
        (
            "/v2/models/xgb/infer",
            {"inputs": [{"name": "input0", "shape": [1, 3], "datatype": "FP64", "data": [1, 2, 3]}]},
        ),
    ],
)
def test_a_key_is_asked_for_and_may_come_in_three_ways(locked_wire: Running, path: str, body: Any) -> None:
    assert locked_wire.http.post(path, json=body).status_code == 401
    assert locked_wire.http.post(path, json=body, headers={"x-api-key": "wrong"}).status_code == 401
    for headers in key_headers():
        assert locked_wire.http.post(path, json=body, headers=headers).status_code == 200


def test_only_enabled_models_are_asked_and_needed(locked_wire: Running) -> None:
    headers = {"x-api-key": KEY}
    for path in ("/predictions/user_tower", "/v1/models/user_tower:predict"):
        answer = locked_wire.http.post(path, json={"data": [ROW], "instances": [ROW]}, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_enabled")
    assert locked_wire.http.get("/v2/models/user_tower").status_code == 404
    assert locked_wire.http.get("/v1/models").json() == {"models": ["mmoe", "xgb"]}
    assert locked_wire.http.get("/readyz").json() == {"ready": True, "reasons": []}


def test_the_go_clients_bodies_are_answered_as_it_decodes_them(locked_wire: Running) -> None:
    """It sends `?version=`, takes `predictions`, `prediction` or a bare list, and fails when the count differs."""
    headers = key_headers()[2]
    rows = [ROW, {"price": 2, "age": 0, "ctr": 0}]
    answer = locked_wire.http.post("/predictions/xgb?version=1", json={"data": rows}, headers=headers)
    assert decoded(answer, len(rows)) == [321.0, 2.0]
    columns = sorted(ROW)
    flat = [row[name] for row in rows for name in columns]
    tensor = {"name": "input0", "shape": [len(rows), len(columns)], "datatype": "FP64", "data": flat}
    answer = locked_wire.http.post("/v2/models/xgb/infer", json={"inputs": [tensor]}, headers=headers)
    assert answer.json()["outputs"][0]["data"] == [321.0, 2.0]
    features = {"name": "features", "shape": [2], "datatype": "BYTES", "data": [wire_text(row) for row in rows]}
    answer = locked_wire.http.post("/v2/models/xgb/versions/1/infer", json={"inputs": [features]}, headers=headers)
    assert answer.json()["outputs"][0]["data"] == [321.0, 2.0]
    for path in ("/v2/health/ready", "/v2/models/xgb/ready", "/ping"):
        assert locked_wire.http.get(path).status_code == 200, path


def decoded(answer: httpx.Response, count: int) -> list[Any]:
    body = answer.json()
    found = body if isinstance(body, list) else body.get("predictions", body.get("prediction"))
    assert len(found) == count
    return found


def wire_text(row: dict[str, Any]) -> str:
    import json

    return json.dumps(row)
