"""Gradient-boosted trees on as-of features: the first ranker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.ranking.model import matrix_of
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows

_TREES = "trees.ubj"
_FACTS = "xgb.json"
_VALIDATION = 0.15


class XgbRanker:
    """`score` is the probability of a purchase; predicting uses one thread, so that callers may run many at once."""

    def __init__(self, booster: Any, feature_names: tuple[str, ...], defaults: NDArray[np.float32]) -> None:
        self.feature_names = feature_names
        self.defaults = defaults
        self._booster = booster
        # A thread pool costs more than the work on a few hundred rows, and stalls under load.
        booster.set_param({"nthread": 1})

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """(n, f) -> probability (n,). Raises Invalid for another number of columns."""
        if rows.ndim != 2 or rows.shape[1] != len(self.feature_names):
            raise Invalid(f"rows have shape {rows.shape}, expected (n, {len(self.feature_names)})", code="bad_shape")
        if not len(rows):
            return np.empty(0, dtype=np.float32)
        scored: NDArray[np.float32] = self._booster.inplace_predict(rows, validate_features=False)
        return scored

    def score_rows(self, rows: list[dict[str, Any]]) -> list[Any]:
        return [float(value) for value in self.score(matrix_of(rows, self.feature_names, self.defaults))]

    def importance(self) -> dict[str, float]:
        """Share of the total gain of each feature, the largest first; features without a split are left out."""
        gain: dict[str, float] = self._booster.get_score(importance_type="total_gain")
        total = sum(gain.values()) or 1.0
        named = {self.feature_names[int(key[1:])]: value / total for key, value in gain.items()}
        return dict(sorted(named.items(), key=lambda pair: -pair[1]))

    def save(self, folder: Path) -> None:
        self._booster.save_model(folder / _TREES)
        facts = {"feature_names": list(self.feature_names), "defaults": [float(v) for v in self.defaults]}
        (folder / _FACTS).write_text(json.dumps(facts), encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> XgbRanker:
        """Raises Invalid when trees and feature names do not fit together."""
        import xgboost

        facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
        booster = xgboost.Booster()
        booster.load_model(folder / _TREES)
        if booster.num_features() != len(facts["feature_names"]):
            raise Invalid(
                f"the trees know {booster.num_features()} features, {_FACTS} names {len(facts['feature_names'])}",
                code="bad_artifact",
            )
        return cls(booster, tuple(facts["feature_names"]), np.array(facts["defaults"], dtype=np.float32))


class Xgb:
    """Boosted trees with logistic loss; negatives carry the weight of those left out, so probabilities stay honest.

    The last 15 % of the rows (by time, where there is one) decide when to stop.

    References: Chen and Guestrin, "XGBoost: a scalable tree boosting system", KDD 2016.
    """

    name: ClassVar[str] = "xgb"
    family: ClassVar[str] = "ranking"
    description: ClassVar[str] = "Gradient-boosted trees (XGBoost), probability of a purchase"
    tags: ClassVar[tuple[str, ...]] = ("ranking", "trees", "tabular")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[XgbRanker]] = XgbRanker

    class Params(RankingParams):
        trees: Annotated[int, msgspec.Meta(ge=1, le=5000, description="Trees at most")] = 200
        depth: Annotated[int, msgspec.Meta(ge=1, le=14, description="Depth of a tree at most")] = 5
        learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1, description="Step of each tree")] = 0.08
        min_child_weight: Annotated[
            float, msgspec.Meta(ge=0, le=10_000, description="Least sum of weights in a leaf")
        ] = 20.0
        subsample: Annotated[float, msgspec.Meta(gt=0, le=1, description="Share of rows for each tree")] = 0.8
        colsample: Annotated[float, msgspec.Meta(gt=0, le=1, description="Share of features for each tree")] = 0.6
        l2: Annotated[float, msgspec.Meta(ge=0, le=10_000, description="Penalty on leaf values")] = 1.0
        patience: Annotated[
            int, msgspec.Meta(ge=1, le=1000, description="Trees without a gain on later rows before it stops")
        ] = 20

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RankRows, report: Report) -> XgbRanker:
        import xgboost

        learn, check = _split(data, self.seed)
        matrices = [
            xgboost.QuantileDMatrix(learn.values, learn.label, weight=learn.weight),
            xgboost.DMatrix(check.values, check.label, weight=check.weight),
        ]
        booster = xgboost.train(
            self._settings(),
            matrices[0],
            num_boost_round=self.params.trees,
            evals=[(matrices[1], "later")],
            early_stopping_rounds=self.params.patience,
            verbose_eval=False,
            callbacks=[_progress(report, self.params.trees)],
        )
        best = booster[: booster.best_iteration + 1]
        return XgbRanker(best, data.names, data.defaults)

    def _settings(self) -> dict[str, Any]:
        params = self.params
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": params.depth,
            "eta": params.learning_rate,
            "min_child_weight": params.min_child_weight,
            "subsample": params.subsample,
            "colsample_bytree": params.colsample,
            "lambda": params.l2,
            "seed": self.seed,
        }


def _split(data: RankRows, seed: int) -> tuple[RankRows, RankRows]:
    """(rows to learn from, rows that say when to stop): the last ones by time, whole lists; random without a time."""
    n = len(data)
    if n < 20:
        return data.take(slice(None)), data.take(slice(None))
    if not data.by_time:
        later = np.random.default_rng(seed).random(n) < _VALIDATION
        return data.take(~later), data.take(later)
    cut = int(n * (1 - _VALIDATION))
    if data.lists is not None:
        cut = int(np.searchsorted(data.lists.number, data.lists.number[cut]))
    return data.take(slice(0, cut)), data.take(slice(cut, n))


def _progress(report: Report, trees: int) -> Any:
    """Tells the job of every tree; a job that was asked to stop ends here."""
    import xgboost

    class Progress(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            del model
            losses = evals_log.get("later", {}).get("logloss", [])
            metrics = {"val_loss": float(losses[-1])} if losses else {}
            report(epoch + 1, trees, metrics, message="growing trees", epoch=True)
            return False

    return Progress()
