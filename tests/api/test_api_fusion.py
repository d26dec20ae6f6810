"""The fused score over HTTP: trained, served, fitted again when a rule changes; what goes wrong disturbs nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from api_server import Running, serving

from shopkeeper.core.records import Event

V1 = "/api/v1"
TRAIN = f"{V1}/operations/fusion/train"
DYING = Path(__file__).parent / "dying_training.py"
LONG = {"sample_size": 10_000, "epochs": 200, "batch_size": 8, "lr": 1e-6}


@contextmanager
def eight_months(home: Path) -> Iterator[Running]:
    """Even customers order every 20 days or so, odd ones seldom. No model is trained yet."""
    with serving(home) as running:
        running.shop.refit.debounce_s = 3600.0
        running.shop.log.append(history()).result()
        running.http.put(f"{V1}/users/listed", json={"attributes": {}}).raise_for_status()
        yield running


@pytest.fixture(scope="module")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """No test trains a model here."""
    with eight_months(tmp_path_factory.mktemp("untrained")) as running:
        yield running


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with eight_months(tmp_path_factory.mktemp("fusion")) as running:
        yield running


@pytest.fixture(scope="module")
def trained(shop: Running) -> Running:
    told = train(shop)
    assert told["metrics"]["promoted"], told
    return shop


def history() -> list[Event]:
    random, now = np.random.default_rng(1), datetime.now(UTC)
    found = []
    for user in range(60):
        day = float(random.uniform(1, 240))
        while day > 0:
            time_ = now - timedelta(days=day)
            sold = {"quantity": 2.0, "unit_price": 5.0, "value": 10.0}
            who = {"event_id": f"h{user}-{day}", "user_id": f"h{user}"}
            item = f"item-{2 * int(random.integers(0, 6)) + user % 2}"
            found.append(Event(event_type="order", item_id=item, time=time_, **who, **sold))
            day -= float(random.exponential(20.0 if user % 2 == 0 else 150.0)) + 1.0
    return found


def train(shop: Running, **params: Any) -> dict[str, Any]:
    answer = shop.http.post(TRAIN, params={"wait": True, **params}, timeout=120)
    assert answer.status_code == 200, answer.text
    return answer.json()


def scores(shop: Running, user: str) -> dict[str, Any]:
    found: dict[str, Any] = shop.http.get(f"{V1}/user/{user}").raise_for_status().json()["scores"]
    return found


def test_a_shop_of_six_weeks_is_told_what_is_missing(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        told = train(running)
        assert told["metrics"]["trained"] is False
        assert "needs data of at least 120 days" in told["metrics"]["reason"]
        assert scores(running, "user-1")["gate"] == 1.0
        (lacking,) = running.http.get("/readyz").json()["reasons"]
        assert "home_ranker" in lacking
        assert "fusion" not in lacking, "a shop is ready without it"


@pytest.mark.parametrize(
    ("field", "wrong"),
    [("sample_size", 31), ("sample_size", 10_001), ("epochs", 0), ("epochs", 201), ("lr", 0), ("lr", -1),
     ("batch_size", 7), ("batch_size", 1025), ("epochs", "many"), ("lr", "nan")],
)  # fmt: skip
def test_what_is_out_of_range_is_refused(untrained: Running, field: str, wrong: Any) -> None:
    answer = untrained.http.post(TRAIN, params={field: wrong})
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    if wrong != "nan":
        answer = untrained.http.post(TRAIN, json={field: wrong})
        assert answer.status_code == 400, answer.text
        assert field in answer.text
    assert untrained.http.get(f"{V1}/jobs", params={"kind": "train"}).json()["items"] == []


def test_before_any_training_the_operations_are_idle(untrained: Running) -> None:
    assert untrained.http.get(f"{V1}/operations/metrics").json()["fusion_training"] == {"state": "idle"}


def test_without_a_model_the_rules_are_the_score(untrained: Running) -> None:
    found = scores(untrained, "h0")
    assert (found["gate"], found["f_nn"], found["expected_spend"]) == (1.0, 0.0, None)
    assert found["final_score"] == found["f_rule"] == sum(found["rules"].values())
    assert (found["versions"]["embedding"], found["versions"]["fusion"]) == (None, None)


def test_a_training_answers_with_its_measures(shop: Running) -> None:
    metrics = train(shop, sample_size=64, epochs=2, lr=0.01, batch_size=16)["metrics"]
    assert (metrics["trained"], metrics["epochs"]) == (True, 2)
    assert 32 <= metrics["samples"] <= 64, "the first months have fewer customers than their share"
    assert 0 < metrics["final_loss"] < 2
    assert 0.5 < metrics["auc"] <= 1
    job = shop.http.get(f"{V1}/jobs", params={"kind": "train", "limit": 1}).json()["items"][0]
    assert job["params"]["params"] == {"sample_size": 64, "epochs": 2, "learning_rate": 0.01, "batch_size": 16}


def test_the_operations_tell_of_the_last_training(trained: Running) -> None:
    train(trained, epochs=3)
    told = trained.http.get(f"{V1}/operations/metrics").json()["fusion_training"]
    assert (told["state"], told["epoch"], told["error"]) == ("done", 3, None)
    assert len(told["loss"]) == 3
    assert all(0 < loss < 2 for loss in told["loss"])
    assert 0 < told["duration_seconds"] < 120
    assert told["finished_at"] > told["started_at"]
    with trained.http.stream("GET", f"{V1}/operations/stream") as stream:
        first = next(line for line in stream.iter_lines() if line.startswith("data:"))
    assert json.loads(first[5:])["fusion_training"]["job_id"] == told["job_id"]


def test_a_body_counts_before_the_query(trained: Running) -> None:
    queued = trained.http.post(TRAIN, params={"epochs": 7, "sample_size": 33}, json={"epochs": 1, "learning_rate": 0.5})
    assert queued.status_code == 202
    job = finished(trained, queued.json()["job_id"])
    assert job["params"]["params"] == {"sample_size": 33, "epochs": 1, "learning_rate": 0.5, "batch_size": 64}


def test_a_profile_has_both_sides_of_the_score(trained: Running) -> None:
    for user in ("h0", "h1", "h2", "listed"):
        found = scores(trained, user)
        mixed = found["gate"] * found["f_rule"] + (1 - found["gate"]) * found["f_nn"]
        assert found["final_score"] == pytest.approx(mixed, abs=1e-9)
        assert found["probability"] == pytest.approx(1 / (1 + np.exp(-found["final_score"])))
        assert found["expected_spend"] >= 0
        assert found["versions"]["fusion"].startswith("fusion/")
    assert scores(trained, "listed")["gate"] == 1.0
    assert scores(trained, "h0")["gate"] < 1.0


def test_the_last_event_counts_at_once(trained: Running) -> None:
    before = scores(trained, "h4")
    event = {"event_type": "order", "user_id": "h4", "item_id": "item-0", "quantity": 3, "unit_price": 5.0}
    trained.http.post(f"{V1}/events", json=event).raise_for_status()
    assert scores(trained, "h4")["f_nn"] != before["f_nn"]


def test_a_new_rule_counts_at_once_and_the_model_is_fitted_again(trained: Running) -> None:
    watched = trained.shop.refit
    before = scores(trained, "h0")
    alpha = trained.shop.profiles.fuser.current().model.alpha
    newest = trained.http.get(f"{V1}/models/fusion/versions").json()["items"][0]["version"]
    watched.debounce_s = 0.05
    try:
        made = {"name": "anybody", "condition": "orders >= 1", "weight": 0.8}
        trained.http.post(f"{V1}/rules", json=made).raise_for_status()
        changed = scores(trained, "h0")
        if changed["versions"]["fusion"] == before["versions"]["fusion"]:
            assert changed["f_rule"] == pytest.approx(before["f_rule"] + alpha * 0.8)
        assert changed["rules"]["anybody"] == 0.8
        job = until(lambda: jobs_by(trained, "rules changed"))[0]
        assert finished(trained, job["job_id"])["status"] == "done"
        assert trained.http.get(f"{V1}/models/fusion/versions").json()["items"][0]["version"] > newest
        described = {"description": "in other words"}
        trained.http.put(f"{V1}/rules/anybody", json=described).raise_for_status()
        time.sleep(0.5)  # nothing to wait for: nothing is to happen
        assert len(jobs_by(trained, "rules changed")) == 1
    finally:
        watched.debounce_s = 3600.0
        trained.http.delete(f"{V1}/rules/anybody").raise_for_status()


def test_a_cancelled_training_changes_nothing(trained: Running) -> None:
    before = scores(trained, "h0")
    job_id = begun(trained)
    trained.http.post(f"{V1}/jobs/{job_id}/cancel").raise_for_status()
    assert finished(trained, job_id)["status"] == "cancelled"
    assert scores(trained, "h0")["versions"] == before["versions"]


def test_a_killed_training_changes_nothing(trained: Running) -> None:
    before = scores(trained, "h0")
    job_id = begun(trained)
    (child,) = [one for one in psutil.Process().children() if "shopkeeper.lifecycle.run" in " ".join(one.cmdline())]
    os.kill(child.pid, signal.SIGKILL)
    job = finished(trained, job_id)
    assert job["status"] == "failed"
    assert "SIGKILL" in job["error"]
    assert scores(trained, "h0")["versions"] == before["versions"]
    assert train(trained)["metrics"]["trained"]


def test_the_whole_shop_is_killed_while_a_model_is_trained(tmp_path: Path) -> None:
    """The next start serves what served before and does the training again, as one whole version."""
    with serving(tmp_path) as running:
        running.shop.log.append(history()).result()
        assert train(running)["metrics"]["promoted"]
        before = scores(running, "h0")
    killed = subprocess.run([sys.executable, DYING, tmp_path], timeout=150, check=False)
    assert killed.returncode == -signal.SIGKILL
    with serving(tmp_path) as again:
        until(lambda: again.shop.profiles.fuser.current())
        after = scores(again, "h0")
        if after["versions"] == before["versions"]:
            assert after["final_score"] == pytest.approx(before["final_score"], abs=0.05), "but for the time between"
        job = again.http.get(f"{V1}/jobs", params={"kind": "train"}).json()["items"][0]
        assert job["requested_by"] == "dying"
        ended = finished(again, job["job_id"])
        assert (ended["status"], ended["result"]["version"]) == ("done", 2), ended["error"]
        versions = again.http.get(f"{V1}/models/fusion/versions").json()["items"]
        assert [(one["version"], one["status"]) for one in versions] == [(2, "ready"), (1, "ready")]


def test_a_person_is_erased_while_scores_are_asked(trained: Running) -> None:
    answers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answers.append(trained.http.get(f"{V1}/user/h6").status_code)
            answers.append(trained.http.get(f"{V1}/explain/h6").status_code)

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        until(lambda: len(answers) > 4)
        erased = trained.http.post(f"{V1}/users/h6/erase", json={"confirm": "h6", "mode": "erase"})
        assert finished(trained, erased.json()["job_id"])["status"] == "done"
        until(lambda: answers[-2:] == [404, 404])
    finally:
        over.set()
        asking.join()
    assert set(answers) == {200, 404}
    assert answers == sorted(answers), "gone once, gone for good"
    assert scores(trained, "h8")["gate"] < 1.0


def test_vectors_of_another_model_are_taken_or_refused_in_words(trained: Running) -> None:
    """A fusion model publishes vectors itself; a neighbour table has none."""
    train_ = trained.shop.releases.train
    finished(trained, train_("item_knn", "item_knn", requested_by="test").job_id)
    for space, status, said in (
        ("fusion", "done", ""),
        ("item_knn", "failed", "no vectors of items"),
        ("hgt", "failed", "hgt"),
    ):
        job = train_("fusion", "fusion", params={"space": space}, requested_by="test")
        ended = finished(trained, job.job_id)
        assert ended["status"] == status, ended["error"]
        assert said in (ended["error"] or "")
    newest = trained.http.get(f"{V1}/models/fusion/versions").json()["items"][0]
    assert newest["data"]["space"] == "fusion"


def begun(shop: Running) -> str:
    """A training that is in its first epochs, and would go on for minutes."""
    job_id: str = shop.http.post(TRAIN, json=LONG).json()["job_id"]
    until(lambda: (shop.http.get(f"{V1}/jobs/{job_id}").json()["progress"]["epoch"] or 0) >= 1)
    assert shop.http.post(TRAIN).status_code == 409, "one at a time"
    return job_id


def finished(shop: Running, job_id: str) -> dict[str, Any]:
    job = shop.shop.jobs.wait(job_id, 120)
    found: dict[str, Any] = shop.http.get(f"{V1}/jobs/{job.job_id}").json()
    return found


def jobs_by(shop: Running, name: str) -> list[dict[str, Any]]:
    items = shop.http.get(f"{V1}/jobs", params={"kind": "train"}).json()["items"]
    return [one for one in items if one["requested_by"] == name]


def until(found: Any) -> Any:
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value
