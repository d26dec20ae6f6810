"""The doors of traffic, shadow and step-by-step releases, over a real server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import wiretoys
from api_server import Running

V1 = "/api/v1/models"
ROW = {"data": [{"price": 3.0}]}


@pytest.fixture
def wire(tmp_path) -> Iterator[Running]:
    with wiretoys.served(tmp_path) as running:
        yield running


def put(wire: Running, variants: list[tuple[int, float]], **more):
    body = {"variants": [{"version": n, "weight": w} for n, w in variants], **more}
    return wire.http.put(f"{V1}/xgb/traffic", json=body, headers=more.pop("headers", {}))


def ask(wire: Running, user: str | None = None, **headers: str):
    if user is not None:
        headers["x-user-id"] = user
    answer = wire.http.post("/predictions/xgb", json=ROW, headers=headers)
    assert answer.status_code == 200, answer.text
    return answer.headers["x-model-version"], answer.json()["predictions"]


def test_a_canary_is_shared_by_person_and_counted(wire: Running) -> None:
    before = wire.http.get(f"{V1}/xgb/traffic")
    assert before.json()["variants"] == [{"version": 1, "weight": 1.0, "served": 0}]
    done = put(wire, [(1, 80), (2, 20)])
    assert done.status_code == 200, done.text
    assert [one["weight"] for one in done.json()["variants"]] == [0.8, 0.2]
    assert done.headers["etag"] != before.headers["etag"]

    people = [f"user-{n}" for n in range(100)]
    first = [ask(wire, person) for person in people]
    assert [ask(wire, person) for person in people] == first
    by_row = wire.http.post("/predictions/xgb", json={"data": [{"price": 3.0, "user_id": people[0]}]})
    assert by_row.headers["x-model-version"] == first[0][0]
    assert {(version, tuple(told)) for version, told in first} == {("v1", (3.0,)), ("v2", (6.0,))}
    served = {one["version"]: one["served"] for one in wire.http.get(f"{V1}/xgb/traffic").json()["variants"]}
    assert sum(served.values()) == 201
    assert 5 < served[2] < 100


def test_a_person_is_the_same_however_the_id_is_sent(wire: Running) -> None:
    put(wire, [(1, 50), (2, 50)])
    for number in range(20):
        rows = {"data": [{"price": 3.0, "user_id": number}]}
        by_row = wire.http.post("/predictions/xgb", json=rows).headers["x-model-version"]
        names = {"features": [3.0, 0.0, 0.0], "model_id": "xgb"}
        by_numbers = wire.http.post(f"{V1}/predict", json=names, headers={"x-user-id": str(number)})
        assert (ask(wire, str(number))[0], by_numbers.headers["x-model-version"]) == (by_row, by_row)
        rows = {"data": [{"price": 3.0, "user_id": f"Zoë {number}"}]}
        by_row = wire.http.post("/predictions/xgb", json=rows).headers["x-model-version"]
        by_header = wire.http.post("/predictions/xgb", json=ROW, headers={"x-user-id": f"Zoë {number}".encode()})
        assert by_header.headers["x-model-version"] == by_row


def test_other_dialects_follow_the_split_too(wire: Running) -> None:
    put(wire, [(1, 0), (2, 1)])
    one = wire.http.post("/v1/models/xgb:predict", json={"instances": [{"price": 3.0}]})
    two = wire.http.post(
        "/v2/models/xgb/infer",
        json={"inputs": [{"name": "price", "shape": [1, 1], "datatype": "FP64", "data": [3.0]}]},
    )
    three = wire.http.post("/predict?model=xgb", json={"features_list": [{"price": 3.0}]})
    assert one.json() == {"predictions": [6.0]}
    assert (two.json()["model_version"], two.json()["outputs"][0]["data"]) == ("2", [6.0])
    assert three.json()["scores"] == [6.0]


def test_an_ensemble_names_its_members(wire: Running) -> None:
    put(wire, [(1, 1), (2, 1)], mode="ensemble")
    assert ask(wire) == ("v1+v2", [4.5])


def test_a_lost_race_and_plans_that_cannot_be(wire: Running) -> None:
    tag = wire.http.get(f"{V1}/xgb/traffic").headers["etag"]
    assert put(wire, [(1, 1), (2, 1)]).status_code == 200
    lost = wire.http.put(
        f"{V1}/xgb/traffic", json={"variants": [{"version": 2, "weight": 1}]}, headers={"if-match": tag}
    )
    assert (lost.status_code, lost.json()["code"]) == (412, "stale")
    for variants, status in (
        ([(9, 1)], 404),
        ([(1, 0)], 422),
        ([(1, 1), (1, 1)], 422),
        ([(1, -1)], 422),
        ([], 422),
        ([(1, 1)] * 11, 422),
    ):
        assert put(wire, variants).status_code == status
    assert put(wire, [(1, 1)], mode="by feeling").status_code == 422
    assert put(wire, [(1, 1)], mode="ensemble").status_code == 422
    assert wire.http.put(f"{V1}/nothing/traffic", json={"variants": [{"version": 1, "weight": 1}]}).status_code == 404


def test_a_failing_variant_is_answered_for_and_taken_out(wire: Running) -> None:
    made = wire.shop.home.path / "made"
    wiretoys.MODELS["xgb"] = "wire_broken"
    try:
        version = wiretoys.add_version(wire.shop.registry, made, "xgb", 5.0).version
    finally:
        wiretoys.MODELS["xgb"] = "wire_number"
    put(wire, [(1, 0), (version, 1)])
    for _ in range(5):
        answer = wire.http.post("/predictions/xgb", json={"data": [{"price": 14.0}]})
        assert (answer.status_code, answer.json()) == (200, {"predictions": [14.0]})
    for _ in range(200):
        if len(wire.http.get(f"{V1}/xgb/traffic").json()["variants"]) == 1:
            break
    assert [one["version"] for one in wire.http.get(f"{V1}/xgb/traffic").json()["variants"]] == [1]
    counted = wire.http.get("/metrics").text
    assert f'model_variant_requests_total{{model="xgb",outcome="error",version="v{version}"}}' in counted


def test_a_shadow_is_set_read_and_ended(wire: Running) -> None:
    assert wire.http.get(f"{V1}/xgb/shadow").status_code == 404
    assert wire.http.put(f"{V1}/xgb/shadow", json={"version": 1}).status_code == 409
    assert wire.http.put(f"{V1}/xgb/shadow", json={"version": 2, "share": 0}).status_code == 422
    assert wire.http.put(f"{V1}/xgb/shadow", json={"version": 2}).json()["requests"] == 0
    for _ in range(3):
        assert ask(wire)[0] == "v1"
    for _ in range(200):
        seen = wire.http.get(f"{V1}/xgb/shadow").json()
        if seen["requests"] == 3:
            break
    assert (seen["agreement"], seen["errors"], seen["rows"]) == (0.0, 0, 3)
    assert wire.http.delete(f"{V1}/xgb/shadow").status_code == 204
    assert wire.http.delete(f"{V1}/xgb/shadow").status_code == 404


def test_an_update_is_released_step_by_step(wire: Running) -> None:
    form = {"model_id": "xgb", "version": "v2", "config": {"steps": [0.1], "step_s": 0.0}, "description": "try"}
    refused = wire.http.put(f"{V1}/update", json=form)
    assert (refused.status_code, refused.json()["code"]) == (409, "gate_says_no")
    form["config"]["force"] = True
    done = wire.http.put("/api/v1/personalization/models/update", json=form)
    assert done.status_code == 200, done.text
    assert done.json()["status"] == "accepted"
    assert wire.shop.jobs.wait(done.json()["job_id"], 60).status == "done"
    assert ask(wire)[0] == "v2"
    assert wire.http.put(f"{V1}/update", json=form).status_code == 409
    assert wire.http.put(f"{V1}/update", json={**form, "config": {"pace": 1}}).status_code == 422


def test_models_as_the_personalisation_paths_know_them(wire: Running) -> None:
    all_of_them = wire.http.get(f"{V1}/status").json()["models"]
    assert {one["model_id"]: one["status"] for one in all_of_them}["xgb"] == "ready"
    one = wire.http.get("/api/v1/personalization/models/status", params={"model_id": "xgb"}).json()
    assert (one["model_id"], one["version"]) == ("xgb", "v1")
    assert one["last_updated"]
    assert wire.http.get(f"{V1}/status", params={"model_id": "nothing"}).status_code == 404

    told = wire.http.post(f"{V1}/predict", params={"model_id": "xgb"}, json=[3.0, 2, 1.0])
    assert told.status_code == 200, told.text
    assert (told.json()["model_id"], told.json()["prediction"]) == ("xgb", 123.0)
    same = wire.http.post(
        "/api/v1/personalization/models/predict", json={"model_id": "xgb", "features": [3.0, 2.0, 1.0]}
    )
    assert same.json()["prediction"] == 123.0
    for body in ([1.0], [1.0, 2.0, "x"], {"features": [1.0, 2.0, 3.0]}, {}, "text"):
        query = {} if isinstance(body, dict) else {"model_id": "xgb"}
        assert wire.http.post(f"{V1}/predict", params=query, json=body).status_code == 422
    assert wire.http.post(f"{V1}/predict", params={"model_id": "nothing"}, json=[1.0]).status_code == 404
