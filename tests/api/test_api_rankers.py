"""A ranker from a table over HTTP: trained, asked with texts and gaps, and refused what it cannot read."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from api_server import Running

V1 = "/api/v1"

N = 600


@pytest.fixture(scope="module")
def visits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    random = np.random.default_rng(3)
    town = random.choice(["York", "Leeds", "Hull"], N)
    chance = np.select([town == "York", town == "Leeds"], [0.85, 0.5], 0.1)
    frame = pl.DataFrame({"town": town, "Preis €": random.normal(size=N).round(3), "bought": random.random(N) < chance})
    path = tmp_path_factory.mktemp("visits") / "visits.csv"
    frame.write_csv(path)
    return path


@pytest.fixture(scope="module")
def trained(live: Running, visits: Path) -> Running:
    for algorithm in ("lgbm", "xgb", "deepfm"):
        form = {"algorithm": algorithm, "source": {"kind": "file", "path": str(visits), "label": "bought"}}
        answer = live.http.post(f"{V1}/models/visits_{algorithm}/train", json=form)
        assert answer.status_code == 202, answer.text
        job = answer.json()["job_id"]
        with live.http.stream("GET", f"{V1}/jobs/{job}/events", timeout=240) as events:
            for _ in events.iter_lines():
                pass
        done = live.http.get(f"{V1}/jobs/{job}").json()
        assert done["status"] == "done", done["error"]
    return live


@pytest.mark.parametrize("model", ["visits_xgb", "visits_lgbm", "visits_deepfm"])
def test_rows_with_texts_and_gaps_are_scored(trained: Running, model: str) -> None:
    rows = [{"town": "York", "Preis €": 0}, {"town": "Hull", "Preis €": 0}, {"town": "Nowhere"}, {}]
    said = trained.http.post(f"/predictions/{model}", json={"data": rows}).json()["predictions"]
    assert said[0] > 0.6 > 0.4 > said[1]
    assert all(0 <= one <= 1 for one in said)


@pytest.mark.parametrize(
    ("row", "code", "field"),
    [
        ({"Preis €": "much"}, "not_a_number", "data[0].Preis €"),
        ({"Preis €": 1e39}, "not_a_number", "data[0].Preis €"),
        ({"town": ["York"], "Preis €": 1}, "not_a_category", "data[0].town"),
    ],
)
def test_what_it_cannot_read_is_named(trained: Running, row: dict, code: str, field: str) -> None:
    answer = trained.http.post("/predictions/visits_xgb", json={"data": [row]})
    assert (answer.status_code, answer.json()["code"]) == (400, code)
    assert answer.json()["errors"][0]["field"] == field


def test_the_version_tells_what_the_check_found(trained: Running) -> None:
    found = trained.http.get(f"{V1}/models/visits_xgb/versions/1").json()
    assert found["feature_names"] == ["town", "Preis €"]
    assert any("of the labels are 1" in one["message"] for one in found["data"]["findings"])
    assert found["metrics"]["onnx_max_difference"] <= 1e-6
    assert {"trees.onnx", "trees.ubj", "schema.json"} <= {one["name"] for one in found["files"]}


@pytest.mark.parametrize("model", ["visits_xgb", "visits_lgbm", "visits_deepfm"])
def test_the_version_tells_what_its_answers_hang_on(trained: Running, model: str) -> None:
    told = trained.http.get(f"{V1}/models/{model}/versions/1").json()["data"]["importance"]
    assert next(iter(told)) == "town"
    assert told["town"] > 0.5


def test_a_net_is_kept_with_a_form_in_int8_and_what_that_loses(trained: Running) -> None:
    found = trained.http.get(f"{V1}/models/visits_deepfm/versions/1").json()
    assert {"net.onnx", "net.int8.onnx", "schema.json"} <= {one["name"] for one in found["files"]}
    assert found["metrics"]["int8_auc"] == pytest.approx(found["metrics"]["auc"], abs=0.02)
    assert found["metrics"]["onnx_max_difference"] <= 1e-5


def test_missing_features_are_counted(trained: Running) -> None:
    trained.http.post("/predictions/visits_xgb", json={"data": [{"town": "York"}]})
    assert 'feature_missing_total{feature="Preis €"}' in trained.http.get("/metrics").text


def test_a_table_that_gives_the_answer_away_fails_with_the_sentence(live: Running, visits: Path) -> None:
    leak = visits.with_name("leak.csv")
    pl.read_csv(visits).with_columns(pl.col("bought").cast(pl.Int8).alias("paid")).write_csv(leak)
    form = {"algorithm": "xgb", "source": {"kind": "file", "path": str(leak), "label": "bought"}}
    job = live.http.post(f"{V1}/models/leaky/train", json=form).json()["job_id"]
    with live.http.stream("GET", f"{V1}/jobs/{job}/events", timeout=240) as events:
        for _ in events.iter_lines():
            pass
    done = live.http.get(f"{V1}/jobs/{job}").json()
    assert done["status"] == "failed"
    assert "paid says the same as bought" in done["error"]


def test_an_algorithm_of_uploads_is_not_trained(live: Running) -> None:
    answer = live.http.post(f"{V1}/models/mine/train", json={"algorithm": "onnx"})
    assert answer.status_code == 422
    assert answer.json()["code"] == "uploads_only"
