"""The client's doors for forecasts and the stock paths, against a real server."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.days import date_of
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.records import Store

if TYPE_CHECKING:
    from api_server import Running


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving
    from stock_orders import opened

    with serving(tmp_path_factory.mktemp("client-stock"), filled=False) as made:
        opened(made.shop)
        yield made


@pytest.fixture
def shop(running: Running) -> Iterator[ShopkeeperClient]:
    with ShopkeeperClient(running.url) as client:
        yield client


def test_from_a_training_to_a_prediction_that_is_found_again(
    running: Running, shop: ShopkeeperClient, tmp_path: Path
) -> None:
    assert {one.name for one in shop.forecast_types()} >= {"seasonal_naive", "lightgbm"}
    task = shop.train_forecast("seasonal_naive", product_id="tea")["task_id"]
    with pytest.raises(NotFound):
        shop.train_forecast("seasonal_naive", product_id="ghost")
    assert shop.wait(task, every_s=0.1).status == "done"
    assert shop.forecast_training(task)["status"] == "completed"
    assert [one["task_id"] for one in shop.forecast_trainings("completed")] == [task]
    assert shop.training_loss(task) == []
    with pytest.raises(Conflict):
        shop.cancel_training(task)
    (model,) = shop.forecast_models(product_id="tea")
    uid = model["model_uid"]
    assert shop.forecast_model(uid)["scope"] == "product:tea"
    with pytest.raises(Conflict):
        shop.delete_forecast_model(uid)
    assert shop.export_forecast_model(uid, tmp_path / "m.tar.gz") > 100
    with pytest.raises(Conflict):
        shop.import_forecast_model(tmp_path / "m.tar.gz")

    past = date_of(running.shop.panel.last_complete_day(running.shop.clock.now())) - timedelta(days=6)
    made = shop.predict_sales(uid, future_days=7, start_date=past, analyze=True)
    assert (made["model_uid"], len(made["predictions"]), len(made["actual"])) == (uid, 7, 7)
    assert made["analysis"]["text"]
    assert shop.prediction(made["prediction_id"]) == made
    shop.predict_sales(store_id="S2")
    page = shop.prediction_history(limit=1)
    assert (page.items[0]["store_id"], page.total) == ("S2", 2)
    assert shop.prediction_history(cursor=page.next_cursor).items[0]["prediction_id"] == made["prediction_id"]
    shop.delete_prediction(made["prediction_id"])
    with pytest.raises(NotFound):
        shop.prediction(made["prediction_id"])
    with pytest.raises(Invalid):
        shop.compare_predictions([uid, uid])


def test_forecasts_of_every_scope_and_why(shop: ShopkeeperClient) -> None:
    assert shop.forecast("tea", 5, store_id="S1").store_id == "S1"
    assert shop.total_forecast(5, category="drinks").category == "drinks"
    assert shop.total_forecast(5, store_id="S2").scope == "store"
    why = shop.explain_forecast("tea", 5)
    assert why.base_value + sum(why.values.values()) == pytest.approx(why.total, abs=1e-3)
    job = shop.wait(shop.backtest(["seasonal_naive"], windows=1, horizon=7).job_id, every_s=0.1)
    assert job.result is not None
    assert list(job.result["models"]) == ["seasonal_naive"]


def test_products_stores_and_an_upload(shop: ShopkeeperClient, tmp_path: Path) -> None:
    assert [one["product_id"] for one in shop.products().items] == ["mug", "tea"]
    assert shop.product("tea")["data_points"] == len([row for row in shop.product_sales("tea") if row["sales"]])
    store = shop.add_store(Store(store_id="S7", name="Seventh"))
    assert shop.put_store(Store(store_id="S7", name="Seven")) == shop.store("S7") != store
    assert [one["product_id"] for one in shop.store_products("S2").items] == ["tea"]
    shop.delete_store("S7")
    assert "S7" not in {one.store_id for one in shop.stores()}
    (tmp_path / "sales.csv").write_text("date,product id,name,sales,price\n2026-08-01,jar,Jar,2,3.5\n")
    assert shop.upload_sales(tmp_path / "sales.csv")["accepted"] == 1
    assert shop.product("jar")["product_name"] == "Jar"
