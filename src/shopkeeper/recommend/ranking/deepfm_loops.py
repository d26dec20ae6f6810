"""The loops of a factorisation machine with a net, compiled: what numpy would do in a dozen passes over a batch.

b rows, c codes of a row, k numbers of a vector, V codes in all. Row `code` of `table` (V, k + 1) holds a vector and,
last, what the code counts by itself. All float32 but for `codes` (int32).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from shopkeeper.learning.compiled import compiled

BETA1, BETA2, TINY = np.float32(0.9), np.float32(0.999), np.float32(1e-8)
"""Of Adam."""


class Loops(NamedTuple):
    gather: Callable[..., Any]
    scatter: Callable[..., Any]
    move_rows: Callable[..., Any]
    move: Callable[..., Any]
    activate: Callable[..., Any]
    retreat: Callable[..., Any]


@cache
def loops() -> Loops:
    """Takes seconds the first time on a machine. Raises ImportError without a compiler."""
    rows, row, words = "float32[:,::1]", "float32[::1]", "int32[:,::1]"
    floats = "float32"
    return Loops(
        _made(_gather, f"void({rows}, {words}, {rows}, {rows}, {rows}, {row})"),
        _made(_scatter, f"int64({words}, {rows}, {rows}, {row}, {rows}, {floats}, {rows}, boolean[::1], int32[::1])"),
        _made(_move_rows, f"void({', '.join([rows] * 4)}, boolean[::1], int32[::1], int64, {floats}, {floats})"),
        _made(_move, f"void({', '.join([row] * 4)}, {floats}, {floats})"),
        _made(_activate, f"void({rows}, {row}, uint8[:,::1], int64, {floats})"),
        _made(_retreat, f"void({rows}, {rows}, {floats})"),
    )


def _made(loop: Callable[..., Any], signature: str) -> Callable[..., Any]:
    return compiled(loop, signature, writes=True)


def _gather(table, codes, x, total, squares, line):  # type: ignore[no-untyped-def]
    """The vectors of each row side by side into the first c k columns of `x`; their sum, the sum of their squares
    (b, k), and what the codes count by themselves (b,)."""
    b, c = codes.shape
    width = total.shape[1]
    for r in range(b):
        for k in range(width):
            total[r, k] = 0.0
            squares[r, k] = 0.0
        line[r] = 0.0
        for f in range(c):
            code, at = codes[r, f], f * width
            for k in range(width):
                e = table[code, k]
                x[r, at + k] = e
                total[r, k] += e
                squares[r, k] += e * e
            line[r] += table[code, width]


def _scatter(codes, table, slope_x, slope, total, decay, slopes, seen, places):  # type: ignore[no-untyped-def]
    """Adds the slopes of a batch to `slopes` (V, k + 1): by the net (`slope_x`, as `x`), by the products of pairs, and
    `decay` times the vector. The codes that occur, each once, into `places`; how many."""
    b, c = codes.shape
    width = total.shape[1]
    many = 0
    for r in range(b):
        for f in range(c):
            code, at = codes[r, f], f * width
            if not seen[code]:
                seen[code] = True
                places[many] = code
                many += 1
            for k in range(width):
                e = table[code, k]
                slopes[code, k] += slope_x[r, at + k] + slope[r] * (total[r, k] - e) + decay * e
            slopes[code, width] += slope[r] + decay * table[code, width]
    return many


def _move_rows(table, slopes, first, second, seen, places, many, rate, root):  # type: ignore[no-untyped-def]
    """A step of Adam for the rows at `places`, whose slopes are forgotten. `rate` and `root`: the step and the root of
    the second moment's share, both as of the number of steps."""
    width = table.shape[1]
    for i in range(many):
        code = places[i]
        seen[code] = False
        for k in range(width):
            g = slopes[code, k]
            m = BETA1 * first[code, k] + (np.float32(1.0) - BETA1) * g
            v = BETA2 * second[code, k] + (np.float32(1.0) - BETA2) * g * g
            first[code, k] = m
            second[code, k] = v
            table[code, k] -= rate * m / (np.sqrt(v) / root + TINY)
            slopes[code, k] = 0.0


def _move(place, slopes, first, second, rate, root):  # type: ignore[no-untyped-def]
    """The same for all numbers of (n,)."""
    for i in range(len(place)):
        g = slopes[i]
        m = BETA1 * first[i] + (np.float32(1.0) - BETA1) * g
        v = BETA2 * second[i] + (np.float32(1.0) - BETA2) * g * g
        first[i] = m
        second[i] = v
        place[i] -= rate * m / (np.sqrt(v) / root + TINY)


def _activate(hidden, bias, noise, least, scale):  # type: ignore[no-untyped-def]
    """In place: max(hidden + bias, 0), and 0 where `noise` is below `least`; what is left grows by `scale`."""
    b, h = hidden.shape
    for r in range(b):
        for i in range(h):
            e = hidden[r, i] + bias[i]
            hidden[r, i] = e * scale if e > 0.0 and noise[r, i] >= least else np.float32(0.0)


def _retreat(slope, hidden, scale):  # type: ignore[no-untyped-def]
    """The slope before `_activate`, in place."""
    b, h = hidden.shape
    for r in range(b):
        for i in range(h):
            slope[r, i] = slope[r, i] * scale if hidden[r, i] > 0.0 else np.float32(0.0)
