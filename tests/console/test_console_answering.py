"""Who answers, and what answered when, against a real shop with two versions; the page runs without a browser."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.clock import DAY, HOUR, SystemClock
from shopkeeper.core.errors import Stale

if TYPE_CHECKING:
    from api_server import Running
    from streamlit.testing.v1 import AppTest

sys.path[:0] = [str(Path(__file__).parents[1] / "api")]
SCRIPT = """
from shopkeeper.console.connection import client, told
from shopkeeper.console.models import answering, past

with told():
    shop = client()
    model = next(one for one in shop.models() if one.name == "popularity")
    {part}
"""
STACK = {"intercept": -0.25, "coefficients": [1.5, 0.5]}


class Clock:
    """Goes with the real one, and can be moved on."""

    def __init__(self) -> None:
        self.ahead = 0

    def now(self) -> int:
        return self.wall()

    def wall(self) -> int:
        return SystemClock().wall() + self.ahead


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Running]:
    from api_server import serving

    home = tmp_path_factory.mktemp("two") / "home"
    with serving(home, clock=clock) as running, ShopkeeperClient(running.url) as client:
        for seed in range(2):
            client.wait(client.train("popularity", "popularity", seed=seed, promote=False).job_id)
        client.promote("popularity", 1, force=True)
        yield running


@pytest.fixture
def client(two: Running) -> Iterator[ShopkeeperClient]:
    """Two versions that are combined as was learned."""
    with ShopkeeperClient(two.url) as client:
        client.set_traffic("popularity", {1: 0.5, 2: 0.5}, mode="ensemble", stack=STACK)
        yield client


def _page(two: Running, monkeypatch: pytest.MonkeyPatch, part: str) -> AppTest:
    pytest.importorskip("streamlit")
    from streamlit.testing.v1 import AppTest

    monkeypatch.setenv("SHOPKEEPER_URL", two.url)
    return AppTest.from_string(SCRIPT.format(part=part), default_timeout=60).run()


@pytest.fixture
def page(two: Running, client: ShopkeeperClient, monkeypatch: pytest.MonkeyPatch) -> AppTest:
    return _page(two, monkeypatch, "answering.show(shop, model)")


def _press(page: AppTest, label: str) -> AppTest:
    return next(button for button in page.button if button.label == label).click().run()


def test_a_learned_combination_is_told_and_kept(page: AppTest, client: ShopkeeperClient) -> None:
    assert list(page.dataframe[0].value["Learned weight"]) == [1.5, 0.5]
    assert any("(a stack)" in text.value for text in page.caption)
    page.toggle[0].set_value(False)
    saved = _press(page, "Share like this")
    assert saved.success
    told = client.traffic("popularity")
    assert (told["stack"], told["auto_rollback"]) == (STACK, False)


def test_a_learned_combination_is_not_thrown_away_before_that_was_confirmed(
    page: AppTest, client: ShopkeeperClient
) -> None:
    mode = next(box for box in page.selectbox if box.label == "Shared")
    mode.set_value("sticky").run()
    asked = _press(page, "Share like this")
    assert not asked.exception
    assert any("The learned combination" in text.value for text in asked.markdown)
    told = client.traffic("popularity")
    assert (told["mode"], told["stack"]) == ("ensemble", STACK)


def test_who_was_faster_is_not_undone(page: AppTest, client: ShopkeeperClient) -> None:
    client.set_traffic("popularity", {1: 0.9, 2: 0.1})
    late = _press(page, "Share like this")
    assert "Somebody else has changed it meanwhile" in late.error[0].value
    told = client.traffic("popularity")
    assert [one["weight"] for one in told["variants"]] == [0.9, 0.1]
    again = _press(_press(late, "Load again"), "Share like this")
    assert again.success
    assert not again.error


def test_the_client_says_that_it_lost_a_race(client: ShopkeeperClient) -> None:
    tag, told = client.tagged_traffic("popularity")
    assert told["stack"] == STACK
    client.set_traffic("popularity", {1: 1.0, 2: 1.0}, if_match=tag)
    with pytest.raises(Stale):
        client.set_traffic("popularity", {1: 1.0}, if_match=tag)


def test_the_moment_goes_with_the_clock_until_a_person_chooses_one(
    two: Running, client: ShopkeeperClient, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def moment(page: AppTest) -> datetime:
        day, time = page.date_input[0].value, page.time_input[0].value
        assert isinstance(day, date)
        assert time is not None
        return datetime.combine(day, time, UTC)

    def shown(page: AppTest) -> bool:
        assert not page.exception
        until: str = page.dataframe[0].value["Until"][0]
        return until == moment(page).strftime("%Y-%m-%d %H:%M")

    page = _page(two, monkeypatch, "past._live(shop, model)")
    first = moment(page)
    assert shown(page)
    clock.ahead += DAY + 3 * HOUR
    page.run()
    assert shown(page)
    assert moment(page) - first >= timedelta(days=1, hours=3)
    chosen = moment(page) + timedelta(hours=-5)
    page.date_input[0].set_value(chosen.date())
    page.time_input[0].set_value(chosen.time()).run()
    clock.ahead += DAY
    assert shown(page.run())
    assert moment(page) == chosen
