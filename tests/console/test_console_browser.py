"""The console of the real bundled shop in a real browser: its frame, customers, rules, forecasts."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

from console_world import fill, go, holds, keep, pick, press, settled, turn, write

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.records import Event


def test_a_person_sees_how_the_shop_is_and_what_just_happened(shop: dict[str, Any], page: Any) -> None:
    page.get_by_role("heading", name="Overview", exact=True).wait_for()
    page.get_by_text("Not ready").first.wait_for()  # nothing is trained here, and it says what is missing
    page.locator(".js-plotly-plot:visible").nth(5).wait_for()
    with ShopkeeperClient(shop["url"]) as client:
        event = Event(event_type="wishlist_share", user_id="17850", item_id="22423")
        assert client.send(event).accepted == 1
    page.get_by_text("since opened").first.wait_for()
    keep(page, "overview")

    # vectors cannot be made anew where no graph model has learned yet: said where the button is
    press(page, "Begin")
    page.get_by_test_id("stAlert").first.wait_for()
    keep(page, "overview-refused")

    # the same in Chinese, and it stays so when the page is loaded anew
    page.get_by_label("Language · 语言").click()
    page.get_by_role("option", name="中文").click()
    page.get_by_role("heading", name="概览", exact=True).wait_for()
    page.reload()
    page.get_by_role("heading", name="概览", exact=True).wait_for()
    keep(page, "chinese")
    page.get_by_label("Language · 语言").click()
    page.get_by_role("option", name="English").click()
    page.get_by_role("heading", name="Overview", exact=True).wait_for()


def test_a_person_finds_a_customer_and_their_slate(page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Customers")
    box = page.get_by_role("textbox", name="Customer id")
    box.first.wait_for()
    write(box, "17850")
    box.press("Enter")
    page.get_by_text("big_spenders").first.wait_for()
    keep(page, "customer")
    for side, seen in (
        ("Why", "high_value"),
        ("Timeline", "page 1"),
        ("Graph", "user / order / product"),
        ("Suggested now", "scenario home · "),
        ("What if", "Nothing is stored."),
    ):
        turn(page, side)
        if side == "Suggested now":  # looking alone shows the customer nothing
            press(page, "Suggest", exact=True)
        page.get_by_text(seen).first.wait_for()
        keep(page, f"customer-{side.split()[0].lower()}")
    press(page, "See")
    page.get_by_text("+ champions").first.wait_for()
    keep(page, "customer-supposed")

    # a refresh is begun from here too, and is refused in words where no model has learned
    turn(page, "Profile")
    page.get_by_test_id("stExpander").get_by_text("Refresh", exact=True).click()
    pick(page, "Mode", "train, then vectors")
    page.get_by_role("spinbutton", name="Epochs", exact=True).first.wait_for()
    pick(page, "Mode", "vectors only")
    expect(page.get_by_role("spinbutton", name="Epochs", exact=True)).to_have_count(0)
    press(page, "Begin")
    page.get_by_test_id("stAlert").first.wait_for()
    keep(page, "customer-refresh")

    write(box, "nobody-of-this-name")
    box.press("Enter")
    page.get_by_text("No customer nobody-of-this-name in this shop.").first.wait_for()


def test_a_person_writes_a_rule_loses_a_race_and_takes_it_back(shop: dict[str, Any], page: Any) -> None:
    from playwright.sync_api import expect

    go(page, "Rules and segments")
    with ShopkeeperClient(shop["url"]) as client:
        # a new one, wrong at first
        pick(page, "Edit", "+ a new rule")
        expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_count(1)
        write(page.get_by_role("textbox", name="Name", exact=True), "keen 🛍 <b>")
        condition = page.get_by_role("textbox", name="Condition", exact=True)
        expect(condition).to_have_count(1)  # the one of the rule before is gone
        fill(condition, "ordrs > 3")
        page.get_by_text("did you mean 'orders'?").first.wait_for()
        assert page.get_by_role("button", name="Save").is_disabled()
        keep(page, "rule-wrong")
        fill(condition, "orders > 3")
        page.get_by_text("Holds for").first.wait_for()
        press(page, "Save")
        page.get_by_text("is saved as version 1").first.wait_for()
        assert client.rule("keen 🛍 <b>").condition == "orders > 3"

        # somebody else changes it while it is looked at
        expect(page.get_by_role("textbox", name="Name", exact=True)).to_have_count(0)
        expect(condition).to_have_count(1)
        holds(condition, "orders > 3")
        client.update_rule("keen 🛍 <b>", condition="orders > 4")
        fill(condition, "orders > 5")
        press(page, "Save")
        page.get_by_text("Somebody else has changed it meanwhile.").first.wait_for()
        holds(condition, "orders > 5")  # nobody loses what they typed
        keep(page, "rule-race")
        assert client.rule("keen 🛍 <b>").condition == "orders > 4"

        # back to what it said, then gone
        page.get_by_role("button", name="Load again").first.click()
        holds(condition, "orders > 4")
        press(page, "Bring back")
        page.get_by_text("is saved as version 3").first.wait_for()
        assert client.rule("keen 🛍 <b>").condition == "orders > 3"
        press(page, "Delete")
        press(page, "Yes")
        page.get_by_text("is deleted.").first.wait_for()
        assert "keen 🛍 <b>" not in {rule.name for rule in client.rules()}

        turn(page, "Segments")
        page.get_by_text("Size over time").first.wait_for()
        keep(page, "segments")
        press(page, "Export as CSV")
        with page.expect_download() as got:
            press(page, "Download", exact=True)
        assert got.value.suggested_filename == "at_risk.csv"


def test_a_person_trains_a_model_watches_it_and_asks_why(shop: dict[str, Any], page: Any) -> None:
    learned = "tcn" if find_spec("torch") else "lightgbm"
    small = {"epochs": 4, "steps": 20, "width": 8} if learned == "tcn" else {"rounds": 10}
    go(page, "Forecasts")
    page.locator(".js-plotly-plot:visible").first.wait_for()
    with ShopkeeperClient(shop["url"]) as client:
        # train: a form of the algorithm's own parameters, then what it learns while it learns
        turn(page, "Train")
        page.get_by_label("Algorithm").click()
        page.get_by_role("option", name=learned).first.click()
        for field, value in small.items():
            box = page.get_by_role("spinbutton", name=field, exact=True)
            box.first.wait_for()
            write(box, str(value))
            box.press("Tab")
        press(page, "Train", exact=True)
        page.get_by_text("v1 has learned.").first.wait_for(timeout=240_000)
        keep(page, "training")
        job = client.jobs(kind="train")[0]
        assert job.status == "done"
        assert {name: job.params["params"][name] for name in small} == small

        # the model that there is now, for one product, and the reasons for what it says
        page.get_by_label("Of what").click()
        page.get_by_role("option", name="Product", exact=True).click()
        search = page.get_by_label("Product: part of its name, or its code")
        search.first.wait_for()
        write(search, "regency cakestand")
        search.press("Enter")
        turn(page, "Look ahead")
        page.get_by_label("Models, the first with its intervals").last.click()
        page.get_by_role("option", name=f"({learned})").click()
        page.keyboard.press("Escape")
        press(page, "Why so many")
        page.get_by_text("kept as prediction").first.wait_for()
        keep(page, "forecasts")
        assert client.prediction_history().items[0]["model_type"] == learned

        # had we asked then, how far off?
        turn(page, "Look back")
        page.get_by_label("Of what").click()
        page.get_by_role("option", name="The whole shop", exact=True).click()
        params = page.get_by_role("textbox", name="Parameters of single algorithms, as JSON")
        write(params, '{"lightgbm": {"rouds": 10}}')
        params.press("Tab")
        press(page, "Measure it")
        page.get_by_text("did you mean 'rounds'?").first.wait_for()
        write(params, '{"lightgbm": {"rounds": 10}}')
        params.press("Tab")
        press(page, "Measure it")
        page.get_by_text("of every 100 pieces sold").first.wait_for(timeout=240_000)
        page.locator(".js-plotly-plot:visible").first.wait_for()
        settled(page)
        keep(page, "forecast-backtest")
        measured = client.jobs(kind="backtest")[0]
        assert measured.status == "done"
        assert len(measured.result["models"]) == 3

        turn(page, "Models")
        page.get_by_text("Measured on four weeks that the model had not seen.").first.wait_for()
        keep(page, "models")
