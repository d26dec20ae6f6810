"""The stock paths: a model of a product, a store or a category is trained, addressed, loaded and asked as such."""

from __future__ import annotations

import io
from datetime import date, timedelta
from typing import Any
from urllib.parse import quote

import pytest
from api_server import Running
from stock_orders import trained


def predicted(stock: Running, **form: Any) -> dict[str, Any]:
    answer = stock.http.post("/api/prediction", json=form)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def today(stock: Running) -> date:
    from shopkeeper.core.days import date_of

    return date_of(stock.shop.panel.last_complete_day(stock.shop.clock.now()) + 1)


def test_each_scope_has_a_model_of_its_own(stock: Running) -> None:
    found = {one["model_uid"]: one for one in stock.http.get("/api/models").json()["data"]}
    assert set(found) >= {
        "product_tea_all_seasonal_naive_v1",
        "store_S1_all_seasonal_naive_v1",
        "category_drinks_all_seasonal_naive_v1",
        "global_all_all_seasonal_naive_v1",
    }
    tea = found["product_tea_all_seasonal_naive_v1"]
    assert (tea["model"], tea["scope"]) == ("sales_seasonal_naive", "product:tea")
    assert (tea["training_mode"], tea["product_id"], tea["best"]) == ("product", "tea", True)
    only = stock.http.get("/api/models", params={"training_mode": "store", "store_id": "S1"}).json()["data"]
    assert [one["model_uid"] for one in only] == ["store_S1_all_seasonal_naive_v1"]
    detail = stock.http.get("/api/models/product_tea_all_seasonal_naive_v1").json()["data"]
    assert (detail["model"], detail["scope"]) == ("sales_seasonal_naive", "product:tea")
    assert detail["data"]["series"] == 1


@pytest.mark.parametrize(
    ("uid", "item", "store", "category"),
    [
        ("product_tea_all_seasonal_naive_v1", "tea", None, None),
        ("store_S1_all_seasonal_naive_v1", None, "S1", None),
        ("category_drinks_all_seasonal_naive_v1", None, None, "drinks"),
        ("global_all_all_seasonal_naive_v1", None, None, None),
    ],
)
def test_a_uid_answers_with_that_version_for_what_it_has_learned(
    stock: Running, uid: str, item: str | None, store: str | None, category: str | None
) -> None:
    data = predicted(stock, model_uid=uid, future_days=7)
    assert (data["model_uid"], data["fallback"]) == (uid, None)
    assert (data["product_id"], data["store_id"], data["category"]) == (item, store, category)
    assert len(data["predictions"]) == 7


def test_a_model_of_everything_answers_for_one_product(stock: Running) -> None:
    data = predicted(stock, model_uid="global_all_all_seasonal_naive_v1", product_id="mug", future_days=7)
    assert (data["model_uid"], data["product_id"]) == ("global_all_all_seasonal_naive_v1", "mug")
    week = sum(day["predicted_sales"] for day in data["predictions"])
    assert 6 <= week <= 18
    total = predicted(stock, training_mode="global", future_days=7)
    assert sum(day["predicted_sales"] for day in total["predictions"]) > 3 * week


def test_a_model_of_everything_answers_for_one_store(stock: Running) -> None:
    data = predicted(stock, model_uid="global_all_all_seasonal_naive_v1", store_id="S2", future_days=7)
    assert (data["model_uid"], data["store_id"]) == ("global_all_all_seasonal_naive_v1", "S2")
    total = predicted(stock, training_mode="global", future_days=7)
    there, everywhere = (sum(day["predicted_sales"] for day in one["predictions"]) for one in (data, total))
    assert there < 0.8 * everywhere


def test_a_type_means_the_narrowest_model_that_has_learned_it(stock: Running) -> None:
    tea = predicted(stock, product_id="tea", model_type="seasonal_naive")
    china = predicted(stock, training_mode="category", category="china", model_type="seasonal_naive")
    assert tea["model_uid"] == "product_tea_all_seasonal_naive_v1"
    assert china["model_uid"] == "global_all_all_seasonal_naive_v1"  # nobody trains one of china
    there = predicted(stock, product_id="tea", store_id="S2", model_type="seasonal_naive", version=1)
    assert (there["store_id"], there["model_uid"]) == ("S2", "product_tea_all_seasonal_naive_v1")
    assert there["predictions"][0]["predicted_sales"] < tea["predictions"][0]["predicted_sales"] or (
        tea["predictions"][0]["predicted_sales"] == 0
    )


def test_a_day_in_the_past_is_forecast_as_if_it_were_now(stock: Running) -> None:
    start = today(stock) - timedelta(days=10)
    data = predicted(stock, product_id="tea", model_type="seasonal_naive", start_date=start.isoformat(), future_days=14)
    assert data["start_date"] == data["predictions"][0]["date"] == start.isoformat()
    assert data["history"][-1]["date"] == (start - timedelta(days=1)).isoformat()
    assert [day["date"] for day in data["actual"]] == [(start + timedelta(days=k)).isoformat() for k in range(10)]
    assert data["saw_it"] is False  # the version was measured on these days, and learned from none of them
    body = {"product_id": "tea", "model_type": "seasonal_naive", "future_days": 2}
    assert predicted(stock, **body, start_date=(start - timedelta(days=30)).isoformat())["saw_it"] is True
    long_ago = predicted(stock, product_id="tea", start_date="1990-01-01", future_days=2)
    assert (long_ago["history"], long_ago["fallback"]) == ([], "no sales before 1990-01-01: little is known")


def test_days_ahead_may_begin_later(stock: Running) -> None:
    later = {"start_date": (today(stock) + timedelta(days=3)).isoformat()}
    now = predicted(stock, product_id="tea", future_days=5)
    then = predicted(stock, product_id="tea", future_days=2, **later)
    assert then["predictions"] == now["predictions"][3:]


def test_several_models_are_compared_on_the_same_days(stock: Running) -> None:
    uids = ["product_tea_all_seasonal_naive_v1", "global_all_all_seasonal_naive_v1"]
    body = {"model_uids": uids, "future_days": 7}
    ahead = stock.http.post("/api/prediction/compare", json=body).json()["data"]
    assert list(ahead["predictions"]) == uids
    assert ahead["measured_on"] == "holdout"
    assert ahead["metrics"][uids[0]]["wape"] > 0
    start = (today(stock) - timedelta(days=7)).isoformat()
    past = stock.http.post("/api/prediction/compare", json={**body, "start_date": start}).json()["data"]
    assert (past["measured_on"], len(past["actual"])) == ("what came", 7)
    assert set(past["metrics"]) == {*uids, "seasonal_naive"}
    assert past["metrics"][uids[0]]["days"] == 7


def test_an_analysis_says_what_moves_it(stock: Running) -> None:
    analysis = predicted(stock, product_id="tea", future_days=14, analyze_result=True)["analysis"]
    assert analysis["trend"]["type"] in ("up", "down", "flat")
    assert analysis["statistics"]["total"] > 0
    assert len(analysis["day_over_day"]) == 14
    assert analysis["text"]
    explained = stock.http.get("/api/v1/forecast/tea/explain", params={"horizon": 14}).json()
    assert explained["base_value"] + sum(explained["values"].values()) == pytest.approx(explained["total"], abs=1e-3)
    assert (explained["item_id"], explained["units"]) == ("tea", "units sold")


def test_a_category_and_a_store_have_forecasts_by_the_newer_door_too(stock: Running) -> None:
    url = "/api/v1/forecast"
    drinks = stock.http.get(url, params={"scope": "category", "category": "drinks", "horizon": 7}).json()
    tea = stock.http.get(f"{url}/tea", params={"horizon": 7}).json()
    assert (drinks["scope"], drinks["category"], drinks["item_id"]) == ("category", "drinks", None)
    assert drinks["history"] == tea["history"]
    assert tea["category"] == "drinks"
    there = stock.http.get(url, params={"scope": "store", "store_id": "S2", "horizon": 7}).json()
    assert (there["scope"], there["store_id"]) == ("store", "S2")
    assert stock.http.get(url, params={"scope": "category"}).json()["code"] == "missing_id"
    assert stock.http.get(url, params={"category": "drinks"}).json()["code"] == "two_scopes"
    assert stock.http.get(url, params={"scope": "category", "category": "x"}).status_code == 404


def test_versions_are_exported_imported_and_removed_but_the_best(stock: Running) -> None:
    form = {"training_mode": "store", "store_id": "S2", "model_type": "seasonal_naive", "hyperparameters": {}}
    trained(stock, form)
    uid = "store_S2_all_seasonal_naive_v1"
    archive = stock.http.get(f"/api/models/{uid}/export")
    assert archive.headers["content-type"] == "application/gzip"
    again = stock.http.post("/api/models/import", files={"file": ("m.tar.gz", io.BytesIO(archive.content))})
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    best = stock.http.delete(f"/api/models/{uid}")
    assert (best.status_code, best.json()["code"]) == (409, "best_version")
    trained(stock, form)
    newer = "store_S2_all_seasonal_naive_v2"
    known = {one["model_uid"]: one["best"] for one in stock.http.get("/api/models").json()["data"]}
    other = newer if not known[newer] else uid
    assert stock.http.delete(f"/api/models/{other}").status_code == 200
    assert stock.http.get(f"/api/models/{other}").status_code == 404
    assert stock.http.post("/api/prediction", json={"model_uid": other}).json()["code"] == "unknown_model"
    junk = stock.http.post("/api/models/import", files={"file": ("m.tar.gz", io.BytesIO(b"no archive"))})
    assert (junk.status_code, junk.json()["code"]) == (400, "bad_archive")


def test_a_model_under_another_name_has_a_uid_too(stock: Running) -> None:
    made = stock.http.post("/api/v1/models/mine/train", json={"algorithm": "seasonal_naive"})
    assert stock.shop.jobs.wait(made.json()["job_id"], 120).status == "done"
    uid = "global_all_all_model-mine_v1"
    assert stock.http.get(f"/api/models/{uid}").json()["data"]["model"] == "mine"
    assert predicted(stock, model_uid=uid)["model_uid"] == uid


def test_a_product_with_underscores_and_spaces_is_found_by_its_uid(stock: Running) -> None:
    from shopkeeper.api.stocknames import find
    from shopkeeper.core.errors import NotFound

    for uid in ("product_a_b_all_seasonal_naive_v1", "product_tea_all_seasonal_naive_v99", "tea", "_v1", "%_v1"):
        with pytest.raises(NotFound):
            find(stock.shop, uid)
        assert stock.http.get(f"/api/models/{quote(uid)}").status_code == 404


def test_a_training_is_listed_and_tells_its_losses(stock: Running) -> None:
    task = stock.http.get("/api/training", params={"status": "completed"}).json()["data"][-1]["task_id"]
    one = stock.http.get(f"/api/training/{task}").json()["data"]
    assert (one["status"], one["progress"], one["error"]) == ("completed", 100.0, None)
    assert stock.http.get(f"/api/training/{task}/loss").json()["data"] == []  # nothing to learn by epochs
    done = stock.http.post(f"/api/training/{task}/cancel")
    assert (done.status_code, done.json()["code"]) == (409, "finished")


def test_a_backtest_measures_the_past(stock: Running) -> None:
    body = {"models": ["seasonal_naive"], "windows": 2, "horizon": 7, "scope": "product:tea"}
    done = stock.http.post("/api/v1/forecast/backtest", params={"wait": True}, json=body)
    assert done.status_code == 200, done.text
    measured = done.json()["models"]["seasonal_naive"]["metrics"]
    assert measured["wape"] >= 0
    assert len(done.json()["cutoffs"]) == 2


def test_a_net_learns_by_epochs_and_another_training_goes_on_from_it(stock: Running) -> None:
    brief = {"epochs": 2, "width": 8, "steps": 20, "lookback": 28, "horizon": 7}
    form = {"training_mode": "store", "store_id": "S2", "model_type": "nhits", "hyperparameters": brief}
    first = trained(stock, form)
    curve = stock.http.get(f"/api/training/{first}/loss").json()["data"]
    assert [one["epoch"] for one in curve] == [1, 2]
    assert all(one["train"] > 0 and one["val"] > 0 for one in curve)
    told = [one for one in stock.shop.jobs.events(first) if one.type == "epoch"]
    assert len(told) == 2
    second = trained(stock, {**form, "start_from": "store_S2_all_nhits_v1"})
    version = stock.http.get("/api/models/store_S2_all_nhits_v2").json()["data"]
    assert version["data"]["start_from"] == 1
    begun = stock.http.get(f"/api/training/{second}/loss").json()["data"][0]["train"]
    assert begun < curve[0]["train"]  # it need not learn again what the first one knew
    assert len(predicted(stock, model_uid="store_S2_all_nhits_v2", future_days=10)["predictions"]) == 10
