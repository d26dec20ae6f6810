"""Which models `/reload` loads anew, by query or body, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import wiretoys
from api_server import Running


@pytest.mark.parametrize("body", [None, {}, {"model": None}])
def test_without_a_name_all_models_are_reloaded(live: Running, body: object) -> None:
    answer = live.http.post("/reload", json=body) if body is not None else live.http.post("/reload")
    assert answer.status_code == 200
    assert answer.json()["status"] == "success"


def test_an_unknown_model_is_told_wherever_it_is_named(live: Running) -> None:
    assert live.http.post("/reload", params={"model": "nothing"}).status_code == 404
    assert live.http.post("/reload", json={"model": "nothing"}).status_code == 404


def test_a_body_that_would_be_ignored_is_refused(live: Running) -> None:
    answer = live.http.post("/reload", json={"name": "nothing"})
    assert answer.status_code == 422
    assert "name" in answer.json()["detail"]


def test_query_and_body_must_agree(live: Running) -> None:
    answer = live.http.post("/reload", params={"model": "one"}, json={"model": "two"})
    assert (answer.status_code, answer.json()["code"]) == (400, "two_models")


def test_a_reload_that_fails_says_why_and_the_old_version_goes_on(tmp_path: Path) -> None:
    with wiretoys.served(tmp_path) as wire:
        registry = wire.shop.registry
        folder = registry.folder(registry.version("xgb"))
        (folder / "weight.json").write_text("9.0")
        broken = wire.http.post("/reload?model=xgb")
        assert (broken.status_code, broken.json()["code"]) == (500, "reload_failed")
        assert "weight.json" in broken.json()["detail"]
        shutil.rmtree(folder)
        gone = wire.http.post("/reload", json={"model": "xgb"})
        assert (gone.status_code, gone.json()["code"]) == (404, "artifact_missing")
        assert wire.http.post("/predictions/xgb", json={"data": [{"price": 2}]}).json() == {"predictions": [2.0]}
        text = wire.http.get("/metrics").text
        assert 'model_reload_total{status="failed"}' in text
        assert 'model_reload_total{status="success"}' in text
