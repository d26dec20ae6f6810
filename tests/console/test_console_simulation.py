"""The settings of a simulated shop in the console, against a real simulated shop; the page runs without a browser."""

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

sys.path[:0] = [str(Path(__file__).parents[1] / "api"), str(Path(__file__).parents[1] / "operations")]
SCRIPT = """
from shopkeeper.console.connection import client
from shopkeeper.console.data import simulation
simulation.show(client())
"""


@pytest.fixture(scope="module")
def telecom(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    from api_server import serving
    from small_telecom import small_telecom

    home = tmp_path_factory.mktemp("telecom") / "home"
    small_telecom(home)
    with serving(home, kind="telecom", live_speed=0.0) as running:
        yield running


@pytest.fixture
def page(telecom: Running, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("SHOPKEEPER_URL", telecom.url)
    return AppTest.from_string(SCRIPT, default_timeout=60).run()


def _save(page: AppTest, **values: int) -> AppTest:
    for name, value in values.items():
        page.number_input(key=f"simulation_{name}").set_value(value)
    return next(button for button in page.button if button.label == "Save").click().run()


def test_settings_begin_with_those_of_the_shop_in_the_bounds_of_the_server(telecom: Running, page: AppTest) -> None:
    with ShopkeeperClient(telecom.url) as client:
        now = client.simulation()
    shown = {box.key: (box.value, box.min, box.max) for box in page.number_input if box.key != "simulation_seed"}
    assert {key: value for key, (value, _, _) in shown.items()} == {f"simulation_{name}": now[name] for name in now}
    assert shown["simulation_user_count"][1:] == (10, 100_000)
    assert shown["simulation_max_calls_per_user"][1:] == (0, 100)


def test_settings_that_contradict_one_another_are_refused_in_words_and_others_kept(
    telecom: Running, page: AppTest
) -> None:
    wrong = _save(page, min_calls_per_user=9, max_calls_per_user=2)
    assert "calls" in wrong.error[0].value
    kept = _save(wrong, min_calls_per_user=1, max_calls_per_user=4)
    assert not kept.error
    assert kept.success
    with ShopkeeperClient(telecom.url) as client:
        now = client.simulation()
    assert (now["min_calls_per_user"], now["max_calls_per_user"]) == (1, 4)


def test_the_world_is_not_made_anew_before_that_was_confirmed(telecom: Running, page: AppTest) -> None:
    asked = page.button(key="regenerate").click().run()
    assert "is thrown away" in " ".join(text.value for text in asked.markdown)
    assert {"Yes", "No"} <= {button.label for button in asked.button}
    with ShopkeeperClient(telecom.url) as client:
        assert client.jobs() == []
