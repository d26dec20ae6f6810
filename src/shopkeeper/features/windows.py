"""Sums over windows that end at a moment, of one user or of many, all windows in one pass over the order lines."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.int64]


class OrderSums(NamedTuple):
    """Of k users and s windows each, all (k, s). Amounts in micros."""

    orders: Numbers
    lines: Numbers
    items: Numbers
    pieces: Numbers
    spend: Numbers


class OrderLines(NamedTuple):
    """n order lines, user after user, each in order of time, all (n,). `user` None: all are of one. In micros."""

    user: NDArray[np.int32] | None
    time: Numbers
    item: NDArray[np.int32]
    quantity: Numbers
    value: Numbers


def order_sums(lines: OrderLines, starts: Numbers, ends: Numbers) -> OrderSums:
    """Of the lines from `starts` (k, s) up to `ends` (k, 1), not including. Lines of one moment are never parted."""
    n = len(lines.time)
    if not n:
        nothing = np.zeros(starts.shape, dtype=np.int64)
        return OrderSums(nothing, nothing, nothing, nothing, nothing)
    total = np.zeros((4, n + 1), dtype=np.int64)
    total[0, 1] = 1
    np.not_equal(lines.time[1:], lines.time[:-1], out=total[0, 2:], casting="unsafe")
    if lines.user is not None:
        total[0, 2:] |= lines.user[1:] != lines.user[:-1]
    total[1, 1 + _last_of_item(lines)] = 1
    total[2, 1:] = lines.quantity
    total[3, 1:] = lines.value
    np.cumsum(total, axis=1, out=total)
    orders, items, pieces, spend = total[:, ends] - total[:, starts]
    return OrderSums(orders, ends - starts, items, pieces, spend)


def sums_from(where: Numbers, amounts: Numbers, starts: Numbers, ends: Numbers) -> Numbers:
    """Amounts (m,) of events at the sorted positions `where`, from `starts` (k, s) up to `ends` (k, 1)."""
    if not len(where):
        return np.zeros(starts.shape, dtype=np.int64)
    total = np.zeros(len(where) + 1, dtype=np.int64)
    np.cumsum(amounts, out=total[1:])
    summed: Numbers = total[np.searchsorted(where, ends)] - total[np.searchsorted(where, starts)]
    return summed


def _last_of_item(lines: OrderLines) -> Numbers:
    """Where the last line of each item is, by user; lines without an item have none."""
    key = lines.item if lines.user is None else (lines.user.astype(np.int64) << 32) + lines.item
    order = np.argsort(key, kind="stable")
    key = key[order]
    last = np.ones(len(key), dtype=np.bool_)
    np.not_equal(key[1:], key[:-1], out=last[:-1])
    found: Numbers = order[last]
    return found[lines.item[found] >= 0]
