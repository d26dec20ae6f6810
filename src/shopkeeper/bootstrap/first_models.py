"""The models that a shop trains by itself, in which order, and what a new one finds among its schedules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from shopkeeper.core.schedules import Schedule


@dataclass(frozen=True)
class FirstModel:
    """A model that a shop trains when it has none of that name; `sample`: on the sample table, not on its own log.

    A shop is ready without an `optional` one: the answers that it improves are there before it.
    """

    model: str
    algorithm: str
    params: Mapping[str, Any] = field(default_factory=dict)
    sample: bool = False
    optional: bool = False


# In this order: what improves an answer most for its time comes first.
FIRST_MODELS = (
    FirstModel("popularity", "popularity"),
    FirstModel("item_knn", "item_knn"),
    FirstModel("ease", "ease"),
    FirstModel("sales_daily_naive", "seasonal_naive"),
    FirstModel("sales_daily", "lightgbm"),
    FirstModel(
        "fusion",
        "fusion",
        {"sample_size": 10_000, "epochs": 60, "batch_size": 256, "learning_rate": 0.003},
        optional=True,
    ),
    FirstModel("home_ranker", "xgb"),
    FirstModel("als", "als", optional=True),
    FirstModel("hgt", "hgt", {"train_ratio": 0.9, "val_ratio": 0.05, "temperature": 0.2, "epochs": 5}, optional=True),
    FirstModel("churn", "bgnbd", optional=True),
    FirstModel("clusters", "kmeans", optional=True),
    FirstModel("sales_daily_ets", "autoets"),
    FirstModel(
        "xgb",
        "xgb",
        {
            "trees": 100,
            "depth": 5,
            "learning_rate": 0.1,
            "subsample": 0.8,
            "colsample": 0.8,
            "patience": 10,
            "min_child_weight": 1,
        },
        sample=True,
    ),
)

NIGHTLY = Schedule(
    name="nightly",
    cron="0 2 * * *",
    kind="train",
    params={"model": "home_ranker", "algorithm": "xgb"},
    condition={"new_events": 1},
    enabled=False,
)
"""To be enabled: the ranker anew every night that has something new."""
