"""Models that really have learned, behind the doors for vectors: trained by jobs on what a small shop sold."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving

from shopkeeper import plugins

MODELS = ("two_tower", "youtube_dnn", "node2vec", "item2vec")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """With a champion of each; whether it is any good is not asked here."""
    pytest.importorskip("torch")
    with serving(tmp_path_factory.mktemp("trained-vectors")) as running:
        for name in MODELS:
            brief = getattr(plugins.algorithm(name), "brief", {})
            job = running.shop.releases.train(name, name, params=brief)
            ended = running.shop.jobs.wait(job.job_id, 280)
            assert ended.status == "done", ended.error
            running.shop.registry.promote(name, 1, force=True)
        yield running


THINGS = ("tea pot", "tea cup", "garden hose", "花园软管")
NAMES = tuple(f"{colour} {thing}" for thing in THINGS for colour in ("red", "blue", "green", "绿色"))


@pytest.fixture(scope="module")
def matched(shop: Running) -> Running:
    """With a matcher of queries and names beside."""
    for at, name in enumerate(NAMES):
        assert shop.http.put(f"/api/v1/items/item-{at}", json={"name": name, "price": 5.0}).status_code in (200, 201)
    job = shop.shop.releases.train("dssm", "dssm", params=plugins.algorithm("dssm").brief)  # type: ignore[attr-defined]
    ended = shop.shop.jobs.wait(job.job_id, 280)
    assert ended.status == "done", ended.error
    shop.shop.registry.promote("dssm", 1, force=True)
    return shop


def post(shop: Running, path: str, body: Any) -> Any:
    answer = shop.http.post(path, json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_towers_answer_with_vectors_of_one_space(shop: Running) -> None:
    user = post(shop, "/user_embedding", {"user_features": {}, "history_item_ids": ["item-1"], "model": "two_tower"})
    item = post(shop, "/item_embedding", {"item_features": {"item_id": "item-1"}})
    one, other = np.array(user["user_embedding"]), np.array(item["item_embedding"])
    assert one.shape == other.shape
    assert np.linalg.norm(one) == pytest.approx(1, abs=1e-4)
    assert np.linalg.norm(other) == pytest.approx(1, abs=1e-4)
    rows = [{"user_features": {}, "history_item_ids": ["item-1"]}]
    assert post(shop, "/predictions/user_tower", {"data": rows})["predictions"] == pytest.approx(one.tolist())
    strict = post(shop, "/predictions/item_tower?strict=true", {"data": [{"item_id": "item-1"}]})["predictions"]
    assert strict[0] == pytest.approx(other.tolist())


def test_a_history_is_answered_by_the_sequence_model_and_empty_or_long_ones_too(shop: Running) -> None:
    for history in ([], ["item-0"], ["nothing we sell"], ["item-0", "item-1"] * 5000):
        vector = post(shop, "/user_embedding", {"user_features": {}, "history_item_ids": history})["user_embedding"]
        assert np.isfinite(vector).all()
        rows = [{"user_features": {}, "history_item_ids": history}]
        assert post(shop, "/predictions/youtube_dnn", {"data": rows})["predictions"] == pytest.approx(vector)


def test_the_graph_recalls_items_for_whom_it_knows(shop: Running) -> None:
    told = post(shop, "/recall", {"user_id": "user-1", "top_k": 3})
    assert len(told["item_ids"]) == len(told["scores"])
    assert set(told["item_ids"]) <= {f"item-{n}" for n in range(4)}
    assert told["scores"] == sorted(told["scores"], reverse=True)
    assert post(shop, "/recall", {"user_id": "stranger"}) == {"item_ids": [], "scores": []}
    rows = {"data": [{"user_id": "user-1", "top_k": 3}]}
    assert post(shop, "/predictions/graph_recall", rows)["predictions"] == [told["item_ids"]]


def test_their_items_are_spaces_that_a_scenario_may_name(shop: Running) -> None:
    spaces = {one["name"]: one for one in shop.http.get("/api/v1/embeddings").json()["spaces"]}
    assert set(MODELS) <= set(spaces)
    assert all(spaces[name]["count"] == 4 and spaces[name]["index"] == "exact" for name in MODELS)
    recall = [{"channel": f"space:{name}", "quota": 10} for name in MODELS]
    made = shop.http.put("/api/v1/personalization/scenarios/vectors", json={"recall": recall, "ranker": None})
    assert made.status_code in (200, 201), made.text
    body = {"user_id": "user-1", "scenario": "vectors", "n_recommendations": 4, "debug": True}
    slate = post(shop, "/api/v1/personalization/recommend", body)
    assert slate["recommendations"]
    assert {slate["debug_info"]["versions"].get(name) for name in MODELS} == {1}


@pytest.mark.parametrize("name", MODELS)
def test_each_leaves_the_files_of_older_servers(shop: Running, name: str, tmp_path: Path) -> None:
    answer = shop.http.get(f"/api/v1/models/{name}/versions/1/export", params={"format": "legacy"})
    assert answer.status_code == 200, answer.text
    with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
        files = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
    assert json.loads(files[f"{name}_meta.json"])["model_version"]
    if name.endswith("2vec"):
        vectors = json.loads(files[f"{name}_vectors.json"])
        assert {f"item-{n}" for n in range(4)} <= set(vectors)
        return
    import torch

    weights = torch.load(io.BytesIO(files[f"{name}_model.pt"]), weights_only=True)
    vocabulary = json.loads(files[f"{name}_item_vocab.json"])
    vectors = np.load(io.BytesIO(files[f"{name}_item_vectors.npy"]), allow_pickle=False)
    assert vectors.shape[0] == len(vocabulary) == 4
    np.testing.assert_array_equal(weights["vectors"].numpy(), vectors)


def test_queries_are_vectors_whatever_they_hold(matched: Running) -> None:
    name = next(iter(matched.shop.registry.version("dssm", 1).feature_names))
    for text in ("tea pot", "软管", "", "tea " * 260_000):
        row = {name: text}
        vector = post(matched, "/query_embedding", {"query_features": row})["query_embedding"]
        assert np.isfinite(vector).all()
        assert post(matched, "/predictions/dssm", {"data": [row]})["predictions"] == pytest.approx(vector, abs=1e-6)
    answer = matched.http.post("/query_embedding", json={"query_features": {name: ["no", "text"]}})
    assert answer.status_code == 400, answer.text
