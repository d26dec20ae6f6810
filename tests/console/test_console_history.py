"""The curves of a console that is open for days."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shopkeeper.client import ShopkeeperClient

pytest.importorskip("streamlit")

from shopkeeper.console import history

sys.path[:0] = [str(Path(__file__).parents[1] / "api")]


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ShopkeeperClient]:
    from api_server import serving

    with serving(tmp_path_factory.mktemp("curves") / "home") as running, ShopkeeperClient(running.url) as client:
        yield client


def test_only_the_newest_points_are_kept(client: ShopkeeperClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "EVERY_S", 0.0)
    curves = history.Curves()
    for _ in range(history.POINTS + 30):
        curves.look(client)
    assert len(curves.times) == history.POINTS
    assert {name: len(line) for name, line in curves.values.items()} == dict.fromkeys(curves.values, history.POINTS)
    assert curves.line("memory")[0] is not None


def test_many_who_look_ask_the_shop_once(client: ShopkeeperClient) -> None:
    curves = history.Curves()
    first = curves.look(client)
    assert curves.look(client) is first
    assert len(curves.times) == 1


def test_who_has_no_key_sees_nothing_of_those_who_have_one() -> None:
    mine, theirs = (history.curves("http://shop", key) for key in ("", "a-key"))
    assert mine is not theirs
    assert history.curves("http://shop", "a-key") is theirs


class Slow(ShopkeeperClient):
    """Asks a real shop, once it may."""

    def __init__(self, address: str) -> None:
        super().__init__(address)
        self.asks, self.may = threading.Event(), threading.Event()

    def operations_metrics(self) -> dict[str, Any]:
        self.asks.set()
        assert self.may.wait(60)
        return super().operations_metrics()


def test_nobody_waits_for_an_answer_that_somebody_else_has_asked_for(
    client: ShopkeeperClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(history, "EVERY_S", 0.0)
    curves = history.Curves()
    first = curves.look(client)
    seen: list[Any] = []
    with Slow(client.base_url) as slow:
        waiting = threading.Thread(target=curves.look, args=(slow,), daemon=True)
        other = threading.Thread(target=lambda: seen.append(curves.look(client)), daemon=True)
        waiting.start()
        assert slow.asks.wait(60)
        other.start()
        other.join(30)
        assert seen == [first]
        slow.may.set()
        waiting.join(60)
    assert len(curves.times) == 2


def test_a_time_when_nobody_looked_is_a_gap(client: ShopkeeperClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "EVERY_S", 0.0)
    monkeypatch.setattr(history, "_GAP_S", 0.0)
    curves = history.Curves()
    curves.look(client)
    curves.look(client)
    assert [value is None for value in curves.line("memory")] == [False, True, False]
    assert curves.line("events") == [None, None, None]  # no rate is told across it
