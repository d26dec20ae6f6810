"""Names that are markup, Markdown, right-to-left or long are shown as the text that they are, on every page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from console_world import choose, fill, go, keep, pick, press, turn, write

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.records import Event, Item, Store

NAME = "<img src=x onerror=alert()> **bold** $a$ :smile: [ll](x.y)🛍"
"""As long as the name of a rule may be."""
WHO = f"<script>alert(2)<script> {NAME} مرحبا"
LONG = f"{WHO} `code` &lt; # 1. {'long ' * 100}"[:500].strip()
SOLD = "22423"
"""A product of the bundled shop with years of sales."""


def test_names_are_text(shop: dict[str, Any], page: Any, tmp_path: Path) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: (dialogs.append(dialog.message), dialog.dismiss()))
    with ShopkeeperClient(shop["url"]) as client:
        job_id = _named(client, tmp_path)
        page.get_by_role("heading", name="Overview", exact=True).wait_for()
        keep(page, "names-overview")
        _customer(page)
        _rules(page)
        _recommendations(page)
        _data(page)
        client.wait(job_id)
        client.predict_sales(category=NAME, future_days=7)
        _stock(page)
        _running(page, job_id)
    assert dialogs == []


def _named(client: ShopkeeperClient, folder: Path) -> str:
    """Everything that a person may name, made over the API. The job that trains a model of a category."""
    client.put_item(Item(item_id="named", name=LONG, category=NAME, price=1.0))
    client.put_item(msgspec.structs.replace(client.item(SOLD), category=NAME))
    client.add_store(Store(store_id="named", name=LONG, location=NAME))
    event = Event(event_type="order", user_id=WHO, item_id="named", store_id="named", quantity=1, unit_price=2.0)
    event.context = {NAME: WHO}
    assert client.send(event).accepted == 1
    client.create_rule(NAME, condition="orders >= 0", description=LONG, action=NAME)
    client.create_segment(NAME, "orders == 1", LONG)
    variants = [{"name": NAME}, {"name": "**other**", "config": {"diversity": 0.7}}]
    plan = {"name": WHO, "target": {"scenario": "home"}, "metric": "orders", "variants": variants}
    client.start_experiment(client.create_experiment(plan).experiment_id)
    file = folder / f"{NAME}.csv"
    file.write_text(f"order date,customer,sku,qty,price,**place**\n2026-01-01,{NAME},named,2,3.5,{NAME}\n")
    client.upload(file)
    return client.train("named", "seasonal_naive", scope=f"category:{NAME}").job_id


def _customer(page: Any) -> None:
    """Found, in the segment, by the rule, beside the item."""
    go(page, "Customers")
    box = page.get_by_role("textbox", name="Customer id")
    box.first.wait_for()
    write(box, WHO)
    box.press("Enter")
    _as_text(page, NAME)
    keep(page, "names-customer")
    for side, seen in (("Why", "hold"), ("Graph", "Neighbours"), ("Suggested now", "scenario home · ")):
        turn(page, side)
        if side == "Suggested now":
            press(page, "Suggest", exact=True)
        page.get_by_text(seen).first.wait_for()
        if side == "Why":
            _as_text(page, NAME)
        if side == "Graph":  # names in the picture are shortened
            page.locator(".js-plotly-plot").get_by_text(LONG[:25]).first.wait_for()
        keep(page, f"names-{side.split()[0].lower()}")
    write(box, f"{WHO}?")
    box.press("Enter")
    _as_text(page, f"No customer {WHO}? in this shop.")


def _rules(page: Any) -> None:
    """Chosen, saved, asked about."""
    go(page, "Rules and segments")
    for side, thing in (("Rules", "rule"), ("Segments", "segment")):
        turn(page, side)
        pick(page, "Edit", NAME)
        condition = page.get_by_role("textbox", name="Condition", exact=True)
        _stands(page)
        fill(condition, "orders >= 1")
        press(page, "Save")
        _as_text(page, f"{NAME} is saved as version 2")
        press(page, "Delete")
        _as_text(page, f"The {thing} {NAME}")
        keep(page, f"names-{thing}")
        press(page, "No", exact=True)


def _recommendations(page: Any) -> None:
    """A slate for the customer; the experiment with its variants, and whose is whose."""
    go(page, "Recommendations")
    fill(page.get_by_role("textbox", name="Customer", exact=True), WHO)
    press(page, "Suggest", exact=True)
    page.get_by_text("Milliseconds by stage").first.wait_for()
    keep(page, "names-slate")
    turn(page, "Experiments")
    choose(page, "Look at", WHO)
    _as_text(page, "**other**: too little is known yet")
    page.locator(".js-plotly-plot:visible").get_by_text(NAME).first.wait_for()
    fill(page.get_by_role("textbox", name="Which variant does this customer get"), WHO)
    _as_text(page, f"{WHO}: ")
    page.get_by_text("Layers", exact=True).click()
    page.locator(".js-plotly-plot:visible").get_by_text(WHO[:20]).first.wait_for()
    keep(page, "names-experiment")
    press(page, "Pause")
    _as_text(page, f"{WHO} rests;")


def _data(page: Any) -> None:
    """A file, its columns, and the question before it goes."""
    go(page, "Data")
    press(page, "See", exact=True)
    _as_text(page, f"{NAME}.csv · orders")
    page.get_by_text("The first rows as they would be stored").first.wait_for()
    press(page, "Delete", exact=True)
    _as_text(page, f"The import {NAME}.csv · ")
    keep(page, "names-data")
    press(page, "Yes", exact=True)
    _as_text(page, "is deleted.")


def _stock(page: Any) -> None:
    """The category's forecast, one that is kept, the product and the store."""
    go(page, "Forecasts")
    pick(page, "Of what", "Category")
    category = page.get_by_role("combobox", name="Category")
    write(category, NAME)  # not among those of the first thousand products
    category.press("Enter")
    choose(page, "Models, the first with its intervals", f"named (seasonal_naive) · category:{NAME}")
    page.keyboard.press("Escape")
    _as_text(page, f"named (seasonal_naive) · category:{NAME}")
    _stands(page)
    keep(page, "names-forecast")
    turn(page, "Kept predictions")
    page.get_by_text("kept as prediction").first.wait_for()
    press(page, "Delete", exact=True)
    _as_text(page, f", {NAME} is removed with its file.")
    keep(page, "names-prediction")
    press(page, "No", exact=True)

    turn(page, "Products")
    fill(page.get_by_role("textbox", name="Product: part of its name, or its code"), "named")
    page.get_by_text("Days with a sale").first.wait_for()
    keep(page, "names-product")
    turn(page, "Stores")
    choose(page, "Edit", LONG)
    press(page, "Delete")
    _as_text(page, f"The store \u2068{LONG}\u2069 · named")
    keep(page, "names-store")
    press(page, "No", exact=True)


def _running(page: Any, job_id: str) -> None:
    """The training of the category, and the model that came of it."""
    go(page, "Train")
    _as_text(page, f"category:{NAME}")
    keep(page, "names-train")
    go(page, "Operations")
    turn(page, "Jobs")
    choose(page, "Look at a job", f"train · named · {job_id}")
    _as_text(page, f"category:{NAME}")
    keep(page, "names-job")
    _stands(page)  # a page that is being made anew takes the click away
    go(page, "Models")
    choose(page, "Model", f"named · category:{NAME}")
    turn(page, "Files")
    press(page, "Delete the model")
    _as_text(page, f"named · category:{NAME} goes with all its 1 versions")
    keep(page, "names-model")
    press(page, "Yes", exact=True)
    _as_text(page, f"named · category:{NAME} is deleted.")


def _stands(page: Any) -> None:
    page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()


def _as_text(page: Any, text: str) -> None:
    """It stands there, and nothing of it was taken for anything else."""
    page.get_by_text(text).locator("visible=true").first.wait_for()
    for made in ("img[src='x']", "a:text-is('ll')", ":is(strong, b):text-is('bold')", ".katex"):
        assert page.locator(made).count() == 0, made
