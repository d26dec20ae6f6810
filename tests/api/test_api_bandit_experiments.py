"""Experiments among policies by the doors of an earlier system."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from api_server import Running, serving

PATH = "/api/v1/bandit"
FORM = {
    "experiment_name": "two policies",
    "algorithms": {"careful": {"algorithm": "epsilon_greedy"}, "thompson_beta": {}},
    "traffic_split": {"careful": 0.4, "thompson_beta": 0.6},
    "min_sample_size": 10,
}


@pytest.fixture
def live(tmp_path: Path) -> Iterator[Running]:
    with serving(tmp_path) as running:
        yield running


def test_policies_are_tried_on_users(live: Running) -> None:
    http = live.http
    assert http.post(f"{PATH}/experiments", json=FORM).status_code == 503, "nothing draws yet"
    assert http.post(f"{PATH}/initialize", json={"n_items": 4}).status_code == 200
    begun = http.post(f"{PATH}/experiments", json=FORM)
    assert begun.status_code == 200, begun.text
    told = begun.json()
    assert (told["status"], told["variants"]) == ("success", ["careful", "thompson_beta"])
    assert told["end_time"] > told["start_time"]
    id = told["experiment_id"]
    seen = {"event_type": "view", "user_id": "looker", "item_id": "item-1"}
    assert http.post("/api/v1/events", json=seen).status_code == 202
    answer = http.post(f"{PATH}/recommend", json={"user_id": "looker", "num_recommendations": 2, "experiment_id": id})
    assert answer.status_code == 200, answer.text
    assert answer.json()["experiments"][id] in ("careful", "thompson_beta")
    drawn = set()
    for user in (f"looker-{number}" for number in range(12)):
        http.post("/api/v1/events", json={**seen, "user_id": user})
        one = http.post(f"{PATH}/recommend", json={"user_id": user, "num_recommendations": 2}).json()
        drawn.add((one["experiments"][id], one["algorithm"]))
    assert drawn == {("careful", "epsilon_greedy"), ("thompson_beta", "thompson_beta")}
    assert http.post(f"{PATH}/experiments", json=FORM).status_code == 409, "the layer is taken"
    found = http.get(f"{PATH}/experiments").json()
    assert (found["count"], found["experiments"][0]["experiment_id"]) == (1, id)
    said = http.get(f"{PATH}/experiments/{id}/results").json()
    assert said["results"]["metric"] == "reward"
    assert "ended" in http.post(f"{PATH}/experiments/{id}/end").json()["message"]
    assert http.get(f"{PATH}/experiments/nothing/results").status_code == 404
    for wrong in ({"traffic_split": {"careful": 1.0}}, {"algorithms": {"a": {}, "b": {}}, "traffic_split": {}}):
        assert http.post(f"{PATH}/experiments", json={**FORM, **wrong}).status_code == 422
