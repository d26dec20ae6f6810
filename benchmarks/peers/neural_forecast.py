"""A net of neuralforecast in an environment of its own: series in, quantiles and the seconds of fit and answers out.

python neural_forecast.py GIVEN.npz MADE.npz: given are `y` (n, d) pieces, `start` (n,) column of the first sale,
`first_day` since 1970, `cuts` (the first is where it learns), `horizon`, `lookback`, `steps`, `windows` of a step,
`levels`, `seed` and the `model`. Made are `quantiles` (cuts, n, horizon, levels), `seconds` and `peak_mb`.
"""

from __future__ import annotations

import logging
import sys
import time
import warnings
from typing import Any

import numpy as np
import pandas as pd
import torch
from neuralforecast import NeuralForecast
from neuralforecast.losses.pytorch import MQLoss
from neuralforecast.models import KAN, NHITS, TCN, PatchTST
from peak import peak_from_now, peak_mb

MODELS = {"KAN": KAN, "NHITS": NHITS, "TCN": TCN, "PatchTST": PatchTST}
CALENDAR = ["week_sin", "week_cos", "year_sin", "year_cos"]
QUIET = {"enable_progress_bar": False, "enable_model_summary": False, "logger": False, "enable_checkpointing": False}


def main() -> None:
    warnings.filterwarnings("ignore")
    logging.getLogger("pytorch_lightning").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    given = np.load(sys.argv[1])
    y, cuts, horizon, name = given["y"], given["cuts"], int(given["horizon"]), str(given["model"])
    told = {"futr_exog_list": CALENDAR} if MODELS[name].EXOGENOUS_FUTR else {}
    net = MODELS[name](
        h=horizon,
        input_size=int(given["lookback"]),
        loss=MQLoss(quantiles=[float(level) for level in given["levels"]]),
        max_steps=int(given["steps"]),
        windows_batch_size=int(given["windows"]),
        scaler_type="standard",
        start_padding_enabled=True,
        random_seed=int(given["seed"]),
        accelerator="cpu",
        **told,
        **QUIET,
    )
    before = peak_from_now()
    begun = time.perf_counter()
    forecast = NeuralForecast(models=[net], freq="D")
    forecast.fit(_frame(given, int(cuts[0]), bool(told)), val_size=0)
    quantiles = np.zeros((len(cuts), len(y), horizon, len(given["levels"])))
    for place, cut in enumerate(cuts):
        past = _frame(given, int(cut), bool(told))
        said = forecast.predict(df=past, futr_df=_ahead(given, int(cut), horizon, past) if told else None)
        said = said.reset_index() if "unique_id" not in said.columns else said
        said = said.sort_values(["unique_id", "ds"])
        columns = [column for column in said.columns if column.startswith(name)]
        rows = said["unique_id"].to_numpy()[::horizon]
        quantiles[place, rows] = said[columns].to_numpy().reshape(len(rows), horizon, len(columns))
    seconds = time.perf_counter() - begun
    peak = peak_mb() - before
    made = {"quantiles": np.sort(np.maximum(quantiles, 0), axis=3), "seconds": seconds, "peak_mb": peak}
    np.savez(sys.argv[2], **made)


def _frame(given: Any, cut: int, told: bool) -> pd.DataFrame:
    """Long rows of what was sold before `cut`, from each series' first sale on."""
    start = given["start"]
    row, column = np.nonzero(np.arange(cut)[None, :] >= start[:, None])
    frame = pd.DataFrame({"unique_id": row, "ds": _dates(given, column), "y": given["y"][row, column].astype(float)})
    return _with_calendar(frame) if told else frame


def _ahead(given: Any, cut: int, horizon: int, past: pd.DataFrame) -> pd.DataFrame:
    rows = np.sort(past["unique_id"].unique())
    columns = np.tile(np.arange(cut, cut + horizon), len(rows))
    return _with_calendar(pd.DataFrame({"unique_id": np.repeat(rows, horizon), "ds": _dates(given, columns)}))


def _with_calendar(frame: pd.DataFrame) -> pd.DataFrame:
    for name, place, season in (("week", frame["ds"].dt.dayofweek, 7.0), ("year", frame["ds"].dt.dayofyear, 365.25)):
        frame[f"{name}_sin"] = np.sin(2 * np.pi * place / season).astype(float)
        frame[f"{name}_cos"] = np.cos(2 * np.pi * place / season).astype(float)
    return frame


def _dates(given: Any, column: Any) -> Any:
    return pd.to_datetime(int(given["first_day"]) + column, unit="D")


if __name__ == "__main__":
    main()
