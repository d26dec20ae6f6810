"""The curves of a console that is open for days."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

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


def test_a_time_when_nobody_looked_is_a_gap(client: ShopkeeperClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "EVERY_S", 0.0)
    monkeypatch.setattr(history, "_GAP_S", 0.0)
    curves = history.Curves()
    curves.look(client)
    curves.look(client)
    assert [value is None for value in curves.line("memory")] == [False, True, False]
    assert curves.line("events") == [None, None, None]  # no rate is told across it
