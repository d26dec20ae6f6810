"""One boosted-tree model for all series (LightGBM): lags, calendar, price, promotions, statics as categories."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.intervals import LEVELS
from shopkeeper.forecast.outlook import Floats
from shopkeeper.forecast.trees.boosting import Growing, Kind, Rows, TreeModel, TreeParams, Trees, TreeTrainer

if TYPE_CHECKING:
    import lightgbm


class Boosters:
    """One booster of the mean, or nine of the quantiles."""

    def __init__(self, boosters: list[lightgbm.Booster]) -> None:
        self._boosters = boosters

    def predict(self, features: NDArray[np.float32], threads: int) -> Floats:
        raw = [booster.predict(features, raw_score=True, num_threads=threads) for booster in self._boosters]
        columns: Floats = np.stack([np.asarray(one, dtype=np.float64) for one in raw], axis=-1)
        return columns[:, 0] if len(raw) == 1 else columns

    def save(self, folder: Path, name: str) -> None:
        for place, booster in enumerate(self._boosters):
            (folder / f"{name}_{place}.txt").write_text(booster.model_to_string(), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, name: str) -> Boosters:
        """Raises OSError, ValueError."""
        from lightgbm import Booster
        from lightgbm.basic import LightGBMError

        paths = [folder / f"{name}_{place}.txt" for place in range(len(LEVELS) if name == "quantiles" else 1)]
        try:
            return cls([Booster(model_str=path.read_text(encoding="utf-8")) for path in paths])
        except LightGBMError as error:
            raise ValueError(str(error)) from error


class LightGbmModel(TreeModel):
    trees: ClassVar[type[Trees]] = Boosters


class LightGbm(TreeTrainer):
    name: ClassVar[str] = "lightgbm"
    description: ClassVar[str] = "One tree model for all products: lags, calendar, price, promotions; intervals"
    model: ClassVar[type[TreeModel]] = LightGbmModel

    class Params(TreeParams, kw_only=True, forbid_unknown_fields=True):
        pass

    def grow(self, rows: Rows, kind: Kind, rounds: int, growing: Growing) -> Boosters:
        import lightgbm

        data = lightgbm.Dataset(
            rows.features,
            rows.target,
            weight=rows.weight,
            init_score=rows.start,
            categorical_feature=rows.categories,
            params={"max_bin": 127, "verbose": -1, "num_threads": self.threads(len(rows.target))},
        )

        def tell(env: lightgbm.callback.CallbackEnv) -> None:
            del env
            growing.tree()

        settings = self._settings(len(rows.target))
        if kind == "tweedie":
            chosen: list[dict[str, object]] = [
                {"objective": "tweedie", "tweedie_variance_power": self.params.tweedie, "boost_from_average": False}
            ]
        else:
            chosen = [{"objective": "quantile", "alpha": float(level)} for level in LEVELS]
        return Boosters([lightgbm.train({**settings, **one}, data, rounds, callbacks=[tell]) for one in chosen])

    def _settings(self, rows: int) -> dict[str, object]:
        return {
            "learning_rate": self.params.learning_rate,
            "num_leaves": self.params.leaves,
            "min_data_in_leaf": self.least_rows(rows),
            "feature_fraction": 0.7,
            "bagging_fraction": 0.7,
            "bagging_freq": 1,
            "lambda_l2": 1.0,
            "seed": self.seed,
            "num_threads": self.threads(rows),
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }
