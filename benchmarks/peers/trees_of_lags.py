"""mlforecast with LightGBM in an environment of its own: python trees_of_lags.py GIVEN.npz MADE.npz.

Given are `y` (n, d) daily pieces, `first_day` (days since 1970), `horizon`, `seed`, `rounds`. Lags, rolling means and
date features as its guide for daily series of a shop shows them, static ids as categories; its forecast is recursive.
"""

from __future__ import annotations

import sys
import time

import lightgbm
import numpy as np
import pandas as pd
from mlforecast import MLForecast
from mlforecast.lag_transforms import RollingMean


def main() -> None:
    given = np.load(sys.argv[1])
    y, horizon = given["y"], int(given["horizon"])
    n, days = y.shape
    ds = pd.to_datetime(np.arange(days) + int(given["first_day"]), unit="D")
    frame = pd.DataFrame(
        {
            "unique_id": np.repeat([f"S{row:05d}" for row in range(n)], days),
            "ds": np.tile(ds, n),
            "y": y.ravel().astype(np.float64),
        }
    )
    for place, name in enumerate(("store", "item")):
        frame[name] = pd.Categorical(np.repeat(given["statics"][:, place], days))
    model = lightgbm.LGBMRegressor(
        objective="tweedie",
        n_estimators=int(given["rounds"]),
        learning_rate=0.05,
        num_leaves=31,
        subsample=0.7,
        subsample_freq=1,
        colsample_bytree=0.7,
        random_state=int(given["seed"]),
        n_jobs=1,
        verbose=-1,
    )
    begun = time.perf_counter()
    peer = MLForecast(
        models={"lightgbm": model},
        freq="D",
        lags=[1, 7, 14, 21, 28, 56, 364],
        lag_transforms={1: [RollingMean(7), RollingMean(28), RollingMean(112)], 364: [RollingMean(7)]},
        date_features=["dayofweek", "month", "day", "dayofyear"],
        num_threads=1,
    )
    peer.fit(frame, static_features=["store", "item"])
    said = peer.predict(horizon).sort_values(["unique_id", "ds"])
    np.savez(
        sys.argv[2],
        mean=said["lightgbm"].to_numpy().reshape(n, horizon),
        seconds=time.perf_counter() - begun,
    )


if __name__ == "__main__":
    main()
