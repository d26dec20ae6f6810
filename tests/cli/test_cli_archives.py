"""`export`, `deploy` and `cleanup` without a live server: what they print, and how they end."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from shopkeeper.cli.main import main

sys.path.insert(0, str(Path(__file__).parents[1] / "api"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A closed shop that serves the model xgb, with a second version of it."""
    import wiretoys
    from api_server import serving

    folder = tmp_path_factory.mktemp("archives")
    with wiretoys.installed(folder / "site"):
        with serving(folder / "home") as running:
            registry = running.shop.registry
            wiretoys.add_version(registry, folder / "made", "xgb")
            wiretoys.add_version(registry, folder / "made", "xgb", 2.0)
            registry.promote("xgb", 1)
        yield folder / "home"


@pytest.fixture
def run(home: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, Any]]:
    """(exit code, what was printed as JSON)"""

    def call(*args: str) -> tuple[int, Any]:
        try:
            main([*args, "--home", str(home), "--json"])
            code = 0
        except SystemExit as ended:
            code = int(ended.code or 0)
        printed = capsys.readouterr()
        text = printed.out or printed.err
        return code, json.loads(text) if text.startswith("{") else text

    return call


def test_export_and_deploy(run, tmp_path: Path) -> None:
    code, told = run("export", "xgb", "--to", str(tmp_path))
    assert (code, told["version"], Path(told["path"]).name) == (0, 1, "xgb-v1.tar.gz")
    assert run("export", "xgb", "v2", "--to", str(tmp_path / "second.tar.gz"))[0] == 0
    code, held = run("deploy", "here", "--from", told["path"])
    assert (code, held["version"], held["promoted"]) == (6, 1, False)
    assert "HOLD" in held["why_not"]
    code, again = run("deploy", "here", "--from", told["path"], "--force")
    assert (code, again["code"]) == (6, "exists")
    code, done = run("deploy", "here", "--from", str(tmp_path / "second.tar.gz"), "--force", "--reason", "moved")
    assert (code, done["version"], done["promoted"]) == (0, 2, True)
    assert run("deploy", "there", "--from", told["path"], "--no-promote")[0] == 0


def test_what_goes_wrong(run, tmp_path: Path) -> None:
    junk = tmp_path / "junk.tar.gz"
    junk.write_bytes(b"junk")
    cases = [
        (3, "export", "nothing", "--to", str(tmp_path)),
        (3, "export", "xgb", "v9", "--to", str(tmp_path)),
        (4, "export", "xgb", "--to", str(tmp_path), "--format", "legacy"),
        (2, "export", "xgb", "--to", "s3://bucket", "--format", "legacy"),
        (4, "export", "xgb", "--to", "ftp://bucket"),
        (2, "deploy", "new", "--from", str(tmp_path / "none.tar.gz")),
        (4, "deploy", "new", "--from", str(junk)),
        (4, "deploy", "new", "--from", "ftp://bucket/x"),
        (2, "cleanup", "--only", "everything"),
    ]
    for expected, *args in cases:
        assert run(*args)[0] == expected, args
    assert [path.name for path in tmp_path.iterdir()] == ["junk.tar.gz"]


def test_cleanup_looks_first(run, home: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    from shopkeeper.settings import settings

    monkeypatch.setenv("SHOPKEEPER_KEEP_VERSIONS", "1")
    settings.cache_clear()
    try:
        code, looked = run("cleanup", "--only", "versions")
        assert (code, looked["dry_run"]) == (0, True)
        assert run("cleanup", "--only", "versions")[1] == looked
        assert {one["id"]: one["reason"] for one in looked["kept"]}["xgb/v1"] == "it is the champion"
        assert run("cleanup", "--only", "versions", "--apply")[1]["removed"] == looked["removed"]
        main(["cleanup", "--home", str(home)])
        assert "nothing to remove" in capsys.readouterr().out
    finally:
        settings.cache_clear()
