"""Kept predictions, stores and products on the page of forecasts of the real bundled shop."""

from __future__ import annotations

from typing import Any

from console_world import go, holds, keep, pick, press, turn, write

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.records import Store


def _side(page: Any, name: str) -> None:
    go(page, "Forecasts")
    turn(page, name)


def test_a_person_looks_back_at_a_prediction_and_takes_it_away(shop: dict[str, Any], page: Any) -> None:
    with ShopkeeperClient(shop["url"]) as client:
        first = client.predict_sales(future_days=7, analyze=True)["prediction_id"]
        other = client.predict_sales(product_id="22423", future_days=14)["prediction_id"]
        _side(page, "Kept predictions")
        page.get_by_text(f"kept as prediction {other}").first.wait_for()  # the newest first
        page.locator(".js-plotly-plot:visible").first.wait_for()
        keep(page, "predictions")
        page.get_by_role("combobox", name="Look at a prediction").click()
        page.get_by_role("option").nth(1).click()
        page.get_by_text(f"kept as prediction {first}").first.wait_for()
        page.get_by_text("pieces expected in 7 days").first.wait_for()
        press(page, "Delete")
        press(page, "Yes")
        page.get_by_text("is deleted.").first.wait_for()
        assert first not in {one["prediction_id"] for one in client.prediction_history().items}


def test_a_person_keeps_the_list_of_stores_and_loses_a_race(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    _side(page, "Stores")
    with ShopkeeperClient(shop["url"]) as client:
        pick(page, "Edit", "+ a new store")
        expect(page.get_by_role("textbox", name="Store id")).to_have_count(1)
        press(page, "Save")
        page.get_by_text("A store needs an id.").first.wait_for()
        write(page.get_by_role("textbox", name="Store id"), "north")
        write(page.get_by_role("textbox", name="Name", exact=True), "North 🏬")
        write(page.get_by_role("textbox", name="Place"), "Station road 1")
        press(page, "Save")
        page.get_by_text("North 🏬 · north is saved.").first.wait_for()
        assert client.store("north") == Store(store_id="north", name="North 🏬", location="Station road 1")

        # somebody else says where it is, meanwhile
        place = page.get_by_role("textbox", name="Place")
        expect(page.get_by_role("textbox", name="Store id")).to_have_count(0)
        holds(place, "Station road 1")
        client.put_store(Store(store_id="north", name="North 🏬", location="Harbour 2"))
        write(place, "Market 3")
        press(page, "Save")
        page.get_by_text("Somebody else has changed it meanwhile.").first.wait_for()
        expect(place).to_have_count(1)  # the one of before stays while the page is made anew
        holds(place, "Market 3")  # nobody loses what they typed
        keep(page, "store-race")
        assert client.store("north").location == "Harbour 2"
        page.get_by_role("button", name="Load again").click()
        holds(place, "Harbour 2")
        press(page, "Delete")
        press(page, "Yes")
        page.get_by_text("is deleted.").first.wait_for()
        assert "north" not in {one.store_id for one in client.stores()}


def test_a_person_looks_at_a_product(page: Any) -> None:
    _side(page, "Products")
    find = page.get_by_role("textbox", name="Product: part of its name")
    find.first.wait_for()
    write(find, "regency cakestand")
    find.press("Enter")
    page.get_by_text("Days with a sale").first.wait_for()
    page.locator(".js-plotly-plot:visible").nth(1).wait_for()
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    keep(page, "products")
    write(find, "no such thing")
    find.press("Enter")
    page.get_by_text("There is none in this shop.").first.wait_for()
