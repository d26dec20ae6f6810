"""A few series as JSON: the input on which every load of a version is compared with what it answered when trained."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.forecast.covariates import Covariates
from shopkeeper.forecast.series import SeriesSet, from_rows
from shopkeeper.forecast.steps import Step

HORIZON = 14
_PRODUCTS = 5
_STEPS = 180


def golden_of(series: SeriesSet) -> dict[str, Any]:
    """The last steps of the busiest products and of one aggregate, with all that is known beside them."""
    products = np.flatnonzero(~series.aggregate)
    busiest = products[np.argsort(-series.y[products].sum(axis=1), kind="stable")[:_PRODUCTS]]
    few = series.select(np.concatenate([busiest, np.flatnonzero(series.aggregate)[:1]]))
    first = max(few.days - _STEPS, 0)
    return {
        "horizon": HORIZON,
        "first_day": few.first_day + first * few.step.days,
        "step": list(few.step),
        "ids": list(few.ids),
        "aggregate": few.aggregate.tolist(),
        "aggregation": few.aggregation,
        "sold": few.sold[first:].tolist(),
        "y": _numbers(few.y[:, first:]),
        "price": _numbers(few.price[:, first:]),
        "available": None if few.available is None else few.available[:, first:].tolist(),
        "covariates": None if few.covariates is None else _beside(few.covariates, first),
    }


def from_golden(golden: Any) -> SeriesSet:
    """Those series again; also of a version from before there was anything beside y."""
    if isinstance(golden["y"], dict):
        return _of_pieces(golden)
    available, beside = golden["available"], golden["covariates"]
    return SeriesSet(
        ids=tuple(golden["ids"]),
        first_day=int(golden["first_day"]),
        y=_array(golden["y"]),
        price=_array(golden["price"]),
        sold=np.array(golden["sold"], dtype=np.int32),
        aggregate=np.array(golden["aggregate"], dtype=np.bool_),
        covariates=None if beside is None else _covariates(beside),
        available=None if available is None else np.array(available, dtype=np.bool_),
        step=Step(*golden["step"]),
        aggregation=golden["aggregation"],
    )


def _of_pieces(golden: Any) -> SeriesSet:
    lists: dict[str, list[float]] = golden["y"]
    ids = [name for name, values in lists.items() for _ in values]
    day = np.concatenate([int(golden["first_day"]) + np.arange(len(values)) for values in lists.values()])
    y = np.concatenate([np.asarray(values, dtype=np.float64) for values in lists.values()])
    return from_rows(ids, day, y)


def _beside(beside: Covariates, first: int) -> dict[str, Any]:
    columns = slice(first, beside.columns + min(beside.ahead, HORIZON))
    used = [np.unique(codes[codes >= 0]) for codes in beside.statics.T]
    return {
        "shared_names": list(beside.shared_names),
        "shared": _numbers(beside.shared[:, columns]),
        "own_names": list(beside.own_names),
        "own": [_numbers(values) for values in beside.own[:, :, columns]],
        "static_names": list(beside.static_names),
        "statics": [
            [int(np.searchsorted(words, code)) if code >= 0 else -1 for code in codes]
            for words, codes in zip(used, beside.statics.T, strict=True)
        ],
        "static_words": [
            [words[code] for code in codes] for words, codes in zip(beside.static_words, used, strict=True)
        ],
        "known": sorted(beside.known),
        "ahead": min(beside.ahead, HORIZON),
        "rows": len(beside.statics),
        "columns": beside.columns - first + min(beside.ahead, HORIZON),
    }


def _covariates(kept: Any) -> Covariates:
    rows, columns = int(kept["rows"]), int(kept["columns"])
    return Covariates(
        shared_names=tuple(kept["shared_names"]),
        shared=_array(kept["shared"]).reshape(-1, columns),
        own_names=tuple(kept["own_names"]),
        own=_array(kept["own"]).reshape(-1, rows, columns),
        static_names=tuple(kept["static_names"]),
        statics=np.array(kept["statics"], dtype=np.int32).reshape(-1, rows).T,
        static_words=tuple(tuple(words) for words in kept["static_words"]),
        known=frozenset(kept["known"]),
        ahead=int(kept["ahead"]),
    )


def _numbers(values: NDArray[np.float32]) -> list[list[float | None]]:
    """As short as they can be written and still be read as the same float32; None for NaN."""
    return [[float(str(value)) if np.isfinite(value) else None for value in row] for row in values]


def _array(values: Any) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)  # None becomes NaN
