"""What a rule said before, against a real shop; the page runs without a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

sys.path[:0] = [str(Path(__file__).parents[1] / "api")]
SCRIPT = """
from shopkeeper.console.connection import client, told
from shopkeeper.console.rules import editing

with told():
    editing.show(client())
"""
CHANGES = 60
NAME = "often changed"


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopkeeperClient]:
    from api_server import serving

    with (
        serving(tmp_path_factory.mktemp("rules") / "home", filled=False) as running,
        ShopkeeperClient(running.url) as client,
    ):
        client.create_rule(NAME, "orders > 1")
        for number in range(2, CHANGES + 1):
            client.update_rule(NAME, condition=f"orders > {number}")
        yield client


@pytest.fixture
def page(client: ShopkeeperClient, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("SHOPKEEPER_URL", client.base_url)
    return AppTest.from_string(SCRIPT, default_timeout=60).run()


def test_the_first_of_many_versions_can_be_brought_back(client: ShopkeeperClient, page: AppTest) -> None:
    page.selectbox(key="rule_chosen").set_value(NAME).run()
    seen: list[int] = []
    while True:
        older = next(box for box in page.selectbox if box.label == "Version")
        assert not page.exception
        seen += [int(number) for number in older.options]
        following = next(button for button in page.button if button.label == "On →")
        if following.disabled:
            break
        following.click().run()
    assert seen == list(range(CHANGES - 1, 0, -1))
    older.set_value(1).run()
    page.button(key=f"rule_{NAME}_revert").click().run()
    assert not page.exception
    now = client.rule(NAME)
    assert (now.version, now.condition) == (CHANGES + 1, "orders > 1")
    assert next(box for box in page.selectbox if box.label == "Version").options[0] == str(CHANGES)  # the first page
