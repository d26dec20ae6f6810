"""`shopkeeper traffic`: a canary and a shadow by the command line, over a live server."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))
import wiretoys

from shopkeeper.cli.main import main


def run(wire, capsys, *arguments: str) -> str:
    main([arguments[0], *arguments[1:], "--home", str(wire.shop.home.path)])
    return capsys.readouterr().out


def test_a_canary_and_a_shadow(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with wiretoys.served(tmp_path) as wire:
        assert "v1       100.0%" in run(wire, capsys, "traffic", "xgb")
        told = run(wire, capsys, "traffic", "xgb", "v1=3", "2=1")
        assert "v1       75.0%" in told
        assert "a variant that does worse is taken out" in told
        shadowed = json.loads(run(wire, capsys, "traffic", "xgb", "v1=1", "--shadow", "2", "--json"))
        assert [one["version"] for one in shadowed["variants"]] == [1]
        assert shadowed["shadow"]["version"] == 2
        sampled = json.loads(run(wire, capsys, "traffic", "xgb", "--shadow", "2", "--share", "0.25", "--json"))
        assert sampled["shadow"]["share"] == 0.25
        assert "shadow" not in run(wire, capsys, "traffic", "xgb", "--shadow", "0")
        for wrong in ("v2", "v2=much", "two=1"):
            with pytest.raises(SystemExit) as caught:
                run(wire, capsys, "traffic", "xgb", wrong)
            assert caught.value.code == 2
            assert "VERSION=WEIGHT" in capsys.readouterr().err
