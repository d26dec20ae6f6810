"""What every model said at every cutoff beside what came, one row a series and step, in the names of Nixtla:
`unique_id, ds, cutoff, y, MODEL, MODEL-median, MODEL-lo-80, MODEL-hi-80, ...`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.measuring.evaluation import came
from shopkeeper.forecast.outlook import Outlook
from shopkeeper.forecast.series import SeriesSet
from shopkeeper.quality.forecast import LEVELS

MOST = 1_000_000
"""Rows; of more series the aggregates and the busiest products are kept."""


class BacktestRows:
    """Gathers in memory; a file is there when all is in it, and only then."""

    def __init__(self, series: SeriesSet, cutoffs: list[int], horizon: int) -> None:
        self._series = series
        self._cutoffs = cutoffs
        self._horizon = horizon
        self._chosen = _busiest(series, MOST // (horizon * len(cutoffs)))
        self._said: dict[str, dict[int, NDArray[np.float32]]] = {}

    @property
    def kept(self) -> int:
        """Series in the file."""
        return len(self._chosen)

    @property
    def there_were(self) -> int:
        return len(self._series)

    def add(self, model: str, cutoff: int, said: Outlook) -> None:
        """What `model` said of all series from `cutoff` on."""
        both = np.concatenate([said.mean[self._chosen, :, None], said.quantiles[self._chosen]], axis=2)
        self._said.setdefault(model, {})[cutoff] = both.astype(np.float32)

    def forget(self, model: str) -> None:
        """It failed later on."""
        self._said.pop(model, None)

    def write(self, path: Path) -> None:
        """Rows of series that had begun by the cutoff, in order of unique_id and cutoff."""
        import polars as pl

        some, h = self._series.select(self._chosen), self._horizon
        parts = []
        for cutoff in self._cutoffs:
            known = some.until(cutoff)
            begun = np.flatnonzero(known.start < cutoff)
            days = known.last_day + 1 + np.arange(h, dtype=np.int32) * known.step.days
            columns: dict[str, Any] = {
                "unique_id": np.repeat(np.array(known.ids, dtype=object)[begun], h),
                "ds": np.tile(days, len(begun)).astype(np.int32),
                "cutoff": np.full(len(begun) * h, known.last_day, dtype=np.int32),
                "y": came(some, known, h)[begun].astype(np.float32).ravel(),
            }
            for model, told in self._said.items():
                values = told[cutoff][begun].reshape(len(begun) * h, -1)
                columns |= {f"{model}{end}": values[:, place] for place, end in enumerate(_ENDINGS)}
            schema = {"unique_id": pl.String, "ds": pl.Int32, "cutoff": pl.Int32}
            parts.append(pl.DataFrame(columns, schema_overrides=schema))
        frame = pl.concat(parts).with_columns(pl.col("ds", "cutoff").cast(pl.Date), pl.col("y").fill_nan(None))
        half = path.with_suffix(".part")
        frame.sort("unique_id", "cutoff", "ds").write_parquet(half)
        half.replace(path)


def _ending(level: float) -> str:
    share = round(100 * abs(2 * level - 1))
    return "-median" if share == 0 else f"-{'lo' if level < 0.5 else 'hi'}-{share}"


_ENDINGS = ("", *(_ending(float(level)) for level in LEVELS))


def _busiest(series: SeriesSet, most: int) -> NDArray[np.int64]:
    """Rows in their order: all aggregates and the products that sold most."""
    sold = np.where(series.aggregate, np.inf, series.y.sum(axis=1, dtype=np.float64))
    return np.sort(np.argsort(-sold, kind="stable")[: max(most, 1)])
