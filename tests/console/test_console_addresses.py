"""Every page of the console opened by its own address, as from a bookmark."""

from __future__ import annotations

from typing import Any

import pytest
from console_world import holds

pytest.importorskip("streamlit")

from shopkeeper.console.served import addresses

TITLES = {
    "overview": "Overview",
    "customers": "Customers",
    "rules": "Rules and segments",
    "recommendations": "Recommendations",
    "forecasts": "Forecasts",
    "train": "Train",
    "models": "Models",
    "operations": "Operations",
    "data": "Data",
}


def test_every_page_has_an_address() -> None:
    assert sorted(TITLES) == addresses()


def test_a_bookmark_leads_to_its_page_without_detours(shop: dict[str, Any], page: Any) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    for name, title in TITLES.items():
        page.goto(f"{shop['console']}/{name}?lang=en")
        page.get_by_role("heading", name=title, exact=True, level=1).wait_for()
        page.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
    assert {url for url in asked if url.endswith("/_stcore/health")} == {f"{shop['console']}/_stcore/health"}


def test_an_address_keeps_its_language_and_what_it_is_about(shop: dict[str, Any], page: Any) -> None:

    page.goto(f"{shop['console']}/overview?lang=zh")
    page.get_by_role("heading", name="概览", exact=True, level=1).wait_for()
    page.goto(f"{shop['console']}/customers?lang=zh&user=17850")
    page.get_by_role("heading", name="顾客", exact=True, level=1).wait_for()
    holds(page.get_by_role("textbox", name="顾客编号"), "17850")
