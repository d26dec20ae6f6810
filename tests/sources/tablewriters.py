"""Puts a frame where a kind of training table finds it, through another library than the one that reads it."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import polars as pl
import s3servers
from databases import Server

_number = itertools.count()


def into_files(folder: Path, frame: pl.DataFrame) -> dict[str, Any]:
    path = folder / f"table{next(_number)}.csv"
    frame.write_csv(path, datetime_format="%Y-%m-%d %H:%M:%S")
    return {"kind": "file", "path": str(path)}


def into_bucket(endpoint: str, frame: pl.DataFrame, name: str | None = None) -> dict[str, Any]:
    name = name or f"tables/table{next(_number)}.parquet"
    content = io.BytesIO()
    frame.write_parquet(content) if name.endswith(".parquet") else frame.write_csv(content)
    s3servers.client(endpoint).put_object(Bucket="shop", Key=name, Body=content.getvalue())
    return {"kind": "oss", "path": f"s3://shop/{name}", "endpoint": endpoint, **s3servers.KEYS}


def into_database(server: Server, frame: pl.DataFrame, kind: str | None = None) -> dict[str, Any]:
    table = f"Table {next(_number)}"
    postgres = server.kind == "postgres"
    types = {pl.Int64: "bigint", pl.Float64: "double precision", pl.String: "varchar(200)", pl.Date: "date",
             pl.Boolean: "boolean"}  # fmt: skip
    quote = '"' if postgres else "`"
    columns = [
        f"{quote}{name}{quote} {types.get(dtype.base_type(), 'timestamp' if postgres else 'datetime(6)')}"
        for name, dtype in frame.schema.items()
    ]
    rows = [f"({', '.join(map(_literal if postgres else _mysql_literal, row))})" for row in frame.rows()]
    made = [f"CREATE TABLE {quote}{table}{quote} ({', '.join(columns)})"]
    server.run(*made, *([f"INSERT INTO {quote}{table}{quote} VALUES {', '.join(rows)}"] if rows else []))
    return server.source(table=table, **({"kind": kind} if kind else {}))


def _mysql_literal(value: Any) -> str:
    return _literal(value).replace("\\", "\\\\")


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    return "'" + str(value).replace("'", "''") + "'"
