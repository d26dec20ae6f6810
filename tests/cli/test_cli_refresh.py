"""`shopkeeper refresh` and `shopkeeper operations` on a closed shop."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shopkeeper.cli.main import main


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("refreshed")
    file = folder / "orders.csv"
    random, lines = np.random.default_rng(1), []
    for who in range(80):  # of four tastes
        for day in np.flatnonzero(random.random(84) < 0.1).tolist():
            thing = 4 * int(random.integers(0, 15)) + who % 4
            lines.append(f"2026-{1 + day // 28:02d}-{1 + day % 28:02d},c-{who},sku-{thing},1,4.5\n")
    file.write_text("order date,customer,sku,qty,price\n" + "".join(lines))
    main(["import", str(file), "--home", str(folder / "home"), "--json"])
    return folder / "home"


def read(home: Path, capsys: pytest.CaptureFixture[str], *args: str) -> Any:
    capsys.readouterr()
    main([*args, "--home", str(home), "--json"])
    return json.loads(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("args", "code"),
    [
        (["--sample", "0.01"], 4),
        (["--full", "--epochs", "51"], 4),
        (["--full", "--epochs", "many"], 2),
        (["--sample"], 2),
        ([], 6),
    ],
)
def test_what_cannot_be_is_told_by_its_exit_code(
    home: Path, capsys: pytest.CaptureFixture[str], args: list[str], code: int
) -> None:
    with pytest.raises(SystemExit) as left:
        main(["refresh", *args, "--home", str(home)])
    assert left.value.code == code
    assert capsys.readouterr().err


def test_a_shop_is_refreshed_from_the_first_model_on(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    job = read(home, capsys, "refresh", "--full", "--epochs", "1", "--seed", "3", "--fusion-epochs", "1")
    assert job["status"] == "done"
    assert job["result"]["random_seed"] == 3
    assert job["result"]["fusion_training"]["trained"] is False
    capsys.readouterr()
    main(["refresh", "--fusion-epochs", "1", "--home", str(home)])
    told = capsys.readouterr().out
    assert "all vectors of hgt v1 are new" in told
    assert "embed" in told
    status = read(home, capsys, "operations")
    assert status["refresh"]["state"] == "done"
    main(["operations", "--home", str(home)])
    told = capsys.readouterr().out
    assert "incremental_loop" in told
    assert "refresh" in told


def test_a_loop_is_switched_by_name_and_verb(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "stopped" in read(home, capsys, "operations", "incremental", "stop")["message"]
    for args, code in ((["ingestion"], 2), (["ingestion", "start"], 6), (["weather", "stop"], 2)):
        with pytest.raises(SystemExit) as left:
            main(["operations", *args, "--home", str(home)])
        assert left.value.code == code
