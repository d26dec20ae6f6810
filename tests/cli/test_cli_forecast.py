"""`shopkeeper forecast` and `shopkeeper backtest`, in a shop with sales of two stores and one trained model."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from shopkeeper.cli.main import main

UID = "product_tea_all_seasonal_naive_v1"
sys.path.insert(0, str(Path(__file__).parents[1] / "api"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A live one: commands speak to its server."""
    from api_server import serving
    from stock_orders import opened, trained

    path: Path = tmp_path_factory.mktemp("cli-forecast") / "home"
    with serving(path, filled=False) as running:
        opened(running.shop)
        trained(running, {"product_id": "tea", "model_type": "seasonal_naive"})
        trained(running, {"training_mode": "global", "model_type": "seasonal_naive"})
        yield path


def said(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> str:
    main([*args, "--home", str(home)])
    return capsys.readouterr().out


def test_each_scope_is_asked_for_by_an_option(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def asked(*args: str) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(said(home, capsys, "forecast", *args, "--horizon", "3", "--json"))
        return answer

    assert (asked("tea")["scope"], asked("tea", "--store", "S2")["store_id"]) == ("product", "S2")
    assert asked("--category", "drinks")["category"] == "drinks"
    assert (asked("--store", "S1")["scope"], asked()["scope"]) == ("store", "global")
    assert asked("tea", "--model", UID)["model_uid"] == UID


def test_csv_has_the_columns_of_nixtla(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = list(csv.DictReader(io.StringIO(said(home, capsys, "forecast", "tea", "--horizon", "4", "--csv"))))
    assert list(rows[0])[:2] == ["unique_id", "ds"]
    model = list(rows[0])[2]
    assert [column.removeprefix(model) for column in list(rows[0])[3:]] == [
        f"-{side}-{share}" for share in (50, 80, 90, 95) for side in ("lo", "hi")
    ]
    assert len(rows) == 4
    for row in rows:
        assert row["unique_id"] == "tea"
        assert float(row[f"{model}-lo-80"]) <= float(row[f"{model}-hi-80"])
    whole = said(home, capsys, "forecast", "--category", "drinks", "--store", "S1", "--csv").splitlines()
    assert whole[1].startswith("__category:drinks@S1__,")


def test_a_day_in_the_past_shows_what_came(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from shopkeeper.client import ShopkeeperClient
    from shopkeeper.stores.home import Home

    with ShopkeeperClient(Home(home).live_url() or "") as shop:
        last = shop.forecast("tea", 1).forecast[0].ds
    start = date.fromisoformat(last) - timedelta(days=5)
    told = said(home, capsys, "forecast", "tea", "--from", start.isoformat(), "--horizon", "7")
    assert "came" in told
    assert start.isoformat() in told


def test_models_are_compared_and_a_forecast_is_explained(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    both = f"{UID},global_all_all_seasonal_naive_v1"
    told = said(home, capsys, "forecast", "tea", "--compare", both, "--horizon", "7")
    assert UID in told
    assert "holdout" in told
    assert set(json.loads(said(home, capsys, "forecast", "tea", "--compare", both, "--json"))["predictions"]) == set(
        both.split(",")
    )
    why = said(home, capsys, "forecast", "tea", "--explain", "--horizon", "7")
    assert "calendar" in why
    assert "would be usual" in why


def test_a_backtest_is_a_table(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("backtest", "--models", "seasonal_naive", "--windows", "2", "--horizon", "7")
    told = said(home, capsys, *args, "--scope", "product:tea")
    assert "seasonal_naive" in told
    assert "2 cutoffs" in told
    assert "models" in json.loads(said(home, capsys, *args, "--json"))


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["forecast", "ghost"], 3),
        (["forecast", "tea", "--store", "moon"], 3),
        (["forecast", "--category", "none"], 3),
        (["forecast", "tea", "--category", "drinks"], 2),
        (["forecast", "tea", "--csv", "--explain"], 2),
        (["forecast", "--explain"], 2),
        (["forecast", "tea", "--compare", UID], 4),
        (["forecast", "tea", "--compare", f"{UID},none_v1"], 3),
        (["forecast", "tea", "--from", "soon"], 4),
        (["forecast", "tea", "--from", "2026-01-01", "--model", "sales_daily"], 2),
        (["backtest", "--models", "magic"], 4),
        (["backtest", "--windows", "0"], 4),
    ],
)
def test_what_cannot_be_ends_with_its_code(
    home: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int
) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*args, "--home", str(home)])
    assert ended.value.code == code
    assert capsys.readouterr().err.strip()


def test_the_flags_of_older_start_commands_are_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from shopkeeper.cli import up

    plans: list[up.Plan] = []
    monkeypatch.setattr(up, "_run", plans.append)
    main(["up", "--host", "127.0.0.1", "--port", "5000", "--swagger", "--debug", "--home", str(tmp_path)])
    assert (plans[0].settings.port, plans[0].settings.log_level) == (5000, "debug")
