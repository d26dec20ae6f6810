"""Many products as one series: their sum, mean, median, biggest, or their mean weighted by what they bring in."""

from __future__ import annotations

from typing import Literal, TypeAlias, cast, get_args

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid

Aggregation: TypeAlias = Literal["sum", "mean", "median", "max", "weighted"]
_CELLS = 1 << 20
WEIGHED_DAYS = 365


def aggregation_of(name: str) -> Aggregation:
    """Raises Invalid (`bad_aggregation`)."""
    if name not in get_args(Aggregation):
        known = ", ".join(get_args(Aggregation))
        raise Invalid(f"aggregation {name[:40]!r} must be one of {known}", code="bad_aggregation", field="aggregation")
    return cast(Aggregation, name)


def aggregate(
    y: NDArray[np.float32], how: Aggregation, shares: NDArray[np.floating] | None = None
) -> NDArray[np.float32]:
    """(n, d) pieces of products -> (d,). Mean and median are of those that have begun to sell; `shares` (n,) weigh."""
    n, d = y.shape
    if not n or not d:
        return np.zeros(d, dtype=np.float32)
    if how == "weighted":
        assert shares is not None
        return np.asarray(shares.astype(np.float32) @ y)
    answer = np.empty(d, dtype=np.float32)
    begun = np.zeros(n, dtype=np.bool_)
    for start in range(0, d, width := max(_CELLS // n, 1)):
        part = y[:, start : start + width]
        if how == "sum":
            answer[start : start + width] = part.sum(axis=0, dtype=np.float64)
        elif how == "max":
            answer[start : start + width] = part.max(axis=0)
        else:
            since = np.logical_or.accumulate(np.column_stack([begun, part > 0]), axis=1)[:, 1:]
            begun = since[:, -1].copy()
            answer[start : start + width] = _middle(np.where(since, part, np.float32(np.nan)), how)
    return answer


def shares_of(y: NDArray[np.float32], price: NDArray[np.float32], columns: int) -> NDArray[np.float64]:
    """(n,) share of each product in the money (without any price: in the pieces) of the last `columns` steps, in all
    they add up to 1."""
    recent = slice(max(y.shape[1] - columns, 0), None)
    pieces = y[:, recent].sum(axis=1, dtype=np.float64)
    money = np.array([np.nansum(a * b, dtype=np.float64) for a, b in zip(y[:, recent], price[:, recent], strict=True)])
    worth = money if money.any() else pieces
    total = worth.sum()
    return np.asarray(worth / total if total else np.full(len(y), 1.0 / max(len(y), 1)))


def mean_price(y: NDArray[np.float32], price: NDArray[np.float32]) -> NDArray[np.float32]:
    """(d,) what a piece of them costs: prices weighted by pieces, of the last step that sold any; NaN before it."""
    n, d = y.shape
    money, priced = np.zeros(d), np.zeros(d)
    for start in range(0, n, height := max(_CELLS // max(d, 1), 1)):
        pieces, each = y[start : start + height], price[start : start + height]
        known = np.isfinite(each)
        money += np.where(known, pieces * each, 0.0).sum(axis=0)
        priced += np.where(known, pieces, 0.0).sum(axis=0)
    return np.asarray(carried_price(money[None], priced[None])[0])


def carried_price(money: NDArray[np.floating], priced: NDArray[np.floating]) -> NDArray[np.float32]:
    """(n, d) price a piece of each day, or of the last day that had one; NaN before the first."""
    if not priced.shape[1]:
        return np.empty(priced.shape, dtype=np.float32)
    known = (priced > 0) & (money > 0)
    price = np.where(known, money / np.where(priced > 0, priced, 1.0), np.nan).astype(np.float32)
    return carried(price, known)


def carried(values: NDArray[np.float32], known: NDArray[np.bool_]) -> NDArray[np.float32]:
    """(n, d) the last known value of each row; NaN before the first."""
    last = np.maximum.accumulate(np.where(known, np.arange(values.shape[1], dtype=np.int32), np.int32(-1)), axis=1)
    found = np.take_along_axis(values, np.maximum(last, 0), axis=1)
    return np.where(last >= 0, found, np.float32(np.nan))


def _middle(values: NDArray[np.float32], how: Aggregation) -> NDArray[np.float32]:
    """Mean or median over rows, 0 where every one is NaN."""
    some = np.isfinite(values).any(axis=0)
    answer = np.zeros(values.shape[1], dtype=np.float32)
    if some.any():
        answer[some] = (np.nanmean if how == "mean" else np.nanmedian)(values[:, some], axis=0)
    return answer
