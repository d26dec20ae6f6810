"""Which models `/reload` loads anew, by query or body, and what it refuses."""

from __future__ import annotations

import pytest
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
