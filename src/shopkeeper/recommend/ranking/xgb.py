"""Gradient-boosted trees of XGBoost: on the shop's as-of features, or on any table."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import LegacyMeta, Report
from shopkeeper.learning.fitting import cross_fitted
from shopkeeper.learning.onnx_forms import OnnxScorer
from shopkeeper.learning.tabular import Schema
from shopkeeper.learning.trees import Trees, trees_of_xgboost
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.ranking.stopping import stopping_split
from shopkeeper.recommend.ranking.trees import Growing, TreeRanker, threads_for

_TREES = "trees.ubj"
_OLDER = "xgb.json"
_LEAST_WEIGHTED = 20.0


class XgbRanker(TreeRanker):
    """XGBoost takes 0.2 ms before it looks at the first row of a call, the ONNX form 10 us; each further row costs the
    ONNX form more, in proportion to the trees. Both take as long at about WORTH rows x trees: 256 rows of 50 trees,
    64 rows of 200 (`make bench-tabular`)."""

    WORTH: ClassVar[int] = 12_800

    def __init__(self, booster: Any, schema: Schema, form: OnnxScorer | None, difference: float | None) -> None:
        super().__init__(booster, schema, form, difference)
        self.onnx_rows = self.WORTH // max(1, booster.num_boosted_rounds())
        # A thread pool costs more than the work on a few hundred rows, and stalls under load.
        booster.set_param({"nthread": 1})

    def native(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scored: NDArray[np.float32] = self._booster.inplace_predict(rows, validate_features=False)
        return scored

    def gains(self) -> dict[int, float]:
        gain: dict[str, float] = self._booster.get_score(importance_type="total_gain")
        return {int(key[1:]): value for key, value in gain.items()}

    def write(self, folder: Path) -> None:
        self._booster.save_model(folder / _TREES)

    def save_legacy(self, folder: Path) -> LegacyMeta:
        """`xgb_model.json`. Raises Invalid when texts are among the features: such a file knows numbers only."""
        if texts := [self.schema.columns[at].name for at in self.schema.categorical]:
            raise Invalid(f"the older files know numbers only, {texts[0]!r} holds texts", code="no_legacy_form")
        self._booster.save_model(folder / "xgb_model.json")
        scaled = {column.name: {"mean": column.mean, "std": column.scale} for column in self.schema.columns}
        return LegacyMeta(feature_columns=list(self.feature_names), scaler=scaled if self.schema.standardised else None)

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Versions of homes made before there were schemas have `xgb.json`: their numbers by name, and what stands for
        one that is missing. They go on answering by the trees alone. Raises Invalid as every ranker of trees."""
        older = folder / _OLDER
        if not older.exists():
            return super().load(folder)
        facts = json.loads(older.read_text(encoding="utf-8"))
        schema = Schema.of_numbers(facts["feature_names"], facts["defaults"])
        return cls(cls.fitting(folder, schema), schema, None, None)

    @classmethod
    def read(cls, folder: Path) -> Any:
        import xgboost

        booster = xgboost.Booster()
        booster.load_model(folder / _TREES)
        return booster

    @staticmethod
    def width_of(booster: Any) -> int:
        return int(booster.num_features())

    @staticmethod
    def trees_of(booster: Any) -> Trees:
        return trees_of_xgboost(booster)


class Xgb:
    """Boosted trees with logistic loss; negatives carry the weight of those left out, so probabilities stay honest.

    Texts come as codes in the order of their mean label (`learning/fitting.py`), so a category is split like a number;
    the rows to learn from are given cross-fitted ones.
    Missing numbers take the direction that the training rows spoke for. The last 15 % of the rows (by time, where
    there is one) decide when to stop.

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
            Annotated[float, msgspec.Meta(ge=0, le=10_000)] | None,
            msgspec.Meta(description="Least sum of weights in a leaf; null: 20 on the shop's log, 1 on a table"),
        ] = None
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

        values = cross_fitted(data.values, data.label, data.schema, self.seed)
        learn, check = stopping_split(replace(data, values=values), self.seed)
        ready = [data.schema.standardise(rows.values) for rows in (learn, check)]
        matrices = [
            xgboost.QuantileDMatrix(ready[0], learn.label, weight=learn.weight),
            xgboost.DMatrix(ready[1], check.label, weight=check.weight),
        ]
        booster = xgboost.train(
            self._settings(threads_for(len(learn)), weighted=data.lists is not None),
            matrices[0],
            num_boost_round=self.params.trees,
            evals=[(matrices[1], "later")],
            early_stopping_rounds=self.params.patience,
            verbose_eval=False,
            callbacks=[_progress(Growing(report, self.params.trees))],
        )
        best = booster[: booster.best_iteration + 1]
        return XgbRanker.with_form(best, data.schema, data.values)

    def _settings(self, threads: int, *, weighted: bool) -> dict[str, Any]:
        """`weighted`: rows stand for those left out beside them, so a leaf of few rows has a large sum."""
        params = self.params
        least = _LEAST_WEIGHTED if weighted else 1.0
        return {
            "objective": "binary:logistic",
            "eval_metric": "logloss",
            "tree_method": "hist",
            "max_depth": params.depth,
            "eta": params.learning_rate,
            "min_child_weight": least if params.min_child_weight is None else params.min_child_weight,
            "subsample": params.subsample,
            "colsample_bytree": params.colsample,
            "lambda": params.l2,
            "seed": self.seed,
            "nthread": threads,
        }


def _progress(growing: Growing) -> Any:
    import xgboost

    class Progress(xgboost.callback.TrainingCallback):  # type: ignore[misc]
        def after_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            del model
            losses = evals_log.get("later", {}).get("logloss", [])
            growing.tree(epoch + 1, losses[-1] if losses else None)
            return False

    return Progress()
