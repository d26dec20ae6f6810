"""Weekly sales of 3,331 departments: the last 39 weeks, as the competition asked for them."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks import record
from benchmarks.forecast_sets import MEDIAN, Set, asked, measured, walmart, weighted_mae
from shopkeeper.forecast.series import SeriesSet

HORIZON = 39
_OURS = ("seasonal_naive", "theta", "lightgbm", "auto")
_PARAMS: dict[str, dict[str, Any]] = {"auto": {"members": ["seasonal_naive", "theta", "lightgbm"]}}
_NAMES = {"seasonal_naive": "seasonal_naive (same week a year ago)", "auto": "auto (these three)"}
_PEERS = ("SeasonalNaive", "Theta", "DynamicOptimizedTheta")
Floats = NDArray[np.float64]


def main() -> None:
    data = walmart()
    cutoff = data.series.days - HORIZON
    rows = [_ours(data, name, cutoff) for name in _OURS]
    rows += [_peer(data, name, cutoff) for name in _PEERS]
    year_ago = rows[0][1]
    record.write(
        "forecast_walmart",
        "Weekly forecasts: Walmart",
        f"Walmart Recruiting, train.csv: {len(data.series):,} departments of 45 stores, 143 weeks that end on Friday. "
        f"The last {HORIZON} weeks are forecast at once from the {cutoff} before them; one fit, one thread. WMAE: "
        "weeks with a holiday weigh 5 (IsHoliday is known ahead; CPI, fuel, temperature, MarkDown of the past only). "
        "Weeks without a row do not count; negative weeks (returns) are 0 in training and what they are when measured. "
        "The competition's own weeks are later ones whose sales were never published: its winner's 2,301 is no bar "
        "here. Peers run in the same process on the same histories, gaps filled from a year ago.",
        [
            {
                "title": "All departments with sales before the cutoff",
                "columns": ["algorithm", "WMAE", "ratio to year ago", "WAPE", "pinball", "coverage 80 %", "seconds"],
                "rows": [[name, wmae, wmae / year_ago, *rest] for name, wmae, *rest in rows],
            }
        ],
    )


def _ours(data: Set, name: str, cutoff: int) -> list[Any]:
    said, seconds = asked(data, name, cutoff, HORIZON, _PARAMS.get(name))
    came = data.came(cutoff, HORIZON)
    of = measured(came, said)
    wmae = weighted_mae(came, said.quantiles[:, :, MEDIAN], data.weight[cutoff : cutoff + HORIZON])
    row = [_NAMES.get(name, name), wmae, of["wape"], of["pinball"], of["coverage_80"], seconds]
    print(row, flush=True)
    return row


def _peer(data: Set, name: str, cutoff: int) -> list[Any]:
    past, begun = data.series.until(cutoff), time.perf_counter()
    said = np.maximum(peer_means(past, name, HORIZON), 0.0)
    seconds = time.perf_counter() - begun
    came = data.came(cutoff, HORIZON)
    wmae = weighted_mae(came, said, data.weight[cutoff : cutoff + HORIZON])
    wape = float(np.nansum(np.abs(came - said)) / np.nansum(came))
    row = [f"statsforecast {name}", wmae, wape, None, None, seconds]
    print(row, flush=True)
    return row


def peer_means(past: SeriesSet, name: str, horizon: int) -> Floats:
    """(n, horizon) of statsforecast's algorithm with our season; where it finds no model, its seasonal naive."""
    from statsforecast import models

    season, y = past.step.season, past.filled().astype(np.float64)
    said = np.zeros((len(past), horizon))
    for row, start in enumerate(past.start.tolist()):
        own = y[row, start:]
        if not len(own):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it warns of each series that is shorter than a season
                said[row] = getattr(models, name)(season_length=season).forecast(y=own, h=horizon)["mean"]
        except (ValueError, ArithmeticError, IndexError, NotImplementedError):  # series too short or too flat for it
            said[row] = own[-1] if len(own) < season else own[-season + np.arange(horizon) % season]
    return np.where(np.isfinite(said), said, 0.0)


if __name__ == "__main__":
    main()
