"""The one-command refresh over HTTP: what it does and tells; what is refused; what is killed, cancelled or fails."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
import pytest
from api_server import Running, serving

from shopkeeper.core.records import Event
from shopkeeper.operations.refreshing import requested_by

V1 = "/api/v1"
REFRESH = f"{V1}/graph/refresh"
TRAIN = f"{V1}/operations/training/hgt"
DYING = Path(__file__).parent / "dying_refresh.py"
QUICK = {"mode": "full_retrain", "retrain_epochs": 1, "fusion_epochs": 1}
LONG = {"mode": "full_retrain", "retrain_epochs": 50}


def history(days: float = 240) -> list[Event]:
    """Some months of four tastes; of each every second customer orders seldom."""
    random, now = np.random.default_rng(1), datetime.now(UTC)
    found = []
    for user in range(80):
        taste, gap = user % 4, days / 20 if user % 8 < 4 else days / 4
        day = float(random.uniform(1, days))
        while day > 0:
            item = f"thing-{4 * int(random.integers(0, 15)) + taste}"
            who = {"event_id": f"h{user}-{day}", "user_id": f"h{user}", "item_id": item}
            sold = {"quantity": 2.0, "unit_price": 5.0, "value": 10.0, "time": now - timedelta(days=day)}
            found.append(Event(event_type="order", **who, **sold))
            day -= float(random.exponential(gap)) + 0.5
    return found


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Nothing is trained here."""
    with serving(tmp_path_factory.mktemp("unrefreshed")) as running:
        yield running


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Running, dict[str, Any]]]:
    """A shop, and what its first refresh has come to."""
    with serving(tmp_path_factory.mktemp("refreshed")) as running:
        running.shop.refit.debounce_s = 3600.0
        running.shop.log.append(history()).result()
        yield running, refreshed(running, **QUICK, temperature=0.5, random_seed=3)


@pytest.fixture
def shop(first: tuple[Running, dict[str, Any]]) -> Running:
    """With a model, and vectors of everybody."""
    return first[0]


def refreshed(shop: Running, **form: Any) -> dict[str, Any]:
    answer = shop.http.post(REFRESH, json=form, params={"wait": True}, timeout=240)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def begun(shop: Running, **form: Any) -> str:
    answer = shop.http.post(REFRESH, json=form)
    assert answer.status_code == 202, answer.text
    assert answer.headers["location"] == answer.json()["job_url"]
    found: str = answer.json()["job_id"]
    return found


def ended(shop: Running, job_id: str) -> dict[str, Any]:
    shop.shop.jobs.wait(job_id, 240)
    found: dict[str, Any] = shop.http.get(f"{V1}/jobs/{job_id}").json()
    return found


def until(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while not (value := found()):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return value


def training(shop: Running, job_id: str) -> str:
    """The refresh's training, when it is in its first epochs."""
    stage = until(lambda: shop.shop.jobs.requested(requested_by(job_id, "train")))
    until(lambda: (shop.shop.jobs.get(stage.job_id).progress.epoch or 0) >= 1)
    found: str = stage.job_id
    return found


def space(shop: Running) -> dict[str, Any]:
    spaces = shop.http.get(f"{V1}/embeddings").json()["spaces"]
    (found,) = (one for one in spaces if one["name"] == "hgt")
    return dict(found)


def child_of(job_id: str) -> psutil.Process:
    """The process of a running job, told by the folder that it writes its log to."""
    for one in psutil.Process().children():
        if any(job_id in file.path for file in one.open_files()) or job_id in os.readlink(f"/proc/{one.pid}/fd/1"):
            return one
    raise AssertionError(f"job {job_id} has no process")


# -- refused


@pytest.mark.parametrize(
    ("field", "wrong"),
    [
        ("mode", "everything"), ("graph_scope", "half"), ("sample_ratio", 0.05), ("sample_ratio", 1.1),
        ("random_seed", -1), ("random_seed", 2**32), ("include_edge_timestamp", "yes"), ("retrain_epochs", 0),
        ("retrain_epochs", 51), ("fusion_epochs", 0), ("fusion_epochs", 101), ("temperature", 0),
        ("temperature", 5.1), ("learning_rate", 0), ("learning_rate", 2), ("retrain_epochs", 1.5),
    ],
)  # fmt: skip
def test_a_bad_refresh_is_refused_by_field(empty: Running, field: str, wrong: Any) -> None:
    refused(empty, REFRESH, {field: wrong}, field)


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"epochs": 0}, "epochs"), ({"epochs": 201}, "epochs"), ({"train_ratio": 0}, "train_ratio"),
        ({"val_ratio": 1}, "val_ratio"), ({"train_ratio": 0.8, "val_ratio": 0.2}, "val_ratio"),
        ({"negative_ratio": 5.5}, "negative_ratio"), ({"temperature": 0}, "temperature"),
        ({"learning_rate": 1.5}, "learning_rate"), ({"seed": -1}, "seed"),
        ({"training_mode": "metis"}, "training_mode"),
        ({"metis_num_parts": 1}, "metis_num_parts"), ({"metis_num_parts": 101}, "metis_num_parts"),
        ({"metis_imbalance_factor": -0.1}, "metis_imbalance_factor"), ({"metis_seed": -1}, "metis_seed"),
        ({"metis_partition_id": -1}, "metis_partition_id"), ({"metis_partition_id": 4}, "metis_partition_id"),
    ],
)  # fmt: skip
def test_a_bad_training_is_refused_by_field(empty: Running, form: dict[str, Any], field: str) -> None:
    refused(empty, TRAIN, form, field)


def refused(shop: Running, door: str, form: dict[str, Any], field: str) -> None:
    answer = shop.http.post(door, json=form)
    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["field"] == field
    assert shop.http.get(f"{V1}/jobs").json()["items"] == []


@pytest.mark.parametrize("door", [REFRESH, TRAIN])
@pytest.mark.parametrize("body", [b'{"no_such_field": 1}', b"[]", b"{", b'{"temperature": NaN}'])
def test_what_is_no_form_is_refused(empty: Running, door: str, body: bytes) -> None:
    answer = empty.http.post(door, content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400, answer.text


def test_without_a_model_there_is_nothing_to_embed_with(empty: Running) -> None:
    answer = empty.http.post(REFRESH)
    assert (answer.status_code, answer.json()["code"]) == (409, "no_model")
    assert empty.http.get(f"{V1}/embeddings").json() == {"spaces": []}


def test_a_shop_without_events_has_no_graph(tmp_path: Path) -> None:
    with serving(tmp_path, filled=False) as running:
        answer = running.http.get(f"{V1}/graph/statistics")
        assert (answer.status_code, answer.json()["code"]) == (404, "no_graph")
        assert running.http.get(f"{V1}/graph/neighbors/user/nobody").status_code == 404
        job = ended(running, begun(running, **QUICK))
        assert job["status"] == "failed"
        assert "training failed" in job["error"]
        assert running.http.get(f"{V1}/models/hgt").status_code == 404


# -- what it does


def test_a_full_refresh_tells_what_it_has_come_to(first: tuple[Running, dict[str, Any]]) -> None:
    shop, told = first
    assert told["mode"] == "full_retrain"
    assert (told["retrain_epochs"], told["temperature"], told["random_seed"]) == (1, 0.5, 3)
    assert (told["graph_scope"], told["sample_ratio"], told["include_edge_timestamp"]) == ("full", 1.0, True)
    assert told["retrain_loss"] > 0
    assert told["duration_seconds"] > 0
    assert told["seconds"].keys() == {"train", "embed", "fusion"}
    assert told["fusion_training"]["trained"]
    assert told["node_counts"]["user"] >= 60
    version = shop.http.get(f"{V1}/models/hgt/versions/1").json()
    assert version["params"]["epochs"] == 1
    assert version["params"]["temperature"] == 0.5


def test_what_is_left_out_follows_the_champion(shop: Running) -> None:
    told = refreshed(shop, mode="full_retrain")
    assert (told["warm_start"], told["retrain_epochs"]) == (True, 2)
    champions = {name: shop.http.get(f"{V1}/models/{name}/versions/1").json()["params"] for name in ("hgt", "fusion")}
    assert told["temperature"] == champions["hgt"]["temperature"] == 0.5
    assert told["fusion_epochs"] == champions["fusion"]["epochs"] == 1


def test_embedding_alone_keeps_the_model_and_makes_the_space_anew(shop: Running) -> None:
    before = space(shop)
    told = refreshed(shop)
    assert (told["mode"], told["retrain_loss"]) == ("embedding_only", None)
    assert told["seconds"].keys() == {"embed", "fusion"}
    after = space(shop)
    assert after["version"] == before["version"]
    assert after["built_at"] > before["built_at"]
    assert after["count"] == sum(after["counts"].values()) > 60


def test_a_sample_is_drawn_when_one_is_asked_for(shop: Running) -> None:
    told = refreshed(shop, graph_scope="sampled", sample_ratio=0.3, random_seed=1, fusion_epochs=1)
    assert (told["graph_scope"], told["sample_ratio"]) == ("sampled", 0.3)


def test_a_fused_score_that_cannot_be_tuned_does_not_undo_the_vectors(tmp_path: Path) -> None:
    with serving(tmp_path, filled=False) as running:
        running.shop.log.append(history(days=80)).result()
        told = refreshed(running, **QUICK)
        assert told["fusion_training"]["trained"] is False
        assert "120 days" in told["fusion_training"]["reason"]
        assert space(running)["count"] > 0


def test_it_can_be_watched_from_start_to_end(shop: Running) -> None:
    with shop.http.stream("GET", f"{V1}/operations/stream", timeout=240) as answer:
        stream = messages(answer)
        next(stream)
        job_id = begun(shop, **QUICK)
        seen: list[tuple[str, str]] = []
        for one in stream:
            seen.append((one["channel"], one["payload"]["event"]))
            if one["payload"]["event"] in ("complete", "failed") and one["channel"] == "refresh":
                break
        assert one["payload"]["job_id"] == job_id
        assert one["payload"]["status"] == "done"
    assert seen.index(("refresh", "start")) < seen.index(("hgt_training", "start"))
    assert seen.index(("hgt_training", "start")) < seen.index(("hgt_training", "epoch"))
    assert seen.index(("hgt_training", "complete")) < seen.index(("fusion_training", "start"))
    assert {("fusion_training", "epoch"), ("fusion_training", "complete"), ("refresh", "stage")} <= set(seen)
    told = shop.http.get(f"{V1}/operations/metrics").json()
    assert (told["refresh"]["state"], told["refresh"]["job_id"]) == ("done", job_id)
    assert told["refresh"]["retrain_loss"] == told["hgt_training"]["loss"][-1]
    for name in ("refresh", "hgt_training", "fusion_training"):
        assert (told[name]["stage"], told[name]["percent"]) == ("", 100), "what is done is at no stage"
    deeds = shop.http.get(f"{V1}/operations/status").json()["history"]
    assert {"refresh", "train", "embed"} <= {one["type"] for one in deeds}
    trained = {one["payload"]["model"] for one in deeds if one["type"] == "train"}
    assert {"hgt", "fusion"} <= trained


def messages(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data:"):
            yield json.loads(line[5:])


# -- the model alone


def test_a_training_tells_its_summary(shop: Running) -> None:
    form = {"epochs": 2, "seed": 7, "train_ratio": 0.7, "val_ratio": 0.15}
    answer = shop.http.post(TRAIN, json=form, params={"wait": True}, timeout=240)
    assert answer.status_code == 200, answer.text
    told = answer.json()["summary"]
    assert len(told["loss_history"]) == 2
    assert (told["epochs"], told["seed"], told["train_ratio"]) == (2, 7, 0.7)
    for part in ("val_metrics", "test_metrics"):
        (measures,) = [one for name, one in told[part].items() if name == "user / order / product"]
        assert measures.keys() >= {"auc", "pos_mean", "neg_mean"}
    (edges,) = [one for name, one in told["edge_statistics"].items() if name == "user / order / product"]
    assert edges.keys() >= {"train_pos", "val_pos", "test_pos", "val_neg", "test_neg"}
    assert told["node_counts"]["user"] >= 60
    assert told["duration_seconds"] > 0
    assert Path(told["graph_path"]).is_dir()


def test_parts_are_sampled_and_told(shop: Running) -> None:
    form = {"epochs": 1, "training_mode": "metis_sampling", "metis_num_parts": 2, "metis_seed": 5}
    with shop.http.stream("GET", f"{V1}/operations/stream", timeout=240) as answer:
        stream = messages(answer)
        next(stream)
        told = shop.http.post(TRAIN, json=form, params={"wait": True}, timeout=240).json()["summary"]
        training = (one["payload"]["event"] for one in stream if one["channel"] == "hgt_training")
        seen = list(itertools.takewhile(lambda event: event not in ("complete", "failed"), training))
    assert told["sampling_stats"]
    assert (told["metis_num_parts"], told["metis_seed"]) == (2, 5)
    assert seen.index("start") < seen.index("sampling_start") < seen.index("sampling_complete") < seen.index("epoch")


# -- faults


def test_a_second_refresh_is_refused_with_the_first(shop: Running) -> None:
    job_id = begun(shop, **LONG)
    try:
        for form in (QUICK, {}):
            answer = shop.http.post(REFRESH, json=form)
            assert (answer.status_code, answer.json()["code"]) == (409, "busy")
            assert answer.json()["job_id"] == job_id
            assert answer.json()["job_url"] == f"{V1}/jobs/{job_id}"
        training(shop, job_id)
        assert shop.http.post(TRAIN).status_code == 409
    finally:
        shop.http.post(f"{V1}/jobs/{job_id}/cancel")
    assert ended(shop, job_id)["status"] == "cancelled"


def test_a_full_refresh_waits_for_nobody_elses_training_of_the_model(shop: Running) -> None:
    job_id = shop.http.post(TRAIN, json={"epochs": 200}).json()["job_id"]
    try:
        answer = shop.http.post(REFRESH, json=QUICK)
        assert (answer.status_code, answer.json()["job_id"]) == (409, job_id)
    finally:
        shop.http.post(f"{V1}/jobs/{job_id}/cancel")
        ended(shop, job_id)


def test_cancelling_takes_the_stage_along_and_changes_nothing(shop: Running) -> None:
    before = space(shop)
    job_id = begun(shop, **LONG)
    stage = training(shop, job_id)
    shop.http.post(f"{V1}/jobs/{job_id}/cancel").raise_for_status()
    assert ended(shop, job_id)["status"] == "cancelled"
    assert ended(shop, stage)["status"] == "cancelled"
    assert space(shop)["version"] == before["version"]
    assert space(shop)["built_at"] == before["built_at"]


def test_a_training_that_fails_fails_the_refresh_with_its_reason(shop: Running) -> None:
    before = space(shop)
    job_id = begun(shop, **LONG)
    stage = training(shop, job_id)
    os.kill(child_of(stage).pid, signal.SIGKILL)
    job = ended(shop, job_id)
    assert job["status"] == "failed"
    assert "SIGKILL" in job["error"]
    assert stage in job["error"]
    assert space(shop)["built_at"] == before["built_at"]
    answer = shop.http.get(f"{V1}/operations/metrics").json()["refresh"]
    assert (answer["state"], answer["error"]) == ("failed", job["error"])


def test_a_refresh_whose_own_process_is_killed_takes_the_stage_along(shop: Running) -> None:
    before = space(shop)
    job_id = begun(shop, **LONG)
    stage = training(shop, job_id)
    os.kill(child_of(job_id).pid, signal.SIGKILL)
    job = ended(shop, job_id)
    assert (job["status"], "SIGKILL" in job["error"]) == ("failed", True)
    assert ended(shop, stage)["status"] == "cancelled"
    assert space(shop)["built_at"] == before["built_at"]


@pytest.mark.timeout(600)
def test_the_whole_shop_is_killed_half_way(tmp_path: Path) -> None:
    """The next start serves the vectors of before, and goes on where it was: the training is not done again."""
    with serving(tmp_path) as running:
        running.shop.log.append(history()).result()
        refreshed(running, **QUICK)
        before = space(running)
    killed = subprocess.run([sys.executable, DYING, tmp_path], timeout=240, check=False)
    assert killed.returncode == -signal.SIGKILL
    with serving(tmp_path) as again:
        assert space(again)["built_at"] >= before["built_at"]
        job = again.http.get(f"{V1}/jobs", params={"kind": "refresh"}).json()["items"][0]
        assert job["requested_by"] == "dying"
        done = ended(again, job["job_id"])
        assert done["status"] == "done", done["error"]
        assert space(again)["built_at"] > before["built_at"]
        versions = again.http.get(f"{V1}/models/hgt/versions").json()["items"]
        assert [one["version"] for one in versions] == [2, 1]
