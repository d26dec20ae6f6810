"""The page of forecasts against a real shop with four months of sales; the page runs without a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient

if TYPE_CHECKING:
    from api_server import Running
    from streamlit.testing.v1 import AppTest

sys.path[:0] = [str(Path(__file__).parents[1] / "api")]
SCRIPT = """
import streamlit as st
from shopkeeper.console.views import forecasts

st.session_state.setdefault("language", "en")
forecasts.page()
"""
STORE = """
from shopkeeper.console.connection import client, told
from shopkeeper.console.stock import stores

with told():
    stores.show(client())
"""


@pytest.fixture(scope="module")
def stock(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Two models of one algorithm: the usual one of the stock paths, and one of another name."""
    from api_server import serving
    from stock_orders import opened, trained

    with serving(tmp_path_factory.mktemp("forecasts") / "home", filled=False) as running:
        opened(running.shop)
        trained(running, {"training_mode": "global", "model_type": "seasonal_naive"})
        with ShopkeeperClient(running.url) as client:
            for _ in range(2):  # the second one does not serve
                client.wait(client.train("mine", "seasonal_naive", promote=False).job_id)
            client.promote("mine", 1, force=True)
        yield running


@pytest.fixture
def script(stock: Running, monkeypatch: pytest.MonkeyPatch) -> type[AppTest]:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("SHOPKEEPER_URL", stock.url)
    return AppTest


def test_the_analysis_is_of_the_model_that_the_picture_shows(stock: Running, script: type[AppTest]) -> None:
    page = script.from_string(SCRIPT, default_timeout=60).run()
    chosen = page.multiselect(key="forecast_models").set_value(["mine (seasonal_naive)"]).run()
    asked = chosen.button(key="forecast_why").click().run()
    assert not asked.exception
    with ShopkeeperClient(stock.url) as client:
        kept = client.prediction_history().items[0]
    assert kept["model_uid"] == "global_all_all_model-mine_v1"
    assert any(kept["prediction_id"] in text.value for text in asked.caption)


def test_a_model_of_everything_speaks_of_one_store_where_that_is_asked(stock: Running, script: type[AppTest]) -> None:
    page = script.from_string(SCRIPT, default_timeout=60).run()
    page.selectbox(key="forecast_scope").set_value("store").run()
    page.multiselect(key="forecast_models").set_value(["mine (seasonal_naive)"]).run()
    page.button(key="forecast_why").click().run()
    assert not page.exception
    with ShopkeeperClient(stock.url) as client:
        kept = client.prediction_history().items[0]
        assert (kept["model_uid"], kept["store_id"]) == ("global_all_all_model-mine_v1", "S1")
        said = client.prediction(kept["prediction_id"])["predictions"]
        shown = client.total_forecast(28, store_id="S1", model="mine/1").forecast
    assert [day["predicted_sales"] for day in said] == [point.mean for point in shown]


def test_a_store_that_opened_long_ago_can_be_edited(stock: Running, script: type[AppTest]) -> None:
    from shopkeeper.core.records import Store

    with ShopkeeperClient(stock.url) as client:
        client.add_store(Store(store_id="1724", name="Old one", opening_date="1724-05-01"))
    page = script.from_string(STORE, default_timeout=60).run()
    page.selectbox(key="store_chosen").set_value("1724").run()
    assert not page.exception
    (field,) = page.date_input
    assert str(field.value) == "1724-05-01"


def test_how_far_off_it_would_have_been_is_measured_and_told(stock: Running, script: type[AppTest]) -> None:
    page = script.from_string(SCRIPT, default_timeout=60).run()
    page.number_input(key="forecast_horizon").set_value(14)
    page.segmented_control(key="forecasts_side").set_value("backtest").run()
    page.multiselect(key="backtest_models").set_value(["seasonal_naive"])
    page.text_area(key="backtest_params").set_value('{"seasonal_naive": {"seasn": 7}}')
    wrong = page.button(key="backtest_begin").click().run()
    assert "seasn" in wrong.error[0].value
    page.text_area(key="backtest_params").set_value("")
    page.number_input(key="backtest_windows").set_value(3)
    begun = page.button(key="backtest_begin").click().run()
    with ShopkeeperClient(stock.url) as client:
        job = client.wait(begun.session_state["backtest_job"])
    assert (job.params["windows"], job.params["horizon"], job.params["scope"]) == (3, 14, "all")
    assert job.result is not None
    told = page.run()
    assert not told.exception
    text = " ".join(one.value for one in told.markdown)
    days = job.result["cutoffs"]
    assert f"Asked on 3 days from {days[0]} to {days[-1]}, each time for the 14 days after it." in text
    off = job.result["leaderboard"][0]["wape"]
    assert f"off by {100 * off:.0f} of every 100 pieces sold" in text
    assert told.dataframe[0].value["WAPE"][0] == round(off, 3)
