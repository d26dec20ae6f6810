"""Vectors and recall over the doors of single-model servers, and their names on the prediction wire."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import wiretoys
from api_server import Running

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.errors import NotFound

USER = {"price": 1.0, "age": 2.0}  # 21


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with wiretoys.served(tmp_path_factory.mktemp("vectors"), wiretoys.VECTORS) as running:
        yield running


def post(wire: Running, path: str, body: Any) -> Any:
    answer = wire.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_user_is_a_vector_by_features_or_by_history(wire: Running) -> None:
    answer = wire.http.post("/user_embedding", json={"user_features": USER})
    assert answer.json() == {"user_embedding": [21.0, 0.0]}
    assert answer.headers["x-model-version"] == "v1"
    taken = {"user_features": USER, "history_item_ids": ["a", 12, "long"]}
    assert post(wire, "/user_embedding", taken) == {"user_embedding": [3.0, 4.0]}  # youtube_dnn
    assert post(wire, "/user_embedding", taken | {"model": "two_tower"}) == {"user_embedding": [21.0, 3.0]}
    assert post(wire, "/user_embedding", {"history_item_ids": []}) == {"user_embedding": [0.0, 0.0]}
    many = {"history_item_ids": ["item"] * 10_000}
    assert post(wire, "/user_embedding", many) == {"user_embedding": [10_000.0, 4.0]}


def test_items_and_queries_are_vectors(wire: Running) -> None:
    assert post(wire, "/item_embedding", {"item_features": USER}) == {"item_embedding": [-21.0, 0.5]}
    assert post(wire, "/query_embedding", {"query_features": {"query": "tea"}}) == {"query_embedding": [3.0, 1.0]}
    text = "茶 tea " * 160_000  # more than a megabyte
    assert post(wire, "/query_embedding", {"query_features": {"query": text}})["query_embedding"][0] == len(text)


def test_a_body_that_is_no_json_is_refused(wire: Running) -> None:
    for path in ("/user_embedding", "/item_embedding", "/query_embedding", "/recall"):
        answer = wire.http.post(path, content=b"{", headers={"content-type": "application/json"})
        assert (answer.status_code, answer.json()["code"]) == (422, "not_json")


def test_recall_answers_items_with_scores(wire: Running) -> None:
    told = post(wire, "/recall", {"user_id": "u7", "top_k": 3})
    assert told == {"item_ids": ["i0", "i1", "i2"], "scores": pytest.approx([1.0, 1 / 2, 1 / 3])}
    assert post(wire, "/recall", {"user_id": "nobody"}) == {"item_ids": [], "scores": []}
    sizes = {top_k: len(post(wire, "/recall", {"user_id": "u7", "top_k": top_k})["item_ids"]) for top_k in (-5, 0, 900)}
    assert sizes == {-5: 1, 0: 1, 900: 500}
    assert len(post(wire, "/recall", {"user_id": "u7"})["item_ids"]) == 20


def test_names_of_single_model_servers_mean_a_view_where_no_model_is_called_so(wire: Running) -> None:
    assert post(wire, "/predictions/user_tower", {"data": [USER]}) == {"predictions": [21.0, 0.0]}
    assert post(wire, "/predictions/user_tower/1?strict=true", {"data": [USER]}) == {"predictions": [[21.0, 0.0]]}
    assert post(wire, "/predictions/item_tower", {"data": [USER, {}]})["predictions"] == [[-21.0, 0.5], [0.0, 0.5]]
    rows = [{"user_id": "u1", "top_k": 2}, {"user_id": "stranger"}]
    assert post(wire, "/predictions/graph_recall", {"data": rows}) == {"predictions": [["i0", "i1"], []]}
    assert post(wire, "/predictions/graph_recall", {"data": rows[1:]}) == {"predictions": [[]]}
    assert post(wire, "/predict?model=user_tower", {"data": [USER]})["scores"] == [21.0, 0.0]
    assert post(wire, "/v1/models/item_tower:predict", {"instances": [USER]}) == {"predictions": [[-21.0, 0.5]]}
    named = wire.http.get("/v1/models").json()["models"]
    assert {"user_tower", "item_tower", "graph_recall"} <= set(named)
    assert wire.http.get("/v1/models/user_tower").json() == {"name": "user_tower", "ready": True}
    told = wire.http.get("/v2/models/graph_recall").json()
    assert (told["name"], told["inputs"][0]["datatype"], told["outputs"][0]["datatype"]) == (
        "graph_recall", "BYTES", "BYTES",
    )  # fmt: skip
    body = {"inputs": [{"name": "features", "shape": [1], "datatype": "BYTES", "data": ['{"price": 2}']}]}
    assert post(wire, "/v2/models/user_tower/infer", body)["outputs"][0]["data"] == [2.0, 0.0]
    assert post(wire, "/reload?model=user_tower", None)["status"] == "success"


def test_a_model_of_that_name_wins_over_a_view(wire: Running) -> None:
    made = wire.shop.home.path / "made"
    wire.shop.registry.promote("item_tower", wiretoys.add_version(wire.shop.registry, made, "item_tower").version)
    try:
        assert post(wire, "/predictions/item_tower", {"data": [USER]}) == {"predictions": [21.0]}
    finally:
        wire.shop.registry.forget("item_tower", force=True)
    assert post(wire, "/predictions/item_tower", {"data": [USER]}) == {"predictions": [-21.0, 0.5]}


@pytest.mark.parametrize(
    ("path", "body", "status", "code"),
    [
        ("/user_embedding", {"user_features": {"price": "ten"}}, 400, "not_a_number"),
        ("/user_embedding", {"user_features": [1]}, 422, "wrong_value"),
        ("/user_embedding", {"history_item_ids": [None]}, 422, "wrong_value"),
        ("/user_embedding", {"user_features": {}, "model": "dssm"}, 400, "wrong_model"),
        ("/user_embedding", {"user_features": {}, "model": "nothing"}, 404, "unknown_model"),
        ("/item_embedding", {}, 422, "wrong_value"),
        ("/query_embedding", {"query_features": {"query": "broken"}}, 500, "bad_output"),
        ("/recall", {}, 422, "wrong_value"),
        ("/recall", {"user_id": "u1", "top_k": "many"}, 422, "wrong_value"),
        ("/recall", {"user_id": True}, 422, "wrong_value"),
        ("/recall", {"user_id": "u1", "model": "two_tower"}, 400, "wrong_model"),
        ("/predictions/graph_recall", {"data": [{}]}, 400, "bad_row"),
        ("/predictions/graph_recall", {"data": [{"user_id": "u1", "top_k": 1.5}]}, 400, "bad_row"),
        ("/predictions/user_tower", {"data": [{"user_features": 3}]}, 400, "bad_row"),
        ("/predictions/user_tower/9", {"data": [USER]}, 404, "unknown_version"),
    ],
)
def test_what_is_refused_says_why(wire: Running, path: str, body: Any, status: int, code: str) -> None:
    answer = wire.http.post(path, json=body)
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def test_without_such_a_model_the_doors_say_what_to_train(live: Running) -> None:
    for path, body in (
        ("/user_embedding", {"user_features": {}}),
        ("/item_embedding", {"item_features": {}}),
        ("/query_embedding", {"query_features": {}}),
        ("/recall", {"user_id": "u1"}),
    ):
        answer = live.http.post(path, json=body)
        assert (answer.status_code, answer.json()["code"]) == (404, "unknown_model")
        assert "train" in answer.json()["detail"]


def test_only_enabled_names_answer(tmp_path: Any) -> None:
    with wiretoys.served(tmp_path, ("two_tower", "dssm"), enabled_models="user_tower,item_tower") as wire:
        assert wire.http.get("/readyz").status_code == 200
        assert post(wire, "/user_embedding", {"user_features": USER}) == {"user_embedding": [21.0, 0.0]}
        assert post(wire, "/predictions/user_tower", {"data": [USER]}) == {"predictions": [21.0, 0.0]}
        assert wire.http.post("/predictions/two_tower", json={"data": [USER]}).json()["code"] == "not_enabled"
        answer = wire.http.post("/query_embedding", json={"query_features": {}})
        assert (answer.status_code, answer.json()["code"]) == (404, "not_enabled")


def test_the_client_asks_for_vectors(wire: Running) -> None:
    with ShopkeeperClient(wire.url) as shop:
        assert shop.user_embedding(USER) == [21.0, 0.0]
        assert shop.user_embedding({}, ["a", "bc"]) == [2.0, 2.0]
        assert shop.item_embedding(USER, model="two_tower") == [-21.0, 0.5]
        assert shop.query_embedding({"query": "tea"}) == [3.0, 1.0]
        assert shop.recall("u7", 2) == [("i0", 1.0), ("i1", 0.5)]
        assert shop.recall("nobody") == []
        with pytest.raises(NotFound):
            shop.query_embedding({}, model="nothing")


def test_models_with_vectors_of_items_are_spaces(wire: Running) -> None:
    spaces = wire.http.get("/api/v1/embeddings").json()["spaces"]
    assert [one["name"] for one in spaces] == ["two_tower", "youtube_dnn"]
    told = spaces[0]
    assert (told["dim"], told["count"], told["counts"], told["version"]) == (2, 2, {"item": 2}, "two_tower/1")
    assert (told["index"], told["metric"], told["stale"]) == ("exact", "inner_product", False)


def test_vectors_are_of_one_version_while_other_traffic_is_split(tmp_path: Any) -> None:
    with wiretoys.served(tmp_path, ("two_tower",)) as wire:
        wiretoys.add_version(wire.shop.registry, tmp_path / "made", "two_tower", 2.0)
        shares = {"variants": [{"version": 1, "weight": 1}, {"version": 2, "weight": 99}], "mode": "random"}
        assert wire.http.put("/api/v1/models/two_tower/traffic", json=shares).status_code == 200
        for _ in range(20):
            assert post(wire, "/user_embedding", {"user_features": USER}) == {"user_embedding": [21.0, 0.0]}
            assert post(wire, "/predictions/item_tower", {"data": [USER]}) == {"predictions": [-21.0, 0.5]}
        asked = {"item_features": USER, "model": "two_tower@candidate"}
        answer = wire.http.post("/item_embedding", json=asked)
        assert (answer.json(), answer.headers["x-model-version"]) == ({"item_embedding": [-42.0, 0.5]}, "v2")
        wire.shop.registry.promote("two_tower", 2, force=True)
        assert post(wire, "/user_embedding", {"user_features": USER}) == {"user_embedding": [42.0, 0.0]}
        assert post(wire, "/predictions/item_tower", {"data": [USER]}) == {"predictions": [-42.0, 0.5]}
