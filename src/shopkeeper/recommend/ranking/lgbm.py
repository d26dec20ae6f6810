"""Gradient-boosted trees of LightGBM: texts as categories of their own, missing numbers as such."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.learning.trees import Trees, trees_of_lightgbm
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.ranking.stopping import stopping_split
from shopkeeper.recommend.ranking.trees import Growing, TreeRanker, threads_for

_TREES = "trees.txt"


class LgbmRanker(TreeRanker):
    """Where all splits are numeric the ONNX form is faster for any number of rows; with categories there is none."""

    def native(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        scored: NDArray[np.float32] = self._booster.predict(rows, num_threads=1).astype(np.float32)
        return scored

    def gains(self) -> dict[int, float]:
        return dict(enumerate(self._booster.feature_importance("gain").tolist()))

    def write(self, folder: Path) -> None:
        (folder / _TREES).write_text(self._booster.model_to_string(), encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Any:
        return _booster((folder / _TREES).read_text(encoding="utf-8"))

    @staticmethod
    def width_of(booster: Any) -> int:
        return int(booster.num_feature())

    @staticmethod
    def trees_of(booster: Any) -> Trees:
        return trees_of_lightgbm(booster)


class Lgbm:
    """Leaf-wise trees with logistic loss. At each split the categories of a text are parted by their own gradients.

    The last 15 % of the rows (by time, where there is one) decide when to stop.

    References: Ke et al., "LightGBM: a highly efficient gradient boosting decision tree", NIPS 2017.
    """

    name: ClassVar[str] = "lgbm"
    family: ClassVar[str] = "ranking"
    description: ClassVar[str] = "Gradient-boosted trees (LightGBM) with categories and missing values of their own"
    tags: ClassVar[tuple[str, ...]] = ("ranking", "trees", "tabular")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[LgbmRanker]] = LgbmRanker

    class Params(RankingParams):
        trees: Annotated[int, msgspec.Meta(ge=1, le=5000, description="Trees at most")] = 500
        leaves: Annotated[int, msgspec.Meta(ge=2, le=4096, description="Leaves of a tree at most")] = 31
        learning_rate: Annotated[float, msgspec.Meta(gt=0, le=1, description="Step of each tree")] = 0.05
        least_rows: Annotated[int, msgspec.Meta(ge=1, le=100_000, description="Rows of a leaf at least")] = 20
        subsample: Annotated[float, msgspec.Meta(gt=0, le=1, description="Share of rows for each tree")] = 0.8
        colsample: Annotated[float, msgspec.Meta(gt=0, le=1, description="Share of features for each tree")] = 0.8
        l2: Annotated[float, msgspec.Meta(ge=0, le=10_000, description="Penalty on leaf values")] = 1.0
        patience: Annotated[
            int, msgspec.Meta(ge=1, le=1000, description="Trees without a gain on later rows before it stops")
        ] = 30

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: RankRows, report: Report) -> LgbmRanker:
        import lightgbm

        learn, check = stopping_split(data, self.seed)
        learned = self._dataset(learn, None)
        growing = Growing(report, self.params.trees)

        def tell(env: Any) -> None:
            losses = env.evaluation_result_list
            growing.tree(env.iteration + 1, losses[0][2] if losses else None)

        grown = lightgbm.train(
            self._settings(len(learn)),
            learned,
            self.params.trees,
            valid_sets=[self._dataset(check, learned)],
            callbacks=[lightgbm.early_stopping(self.params.patience, verbose=False), tell],
        )
        best = _booster(grown.model_to_string(num_iteration=max(1, grown.best_iteration)))
        return LgbmRanker.with_form(best, data.schema, data.values)

    def _dataset(self, rows: RankRows, like: Any) -> Any:
        import lightgbm

        return lightgbm.Dataset(
            rows.schema.standardise(rows.values),
            rows.label,
            weight=rows.weight,
            reference=like,
            categorical_feature=list(rows.schema.categorical),
            params={"verbose": -1, "feature_pre_filter": False},
        )

    def _settings(self, rows: int) -> dict[str, Any]:
        params = self.params
        return {
            "objective": "binary",
            "metric": "binary_logloss",
            "learning_rate": params.learning_rate,
            "num_leaves": params.leaves,
            "min_data_in_leaf": min(params.least_rows, max(rows // 20, 1)),
            "bagging_fraction": params.subsample,
            "bagging_freq": 1,
            "feature_fraction": params.colsample,
            "lambda_l2": params.l2,
            "seed": self.seed,
            "num_threads": threads_for(rows),
            "deterministic": True,
            "force_row_wise": True,
            "verbose": -1,
        }


def _booster(text: str) -> Any:
    """Raises Invalid for what LightGBM did not write."""
    from lightgbm import Booster
    from lightgbm.basic import LightGBMError

    try:
        return Booster(model_str=text)
    except LightGBMError as error:
        raise Invalid(f"the trees of LightGBM cannot be read: {error}", code="bad_artifact") from error
