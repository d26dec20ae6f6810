"""Rows from a CSV file with a label column: what `POST /predictions/{model}` serves is learned from such a file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.recommend.ranking.rows import RankRows

_HELD = 0.2
_MOST_BYTES = 1 << 30


def file_rows(source: Mapping[str, Any], seed: int) -> tuple[RankRows, RankRows, dict[str, Any]]:
    """(rows to learn from, held-out fifth, facts). `source`: path, `label` (default "label"), `time` (optional).

    With a time column the last fifth is held out, else a random one drawn by `seed`. Every other numeric column is a
    feature; text columns are left out and named in the facts. Missing numbers take 0.0. Raises NotFound without the
    file, Invalid for what is not a table with a 0/1 label.
    """
    import polars as pl

    path = Path(str(source.get("path", "")))
    if not path.is_file():
        raise NotFound(f"no file at {path}; give source.path of a CSV file", code="no_file")
    if path.stat().st_size > _MOST_BYTES:
        raise Invalid(f"{path.name} is larger than 1 GiB; take a sample", code="too_large", field="path")
    try:
        table = pl.read_csv(path, infer_schema_length=10_000, try_parse_dates=True)
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise Invalid(f"{path.name} cannot be read as CSV: {error}", code="bad_file", field="path") from error
    label_name, time_name = str(source.get("label", "label")), source.get("time")
    for name in (label_name, time_name):
        if name is not None and name not in table.columns:
            raise Invalid(
                f"{path.name} has no column {name!r}; it has: {', '.join(table.columns[:50])}", code="no_column"
            )
    numeric = [name for name in table.columns if table[name].dtype.is_numeric() or table[name].dtype == pl.Boolean]
    names = tuple(name for name in numeric if name not in (label_name, time_name))
    label = _label(table[label_name].cast(pl.Float64, strict=False).to_numpy(), path.name, label_name)
    if not names:
        raise Invalid(f"{path.name} has no numeric column beside the label", code="no_features", field="path")
    values = table.select([pl.col(name).cast(pl.Float32) for name in names]).fill_null(0.0).to_numpy()
    rows = RankRows(
        names=names,
        values=np.nan_to_num(np.ascontiguousarray(values, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0),
        label=label,
        weight=np.ones(len(label), dtype=np.float32),
        defaults=np.zeros(len(names), dtype=np.float32),
        by_time=time_name is not None,
    )
    order = None if time_name is None else table[str(time_name)].arg_sort().to_numpy()
    train, held = _split(rows, order, seed)
    skipped = [name for name in table.columns if name not in (*names, label_name, time_name)]
    facts = {
        "rows": len(train),
        "holdout_rows": len(held),
        "file": path.name,
        "label": label_name,
        "columns_left_out": skipped,
        "fingerprint": hashlib.sha256(path.read_bytes()).hexdigest(),
    }
    return train, held, facts


def _label(values: NDArray[np.float64], file: str, name: str) -> NDArray[np.float32]:
    if len(values) < 20:
        raise Invalid(f"{file} has {len(values)} rows, at least 20 are needed", code="too_few_rows")
    if not np.isin(values, (0.0, 1.0)).all():
        raise Invalid(f"column {name!r} of {file} must hold 0 or 1 in every row", code="bad_label", field="label")
    if len(np.unique(values)) < 2:
        raise Invalid(f"column {name!r} of {file} holds only {values[0]:g}: nothing to tell apart", code="bad_label")
    return values.astype(np.float32)


def _split(rows: RankRows, order: NDArray[Any] | None, seed: int) -> tuple[RankRows, RankRows]:
    n = len(rows)
    places = np.random.default_rng(seed).permutation(n) if order is None else order
    cut = n - int(n * _HELD)
    mask = np.zeros(n, dtype=np.bool_)
    mask[places[:cut]] = True
    if order is None:
        return rows.take(mask), rows.take(~mask)
    return rows.take(places[:cut].astype(np.int64)), rows.take(places[cut:].astype(np.int64))
