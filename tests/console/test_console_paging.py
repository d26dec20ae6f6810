"""The last page of a list has its way back when its only entry was deleted; on a real server, without a browser."""

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
from shopkeeper.console.connection import client
from shopkeeper.console.{place} import {name}
{name}.show(client())
"""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving

    with serving(tmp_path_factory.mktemp("paging") / "home") as running:
        yield running


def _second_page(url: str, place: str, name: str, key: str, chosen: str, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("SHOPKEEPER_URL", url)
    page = AppTest.from_string(SCRIPT.format(place=place, name=name), default_timeout=60).run()
    page.button(key=f"{key}_on").click().run()
    page.selectbox(key=chosen).select_index(0)  # as a browser does it where what was chosen is not on the page
    return page


def _goes_back(page: AppTest, key: str) -> None:
    assert not page.exception
    page.button(key=f"{key}_back").click().run()
    assert len(page.dataframe) >= 1
    assert not [button for button in page.button if button.key == f"{key}_back"]  # one page is left


def test_imports(running: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "a.csv"
    with ShopkeeperClient(running.url) as client:
        for n in range(9):
            file.write_text(f"order date,customer,sku,qty,price\n2026-01-01,c-{n},lamp,2,3.5\n")
            client.upload(file)
        page = _second_page(running.url, "data", "importing", "imports", "import_chosen", monkeypatch)
        client.delete_import(client.imports().items[-1]["import_id"])
    _goes_back(page.run(), "imports")


def test_agents(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    with ShopkeeperClient(running.url) as client:
        for _ in range(21):
            client.create_agent(state_size=4, action_size=2)
        page = _second_page(running.url, "agents", "side", "agents_page", "agent_chosen", monkeypatch)
        client.delete_agent(client.agents().items[-1]["agent_id"])
    _goes_back(page.run(), "agents_page")
