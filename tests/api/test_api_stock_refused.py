"""What the stock paths refuse: with which code, and naming what."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.core.days import date_of
from shopkeeper.forecast.answering.asking import Question

TRAIN = {"training_mode": "product", "product_id": "tea", "model_type": "seasonal_naive"}
PREDICT = {"product_id": "tea", "future_days": 3}
TWO = ["product_tea_all_seasonal_naive_v1", "global_all_all_seasonal_naive_v1"]


def today(stock: Running) -> date:
    return date_of(stock.shop.panel.last_complete_day(stock.shop.clock.now()) + 1)


def refused(stock: Running, path: str, body: Any, status: int, code: str, field: str | None = None) -> None:
    content = body if isinstance(body, bytes) else None
    answer = stock.http.post(path, content=content, json=None if content else body)
    told = answer.json()
    assert (answer.status_code, told["code"]) == (status, code), answer.text
    if path.startswith("/api/v1"):
        assert "status" not in told
    else:
        assert (told["status"], told["message"]) == ("error", told["detail"])
    if field is not None:
        assert told["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"product_id": "ghost"}, 404, "unknown_item", None),
        ({"training_mode": "store", "store_id": "moon"}, 404, "unknown_store", None),
        ({"store_id": "moon"}, 404, "unknown_store", None),
        ({"training_mode": "category", "category": "none"}, 404, "unknown_category", None),
        ({"start_from": "product_tea_all_kan_v9"}, 404, "unknown_model", None),
        ({"start_from": "global_all_all_seasonal_naive_v1"}, 400, "cannot_continue", "start_from"),
        ({"product_id": None}, 400, "missing_id", "product_id"),
        ({"training_mode": "store"}, 400, "missing_id", "store_id"),
        ({"training_mode": "category"}, 400, "missing_id", "category"),
        ({"training_mode": "planet"}, 400, "wrong_value", "training_mode"),
        ({"aggregation_method": "mode"}, 400, "wrong_value", "aggregation_method"),
        ({"model_type": "magic"}, 400, "unknown_model_type", "model_type"),
        ({"model_type": "xgb"}, 400, "unknown_model_type", "model_type"),
        ({"epochs": 0}, 400, "wrong_value", "epochs"),
        ({"epochs": 10_001}, 400, "wrong_value", "epochs"),
        ({"hyperparameters": {"epochs": 0}}, 400, "bad_param", "epochs"),
        ({"hyperparameters": {"learning_rate": 0}}, 400, "bad_param", "learning_rate"),
        ({"hyperparameters": {"batch_size": "many"}}, 400, "bad_param", "batch_size"),
        ({"hyperparameters": {"horizn": 3}}, 400, "unknown_param", "horizn"),
        ({"hyperparameters": {"horizon": 0}}, 400, "bad_param", "horizon"),
        ({"product_id": "a/b"}, 400, "bad_id", "product_id"),
    ],
)
def test_a_training_that_cannot_be(
    stock: Running, change: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    refused(stock, "/api/training", {**TRAIN, **change}, status, code, field)


def test_numbers_that_are_none(stock: Running) -> None:
    for text in (b'{"model_type":"seasonal_naive","hyperparameters":{"learning_rate":NaN}}', b"{", b""):
        refused(stock, "/api/training", text or b" ", 400, "not_json")


@pytest.mark.parametrize(
    ("change", "status", "code", "field"),
    [
        ({"product_id": "ghost"}, 404, "unknown_item", None),
        ({"product_id": "ghost", "model_type": "seasonal_naive"}, 404, "unknown_item", None),
        ({"store_id": "moon"}, 404, "unknown_store", None),
        ({"training_mode": "category", "category": "none"}, 404, "unknown_category", None),
        ({"model_uid": "product_tea_all_seasonal_naive_v99"}, 404, "unknown_model", None),
        ({"model_type": "seasonal_naive", "version": 77}, 404, "unknown_model", None),
        ({"model_type": "autoets"}, 404, "unknown_model", None),
        ({"version": 3}, 400, "missing_id", "model_type"),
        ({"training_mode": "store"}, 400, "missing_id", "store_id"),
        ({"model_uid": TWO[0], "product_id": "mug"}, 400, "different_scopes", "product_id"),
        ({"future_days": 0}, 400, "wrong_value", "future_days"),
        ({"future_days": 366}, 400, "wrong_value", "future_days"),
        ({"start_date": "soon"}, 400, "bad_date", "start_date"),
        ({"start_date": "2026-02-30"}, 400, "bad_date", "start_date"),
        ({"start_date": "9999-01-01"}, 400, "out_of_bounds", "start_date"),
        ({"start_date": "1900-01-01"}, 400, "out_of_bounds", "start_date"),
        ({"history_days": -1}, 400, "wrong_value", "history_days"),
    ],
)
def test_a_prediction_that_cannot_be(
    stock: Running, change: dict[str, Any], status: int, code: str, field: str | None
) -> None:
    before = stock.http.get("/api/prediction/history").json()["total"]
    refused(stock, "/api/prediction", {**PREDICT, **change}, status, code, field)
    assert stock.http.get("/api/prediction/history").json()["total"] == before


def test_days_beyond_a_year_ahead(stock: Running) -> None:
    later = (today(stock) + timedelta(days=360)).isoformat()
    refused(stock, "/api/prediction", {**PREDICT, "start_date": later, "future_days": 6}, 400, "out_of_bounds")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"model_uids": TWO[:1]}, 400, "wrong_value"),
        ({"model_uids": [f"global_all_all_kan_v{k}" for k in range(1, 12)]}, 400, "wrong_value"),
        ({"model_uids": [TWO[0], TWO[0]]}, 400, "repeated"),
        ({"model_uids": [TWO[0], "none_v1"]}, 404, "unknown_model"),
        ({"model_uids": TWO, "product_id": "tea", "category": "drinks"}, 400, "two_scopes"),
        ({"model_uids": TWO, "product_id": "ghost"}, 404, "unknown_item"),
        ({}, 400, "wrong_value"),
    ],
)
def test_a_comparison_that_cannot_be(stock: Running, body: dict[str, Any], status: int, code: str) -> None:
    refused(stock, "/api/prediction/compare", body, status, code)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"models": ["magic"]}, 400, "unknown_algorithm"),
        ({"models": ["xgb"]}, 400, "bad_param"),
        ({"models": []}, 400, "wrong_value"),
        ({"models": ["seasonal_naive"] * 11}, 400, "wrong_value"),
        ({"models": ["seasonal_naive"], "windows": 0}, 400, "wrong_value"),
        ({"models": ["seasonal_naive"], "horizon": 366}, 400, "wrong_value"),
        ({"models": ["seasonal_naive"], "scope": "planet:9"}, 400, "bad_scope"),
    ],
)
def test_a_backtest_that_cannot_be(stock: Running, body: dict[str, Any], status: int, code: str) -> None:
    refused(stock, "/api/v1/forecast/backtest", body, status, code)


def test_a_backtest_of_too_few_days_says_how_many(stock: Running) -> None:
    body = {"models": ["seasonal_naive"], "horizon": 300, "scope": "product:tea"}
    answer = stock.http.post("/api/v1/forecast/backtest", params={"wait": True}, json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "job_failed")
    assert "are needed" in answer.json()["detail"]


def test_the_same_training_twice_and_one_that_is_cancelled(stock: Running) -> None:
    forms = [{**TRAIN, "product_id": product, "model_type": "theta"} for product in ("tea", "mug")]
    first, second = (stock.http.post("/api/training", json=form).json()["data"]["task_id"] for form in forms)
    again = stock.http.post("/api/training", json=forms[1])
    assert (again.status_code, again.json()["code"], again.json()["job_id"]) == (409, "busy", second)
    cancelled = stock.http.post(f"/api/training/{second}/cancel")
    assert cancelled.status_code == 202
    assert stock.shop.jobs.wait(second, 60).status == "cancelled"
    assert stock.http.get(f"/api/training/{second}").json()["data"]["status"] == "cancelled"
    assert stock.http.get("/api/models", params={"product_id": "mug", "model_type": "theta"}).json()["data"] == []
    assert stock.shop.jobs.wait(first, 120).status == "done"
    assert stock.http.post(f"/api/training/{second}/cancel").json()["code"] == "finished"
    for path in ("", "/loss"):
        assert stock.http.get(f"/api/training/none{path}").json()["code"] == "unknown_job"


def test_a_lost_file_is_no_lost_prediction(stock: Running) -> None:
    made = stock.http.post("/api/prediction", json=PREDICT).json()["data"]
    url = f"/api/prediction/history/{made['prediction_id']}"
    assert stock.http.get(url).json()["data"] == made
    (stock.shop.home.predictions / f"{made['prediction_id']}.json").unlink()
    for _ in range(2):
        found = stock.http.get(url).json()["data"]
        assert (found["repaired"], found["model_uid"]) == (True, made["model_uid"])
        assert [day["date"] for day in found["predictions"]] == [day["date"] for day in made["predictions"]]
        assert found["history"] == made["history"]
    line = stock.http.get("/api/prediction/history", params={"product_id": "tea", "limit": 1}).json()["data"][0]
    assert (line["prediction_id"], line["future_days"]) == (made["prediction_id"], 3)
    assert stock.http.delete(url).status_code == 200
    assert stock.http.get(url).json()["code"] == "unknown_prediction"
    assert stock.http.delete(url).status_code == 404
    assert stock.http.get("/api/prediction/history", params={"cursor": "?"}).status_code == 400


def test_a_full_disk_keeps_nothing(stock: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    before = stock.http.get("/api/prediction/history").json()["total"]
    monkeypatch.setattr("shopkeeper.forecast.answering.predictions.write_durably", full)
    refused(stock, "/api/prediction", PREDICT, 503, "disk")
    assert stock.http.get("/api/prediction/history").json()["total"] == before


def test_a_shop_without_sales_has_nothing_to_predict_from(tmp_path: Path) -> None:
    with serving(tmp_path / "home", filled=False) as empty:
        refused(empty, "/api/prediction", {"training_mode": "global"}, 409, "no_data")
        assert empty.http.get("/api/v1/forecast", params={"horizon": 2}).json()["forecast"][1]["mean"] == 0


def test_nobody_waits_for_a_slow_forecast(stock: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop answers others meanwhile; of those who wait too, the last is sent away."""
    begun, goes_on = threading.Event(), threading.Event()
    said = stock.shop.forecast.said

    def slow(question: Question) -> Any:
        begun.set()
        assert goes_on.wait(60)
        return said(question)

    monkeypatch.setattr(stock.shop.forecast, "said", slow)
    monkeypatch.setattr(stock.shop.forecasting, "_most", 2)
    url = "/api/v1/forecast/tea"
    with ThreadPoolExecutor(2) as clients:
        waiting = [clients.submit(stock.http.get, url)]
        assert begun.wait(60)
        waiting.append(clients.submit(stock.http.get, url))
        assert stock.http.get("/livez").status_code == 200
        while stock.shop.forecasting._under_way < 2:
            assert stock.http.get("/livez").status_code == 200
        third = stock.http.get(url)
        assert (third.status_code, third.json()["code"]) == (429, "too_many_forecasts")
        assert third.headers["retry-after"]
        goes_on.set()
        assert [one.result().status_code for one in waiting] == [200, 200]
