"""`shopkeeper train`: the options that say where rows come from, and the source that they make."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from shopkeeper.cli.datasource import DATABASES, source_options
from shopkeeper.cli.main import main
from shopkeeper.sources.tables.objects import ObjectOptions
from shopkeeper.sources.tables.sql import SqlOptions


@click.command()
@source_options
def told(data: dict[str, Any] | None) -> None:
    click.echo(json.dumps(data))


def said(*args: str) -> Any:
    done = CliRunner().invoke(told, args)
    return json.loads(done.output) if done.exit_code == 0 else done.output


@pytest.mark.parametrize(
    ("args", "source"),
    [
        ("", None),
        ("--data-source shop", {"kind": "shop"}),
        ("--data-path /data/visits.csv", {"kind": "file", "path": "/data/visits.csv"}),
        ("--data-source file --data-path /data/*.csv --data-format csv",
         {"kind": "file", "path": "/data/*.csv", "format": "csv"}),
        ("--data-path s3://b/x.csv", {"kind": "oss", "path": "s3://b/x.csv"}),
        ("--data-source oss --data-path oss://b/x --oss-endpoint e --oss-access-key a --oss-secret-key s --oss-region r"
         " --oss-addressing path",
         {"kind": "oss", "path": "oss://b/x", "endpoint": "e", "access_key": "a", "secret_key": "s", "region": "r",
          "addressing": "path"}),
        ("--mysql-table t", {"kind": "mysql", "table": "t"}),
        ("--data-source doris --doris-query q --doris-database d --doris-host h --doris-port 1 --doris-user u"
         " --doris-password p",
         {"kind": "doris", "query": "q", "database": "d", "host": "h", "port": 1, "user": "u", "password": "p"}),
        ("--data-source mysql --doris-query q --doris-host h", {"kind": "mysql", "query": "q", "host": "h"}),
        ("--postgres-table t --label l --time t --group g --weight w --features a,b --categorical c",
         {"kind": "postgres", "table": "t", "label": "l", "time": "t", "group": "g", "weight": "w",
          "features": ["a", "b"], "categorical": ["c"]}),
        ("--data-source mine --data-option depth=3 --data-option name=x",
         {"kind": "mine", "options": {"depth": 3, "name": "x"}}),
    ],
)  # fmt: skip
def test_options_make_a_source(args: str, source: Any) -> None:
    assert said(*args.split()) == source


def test_a_file_is_named_from_where_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.parquet").write_bytes(b"")
    assert said("--source", "visits.parquet") == {"kind": "file", "path": str(tmp_path / "visits.parquet")}
    assert said("--source", "vis*.parquet") == {"kind": "file", "path": str(tmp_path / "vis*.parquet")}
    assert said("--source", ".") == {"kind": "file", "path": str(tmp_path)}
    assert said("--data-path", "days/*.csv") == {"kind": "file", "path": str(tmp_path / "days/*.csv")}
    assert said("--data-path", "s3://b/days/*.csv")["path"] == "s3://b/days/*.csv"


@pytest.mark.parametrize(
    ("args", "word"),
    [
        ("--source nowhere.csv", "there is no file"),
        ("--source nowhere/*.csv", "there is no file"),
        ("--source {file} --data-source mysql", "--source names a file"),
        ("--source {file} --data-path x", "--source names a file"),
        ("--mysql-table t --doris-host h", "--doris-host does not belong to --data-source mysql"),
        ("--data-source file --data-path x --oss-region r", "--oss-region does not belong"),
        ("--label bought", "--label says what columns mean"),
        ("--mysql-port many", "--mysql-port"),
        ("--data-source mine --data-option depth", "NAME=VALUE"),
    ],
)
def test_options_that_contradict_each_other(args: str, word: str, tmp_path: Path) -> None:
    (tmp_path / "visits.csv").write_text("x\n1\n")
    assert word in " ".join(said(*args.format(file=tmp_path / "visits.csv").split()).split())


@pytest.mark.parametrize(
    ("kinds", "options"), [(DATABASES, SqlOptions), (("oss",), ObjectOptions)], ids=["databases", "stores"]
)
def test_every_option_of_a_kind_has_its_flag(kinds: Any, options: Any) -> None:
    flags = {flag for option in told.params for flag in option.opts}
    general = {"path": "--data-path", "format": "--data-format", "session_token": None}
    for kind in kinds:
        for field in options.__struct_fields__:
            flag = general.get(field, f"--{kind}-{field.replace('_', '-')}")
            assert flag is None or flag in flags


def test_training_from_a_file_by_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = tmp_path / "orders.csv"
    orders.write_text("order date,customer,sku,qty,price\n2026-01-01,c-1,sku-1,1,4.5\n")
    home = ["--home", str(tmp_path / "home"), "--json"]
    main(["import", str(orders), "--kind", "orders", "--yes", *home])
    rows = tmp_path / "visits.csv"
    rows.write_text("x,y,bought\n" + "".join(f"{n % 17},{n % 5},{int(n % 17 > 8)}\n" for n in range(300)))
    capsys.readouterr()
    main(["train", "visits", "--algorithm", "xgb", "--source", str(rows), "--label", "bought", "--features", "x",
          "--normalize", "--set", "trees=20", "--version", "by-hand", *home])  # fmt: skip
    job = json.loads(capsys.readouterr().out)
    assert job["status"] == "done", job["error"]
    assert job["params"]["params"] == {"normalize": True, "trees": 20}
    main(["models", "visits", "by-hand", *home])
    version = json.loads(capsys.readouterr().out)
    assert (version["label"], version["feature_names"], version["data"]["name"]) == ("by-hand", ["x"], "visits.csv")
    for flag in ("--epochs", "--batch-size"):
        with pytest.raises(SystemExit):
            main(["train", "visits", "--algorithm", "xgb", "--source", str(rows), flag, "3", *home])
        assert "no parameter" in capsys.readouterr().err
