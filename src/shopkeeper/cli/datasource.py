"""The options that say where training rows come from, and the source that they make.

--data-source mysql --mysql-host db --mysql-query "SELECT ..." --label bought
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from glob import glob
from pathlib import Path
from typing import Any

import click

from shopkeeper.cli.pairs import pairs

DATABASES = {"doris": "Doris", "mysql": "MySQL", "postgres": "PostgreSQL"}
_TEXT = {
    "query": "One SELECT; or name a table.",
    "table": "A whole table.",
    "database": "Where both are looked up.",
    "host": "Else as the server's environment says.",
    "port": "",
    "user": "",
    "password": "Seen by others of this machine: better in the server's environment.",
}
_OSS = {
    "endpoint": "Server of the object store, https://...",
    "access-key": "Its key; better in the server's environment.",
    "secret-key": "Its secret; better in the server's environment.",
    "region": "Its region, us-east-1.",
    "addressing": "virtual or path: where the bucket's name stands.",
}
_COLUMNS = {
    "label": "Column to learn.",
    "time": "Column with the time: the last rows are held out, instead of random ones.",
    "group": "Column whose rows are ranked together.",
    "weight": "Column with the weight of a row.",
    "features": "Columns to learn from, comma between; else all others.",
    "categorical": "Columns whose numbers are names, comma between.",
}


def source_options(function: Callable[..., None]) -> Callable[..., None]:
    """Decorator: the command gets `data`, the training source or None for the shop's own log."""

    @functools.wraps(function)
    def run(*args: Any, source: str | None, **options: Any) -> None:
        names = [name for name in options if name.startswith(_PREFIXES) or name in _COLUMNS]
        given = {name: value for name in names if (value := options.pop(name)) not in (None, ())}
        function(*args, data=source_of(source, given), **options)

    for decorate in reversed(_options()):
        run = decorate(run)
    return run


def source_of(file: str | None, given: Mapping[str, Any]) -> dict[str, Any] | None:
    """From what was said, by option. Raises UsageError for options of two kinds."""
    columns = {name: _list(value) if name in _LISTS else value for name, value in given.items() if name in _COLUMNS}
    kind = given.get("data_source") or ("file" if file else None) or _guessed(given)
    if kind is None:
        if columns:
            raise click.UsageError(f"--{next(iter(columns))} says what columns mean, but there is no --data-source")
        return None
    if file and (kind != "file" or given.get("data_path")):
        raise click.UsageError("--source names a file: leave --data-source and --data-path out")
    if given.get("data_source") == "mysql" and not any(name.startswith("mysql_") for name in given):
        given = {name.replace("doris_", "mysql_", 1): value for name, value in given.items()}  # as older scripts ask
    for name in given:
        if name.startswith(_KINDS) and not name.startswith(f"{kind}_"):
            raise click.UsageError(f"--{name.replace('_', '-')} does not belong to --data-source {kind}")
    found: dict[str, Any] = {"kind": kind}
    for name, value in given.items():
        if name.startswith(f"{kind}_"):
            found[name.removeprefix(f"{kind}_")] = value
    if (path := file or given.get("data_path")) is not None:
        found["path"] = path if kind == "oss" or "://" in path else str(Path(path).absolute())
    if "data_format" in given:
        found["format"] = given["data_format"]
    if "data_option" in given:
        found["options"] = pairs(given["data_option"], "--data-option")
    return {**found, **columns}


def existing_file(path: str) -> str:
    """A file, a folder, or a pattern of some. Raises BadParameter when nothing is there."""
    if not Path(path).exists() and not glob(path):
        raise click.BadParameter(f"there is no file {Path(path).absolute()}", param_hint="--source")
    return path


_KINDS = tuple(f"{kind}_" for kind in (*DATABASES, "oss"))
_PREFIXES = ("data_", *_KINDS)
_LISTS = ("features", "categorical")


def _guessed(given: Mapping[str, Any]) -> str | None:
    """The kind of a path or of the options that were used."""
    if (path := given.get("data_path")) is not None:
        return "oss" if str(path).startswith(("s3://", "oss://")) else "file"
    return next((name.partition("_")[0] for name in given if name.startswith(_KINDS)), None)


def _list(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _options() -> list[Callable[[Any], Any]]:
    made = [
        click.option(
            "--source",
            "--data",
            "--edges",
            "source",
            callback=_checked,
            metavar="PATH",
            help="A file with training rows (or a folder, or a pattern) that must be there; else like --data-path.",
        ),
        click.option(
            "--data-source", metavar="KIND", help="file, oss, mysql, doris, postgres, shop, or a kind of yours."
        ),
        click.option("--data-path", metavar="PATH", help="File, folder or pattern; s3:// or oss:// address."),
        click.option(
            "--data-format", metavar="FORMAT", help="csv, parquet, json, jsonl, xlsx; else as the file tells."
        ),
    ]
    made.append(
        click.option("--data-option", multiple=True, metavar="NAME=VALUE", help="An option of a kind of yours.")
    )
    made += [click.option(f"--oss-{name}", metavar="TEXT", help=help or None) for name, help in _OSS.items()]
    for kind, title in DATABASES.items():
        for name, help in _TEXT.items():
            number = {"type": int} if name == "port" else {"metavar": "TEXT"}
            made.append(click.option(f"--{kind}-{name}", help=f"{title}. {help}".strip(), **number))
    return made + [click.option(f"--{name}", metavar="COLUMN", help=help) for name, help in _COLUMNS.items()]


def _checked(_ctx: click.Context, _option: click.Parameter, path: str | None) -> str | None:
    return None if path is None else existing_file(path)
