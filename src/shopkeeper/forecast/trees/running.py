"""Running sums and the like over the columns of a table, so that any window of it is read by a difference."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Places = NDArray[np.integer]


def running(values: NDArray[np.floating] | NDArray[np.bool_]) -> Floats:
    """(c, d) -> (c, d + 1)."""
    answer = np.zeros((len(values), values.shape[1] + 1))
    np.cumsum(values, axis=1, out=answer[:, 1:])
    return answer


def strided(values: NDArray[np.floating] | NDArray[np.bool_], season: int) -> Floats:
    """(c, d) -> (c, d padded): each column and all of the same place in the season before it."""
    missing = -values.shape[1] % season
    padded = np.pad(values.astype(np.float64), ((0, 0), (0, missing)))
    return np.cumsum(padded.reshape(len(values), -1, season), axis=1).reshape(padded.shape)


def last_where(flags: NDArray[np.bool_]) -> NDArray[np.int32]:
    """(c, d) -> (c, d + 1): the last column before this one where the flag is up, -1 for none."""
    answer = np.full((len(flags), flags.shape[1] + 1), -1, dtype=np.int32)
    np.copyto(answer[:, 1:], np.arange(flags.shape[1], dtype=np.int32)[None, :], where=flags)
    return np.maximum.accumulate(answer, axis=1)


def cells(table: NDArray[np.floating], row: Places, column: Places, outside: float = np.nan) -> NDArray[np.floating]:
    """Single cells, `outside` before the first column and behind the last."""
    if not table.shape[1]:
        return np.full(len(row), outside)
    inside = (column >= 0) & (column < table.shape[1])
    return np.where(inside, table[row, np.clip(column, 0, table.shape[1] - 1)], outside)


def biggest(pieces: Floats, row: Places, origin: Places, steps: int) -> Floats:
    """Of the last `steps` columns before the origin, by the biggest of blocks from their beginnings and their ends."""
    days = pieces.shape[1]
    if not days:
        return np.zeros(len(row))
    blocks = np.pad(pieces, ((0, 0), (0, -days % steps))).reshape(len(pieces), -1, steps)
    before = np.maximum.accumulate(blocks, axis=2).reshape(len(pieces), -1)
    after = np.maximum.accumulate(blocks[:, :, ::-1], axis=2)[:, :, ::-1].reshape(len(pieces), -1)
    newest = before[row, np.clip(origin - 1, 0, days - 1)]
    oldest = np.where(origin >= steps, after[row, np.clip(origin - steps, 0, days - 1)], 0.0)
    return np.where(origin > 0, np.maximum(newest, oldest), 0.0)


def lately(table: NDArray[np.float32], row: Places, origin: Places, steps: int) -> Floats:
    """Mean of the last known values, NaN without any."""
    finite = np.isfinite(table)
    total, count = running(np.where(finite, table, 0.0).astype(np.float64)), running(finite)
    low = np.maximum(origin - steps, 0)
    seen = count[row, origin] - count[row, low]
    return np.where(seen > 0, (total[row, origin] - total[row, low]) / np.maximum(seen, 1), np.nan)
