"""Which rows are held out when nothing orders them: drawn by what stands in a row, not by its place.

The same row is dealt the same way in every training, whatever file or table it comes from and whatever rows were added
since: a champion is not measured on rows that it has learned from, and equal rows stay on one side.
"""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2**64 over the golden ratio: spreads what is added up


def lots(frame: pl.DataFrame, seed: int) -> NDArray[np.uint64]:
    """(n,) a number for each row by all its values and the seed. Numbers count as float64, everything else as text."""
    from pandas.util import hash_array

    key = f"{seed % 10**16:016d}"
    drawn = np.zeros(frame.height, dtype=np.uint64)
    with np.errstate(over="ignore"):
        for name in frame.columns:
            value = hash_array(_plain(frame[name]), hash_key=key)
            drawn += value * np.uint64(zlib.crc32(name.encode()) | 1)
        drawn = (drawn ^ (drawn >> np.uint64(32))) * _ODD
    return drawn ^ (drawn >> np.uint64(29))


def stratified(label: NDArray[np.float32], share: float, drawn: NDArray[Any]) -> NDArray[np.bool_]:
    """(n,) true for that share of the rows of each label, at least one of each: those that drew the least."""
    chosen = np.zeros(len(label), dtype=np.bool_)
    for value in np.unique(label):
        places = np.flatnonzero(label == value)
        chosen[places[np.argsort(drawn[places], kind="stable")[: max(1, round(len(places) * share))]]] = True
    return chosen


def _plain(column: pl.Series) -> NDArray[Any]:
    import polars as pl

    if column.dtype.is_numeric() or column.dtype == pl.Boolean:
        numbers: NDArray[np.float64] = column.cast(pl.Float64).fill_null(float("nan")).to_numpy()
        return numbers + 0.0  # -0.0 is 0.0
    return column.cast(pl.String).fill_null("").to_numpy().astype(object)
