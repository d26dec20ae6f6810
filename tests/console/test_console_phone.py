"""The console on a phone: nothing wider than the screen, figures beside one another, pages in a menu."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from console_world import keep

pytest.importorskip("streamlit")

from shopkeeper.console.served import addresses

WIDTH, HEIGHT = 390, 844


@pytest.fixture
def phone(page: Any) -> Iterator[Any]:
    before = page.viewport_size
    page.set_viewport_size({"width": WIDTH, "height": HEIGHT})
    yield page
    page.set_viewport_size(before)


def test_no_page_is_wider_than_a_phone(shop: dict[str, Any], phone: Any) -> None:
    for name in addresses():
        phone.goto(f"{shop['console']}/{name}?lang=en")
        phone.get_by_role("heading", level=1).wait_for()
        phone.locator('[data-testid="stApp"][data-test-script-state="notRunning"]').wait_for()
        assert phone.get_by_test_id("stMain").evaluate("main => main.scrollWidth") == WIDTH, name


def test_figures_stand_two_in_a_row(shop: dict[str, Any], phone: Any) -> None:
    phone.goto(f"{shop['console']}/?lang=en")
    figures = phone.get_by_test_id("stMetric")
    figures.nth(5).wait_for()
    first, second, third = (figures.nth(place).bounding_box() for place in range(3))
    assert first["y"] == second["y"] < third["y"]
    assert first["x"] == third["x"] < second["x"]
    keep(phone, "phone")


def test_the_pages_are_reached_from_a_menu(shop: dict[str, Any], phone: Any) -> None:
    phone.goto(f"{shop['console']}/data?lang=en")
    phone.get_by_role("heading", name="Data", exact=True, level=1).wait_for()
    phone.get_by_test_id("stExpandSidebarButton").click()
    phone.get_by_test_id("stSidebarNav").get_by_role("link", name="Models", exact=True).click()
    phone.get_by_role("heading", name="Models", exact=True, level=1).wait_for()
