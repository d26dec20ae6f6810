"""One boosted-tree model for all series (XGBoost): as `lightgbm`; its nine quantiles are learned together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.intervals import LEVELS
from shopkeeper.forecast.outlook import Floats
from shopkeeper.forecast.trees.boosting import Growing, Kind, Rows, TreeModel, TreeParams, Trees, TreeTrainer

if TYPE_CHECKING:
    import xgboost


class XgbTrees:
    """A booster; what its columns are is kept with it."""

    def __init__(self, booster: xgboost.Booster) -> None:
        self._booster = booster

    def predict(self, features: NDArray[np.float32], threads: int) -> Floats:
        import xgboost

        types = self._booster.feature_types
        rows = xgboost.DMatrix(features, feature_types=types, enable_categorical=True, nthread=threads or None)
        return np.asarray(self._booster.predict(rows, output_margin=True), dtype=np.float64)

    def save(self, folder: Path, name: str) -> None:
        self._booster.save_model(folder / f"{name}.ubj")

    @classmethod
    def load(cls, folder: Path, name: str) -> XgbTrees:
        """Raises OSError, ValueError (which an error of xgboost is)."""
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(folder / f"{name}.ubj")
        return cls(booster)


class XgBoostModel(TreeModel):
    trees: ClassVar[type[Trees]] = XgbTrees


class XgBoost(TreeTrainer):
    name: ClassVar[str] = "xgboost"
    description: ClassVar[str] = "One tree model for all products, by XGBoost; nine quantiles are learned together"
    model: ClassVar[type[TreeModel]] = XgBoostModel

    class Params(TreeParams, kw_only=True, forbid_unknown_fields=True):
        pass

    def grow(self, rows: Rows, kind: Kind, rounds: int, growing: Growing) -> XgbTrees:
        import xgboost

        types = ["c" if place in rows.categories else "q" for place in range(rows.features.shape[1])]
        data = xgboost.QuantileDMatrix(
            rows.features,
            rows.target,
            weight=rows.weight,
            base_margin=rows.start,
            feature_types=types,
            enable_categorical=True,
            max_bin=128,
            nthread=self.threads(len(rows.target)),
        )
        return XgbTrees(
            xgboost.train(
                self._settings(rows, kind), data, num_boost_round=rounds, callbacks=[_callback(growing, kind)]
            )
        )

    def _settings(self, rows: Rows, kind: Kind) -> dict[str, Any]:
        pull = rows.weight if rows.start is None else rows.weight * np.exp((2 - self.params.tweedie) * rows.start)
        own: dict[str, Any] = {"objective": "reg:quantileerror", "quantile_alpha": [float(level) for level in LEVELS]}
        if kind == "tweedie":
            own = {"objective": "reg:tweedie", "tweedie_variance_power": self.params.tweedie, "base_score": 1.0}
        return own | {
            "tree_method": "hist",
            "grow_policy": "lossguide",
            "max_leaves": self.params.leaves,
            "max_depth": 0,
            "max_bin": 128,
            "eta": self.params.learning_rate,
            "min_child_weight": self.least_rows(len(rows.target)) * float(pull.mean()),
            "subsample": 0.7,
            "colsample_bytree": 0.7,
            "lambda": 1.0,
            "seed": self.seed,
            "nthread": self.threads(len(rows.target)),
            "verbosity": 0,
        }


def _callback(growing: Growing, kind: Kind) -> xgboost.callback.TrainingCallback:
    import xgboost

    class Progress(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            del model, epoch, evals_log
            for _ in range(1 if kind == "tweedie" else len(LEVELS)):
                growing.tree()
            return False

    return Progress()
