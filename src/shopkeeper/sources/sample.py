"""The sample table of a new shop: 1,000 impressions with a click or none, drawn by one seed.

It lets `POST /predictions/xgb` answer before a shop has rows of its own, and shows what such rows look like.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

NAME = "train_data.csv"
SEED, ROWS = 42, 1000
FEATURES = (
    "item_ctr", "item_cvr", "item_price", "user_age", "user_gender", "cross_age_x_ctr", "cross_gender_x_price",
)  # fmt: skip
"""Rates 0..1, price in the shop's currency, age in years, gender 0 unknown, 1 male, 2 female, and two products."""


def sample_columns(seed: int = SEED, n: int = ROWS) -> dict[str, NDArray[np.float64]]:
    """FEATURES and `label`, each (n,).

    label = 1 where 5 ctr + 6 cvr + 0.001 age + 0.025 gender + N(0, 0.1) > 0.5
    """
    random = np.random.default_rng(seed)
    ctr = random.uniform(0.0, 0.1, n).round(4)
    cvr = random.uniform(0.0, 0.06, n).round(4)
    price = random.lognormal(3.0, 0.8, n).round(2)
    age = random.integers(16, 76, n).astype(np.float64)
    gender = random.integers(0, 3, n).astype(np.float64)
    raw = 5 * ctr + 6 * cvr + 0.001 * age + 0.025 * gender + random.normal(0.0, 0.1, n)
    columns = (ctr, cvr, price, age, gender, (age * ctr).round(4), (gender * price).round(2))
    return {**dict(zip(FEATURES, columns, strict=True)), "label": (raw > 0.5).astype(np.float64)}


def write_sample(folder: Path) -> Path:
    """The file in `folder`, written when it is missing, whole or not at all."""
    path = folder / NAME
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    columns = sample_columns()
    rows = [",".join(columns), *(",".join(map(_text, row)) for row in zip(*columns.values(), strict=True))]
    half = folder / f"{NAME}.part"
    half.write_text("\n".join(rows) + "\n", encoding="utf-8")
    half.replace(path)
    return path


def _text(value: float) -> str:
    return f"{value:.4f}".rstrip("0").rstrip(".")
