"""Boosted trees compiled for the rows of one slate: many candidates, one user, one moment.

A tree's leaves are the bits of a word, from left to right. A split that a row fails rules out the leaves on its `yes`
side; what is left of the word, its lowest bit, is the row's leaf. So a split costs one comparison for each row, in
order, which processors do for many rows at once. About half of what a ranker reads is the same in all rows of a slate:
such splits are decided once a call, and what lies behind their other side is passed over. Measured on 144 trees of
depth 5, 200 rows, 56 features of which half differ: 0.06 ms; level by level it was 0.21.

References: Lucchese et al., "QuickScorer: a fast algorithm to rank documents with additive ensembles of regression
trees", SIGIR 2015.
"""

from __future__ import annotations

from functools import cache
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.learning.compiled import compiled
from shopkeeper.learning.trees import Trees

MOST_NODES = 100_000
"""What is asked of all rows at once must not take longer than the other forms."""
_LEAVES = 64
_FULL = 2**_LEAVES - 1
_SPREAD = 0x03F79D71B4CB0A89
"""A de Bruijn sequence: its product with a single bit has another six highest bits for each place of that bit."""
_HIGHEST = 58

_Node: TypeAlias = "tuple[int, Any, Any, Any, int] | Any"
"""(feature, threshold, yes, no, leaves), or the value of a leaf."""


class TreeWalk:
    """Scores finite rows. Threads may share it. Making the first one takes a second or two, for a compiler works."""

    def __init__(self, trees: Trees) -> None:
        """Raises Invalid for too many nodes, or trees that are too deep."""
        if len(trees) > MOST_NODES:
            raise Invalid(f"{len(trees):,} nodes are too many to walk, at most {MOST_NODES:,}", code="no_form")
        form = _Form()
        for root in _roots(trees):
            for part in _parts(root, _LEAVES):
                form.add(part)
        self._nodes = (*form.arrays(), float(trees.base))
        self._walk = _compiled()

    def score(self, rows: NDArray[np.float32]) -> NDArray[np.float32] | None:
        """(n, f) -> probability (n,); None when a number is missing, which another form must decide. Rows whose
        columns lie side by side are read as they are."""
        scores: NDArray[np.float32] = self._walk(np.ascontiguousarray(rows.T, dtype=np.float32), *self._nodes)
        return scores if len(scores) == len(rows) else None


def near_thresholds(trees: Trees, features: int, n: int = 256) -> NDArray[np.float32]:
    """(n, features) rows that take many ways: each number lies at a threshold of its feature, or just beside it."""
    random = np.random.default_rng(0)
    rows = np.zeros((n, features), dtype=np.float32)
    splits = ~trees.leaf
    for at in np.unique(trees.feature[splits]).tolist():
        known = np.unique(trees.threshold[splits & (trees.feature == at)])
        rows[:, at] = np.nextafter(random.choice(known, n), random.choice([-np.inf, np.inf], n).astype(np.float32))
        exact = random.random(n) < 0.5
        rows[exact, at] = random.choice(known, int(exact.sum()))
    return rows


class _Form:
    """Splits in the order in which they are met, a split's `yes` side before its `no` side, and leaves of each tree at
    the places that `_SPREAD` gives them."""

    def __init__(self) -> None:
        self.starts = [0]
        self.feature: list[int] = []
        self.threshold: list[Any] = []
        self.mask: list[int] = []
        self.no: list[int] = []
        self.end: list[int] = []
        self.values: list[NDArray[np.float32]] = []

    def add(self, tree: _Node) -> None:
        """At most 64 leaves."""
        values = np.zeros(_LEAVES, dtype=np.float32)
        for place, value in enumerate(self._splits(tree, 0)):
            values[((1 << place) * _SPREAD & _FULL) >> _HIGHEST] = value
        self.values.append(values)
        self.starts.append(len(self.feature))

    def _splits(self, node: _Node, first: int) -> list[Any]:
        """The values of its leaves, of which `first` is the first."""
        if not isinstance(node, tuple):
            return [node]
        feature, threshold, yes, no, _ = node
        at = len(self.feature)
        self.feature.append(feature)
        self.threshold.append(threshold)
        for later in (self.mask, self.no, self.end):
            later.append(0)
        below = self._splits(yes, first)
        self.mask[at] = _FULL & ~(((1 << len(below)) - 1) << first)
        self.no[at] = len(self.feature)
        above = self._splits(no, first + len(below))
        self.end[at] = len(self.feature)
        return below + above

    def arrays(self) -> tuple[NDArray[Any], ...]:
        places = (np.array(each, dtype=np.int32) for each in (self.starts, self.feature, self.no, self.end))
        threshold, mask = np.array(self.threshold, dtype=np.float32), np.array(self.mask, dtype=np.uint64)
        return (*places, threshold, mask, np.array(self.values, dtype=np.float32).reshape(-1, _LEAVES))


def _roots(trees: Trees) -> list[_Node]:
    """Trees as nested nodes."""
    at = {key: place for place, key in enumerate(zip(trees.tree.tolist(), trees.node.tolist(), strict=True))}
    tree, leaf, feature = trees.tree.tolist(), trees.leaf.tolist(), trees.feature.tolist()
    yes, no = trees.yes.tolist(), trees.no.tolist()
    # A threshold that belongs to `yes` is moved up by the least step, so that one test will do.
    below = trees.threshold if trees.test == "<" else np.nextafter(trees.threshold, np.float32(np.inf))
    roots = []
    for number in dict.fromkeys(tree):
        order: list[int] = []
        waiting = [at[number, 0]]
        while waiting:
            place = waiting.pop()
            order.append(place)
            if not leaf[place]:
                waiting += [at[number, no[place]], at[number, yes[place]]]
        made: dict[int, _Node] = {}
        for place in reversed(order):  # children before their parents
            if leaf[place]:
                made[place] = trees.value[place]
            else:
                one, other = made.pop(at[number, yes[place]]), made.pop(at[number, no[place]])
                made[place] = (feature[place], below[place], one, other, _leaves(one) + _leaves(other))
        roots.append(made[at[number, 0]])
    return roots


def _parts(node: _Node, room: int) -> list[_Node]:
    """Trees of at most `room` leaves whose sum is the tree: what one of them leaves out is 0 in it. Raises Invalid."""
    if _leaves(node) <= room:
        return [node]
    if room < 2:
        raise Invalid(f"trees of more than {_LEAVES} levels are not walked", code="no_form")
    feature, threshold, yes, no, _ = node
    of_yes = [(feature, threshold, one, np.float32(0), _leaves(one) + 1) for one in _parts(yes, room - 1)]
    of_no = [(feature, threshold, np.float32(0), one, _leaves(one) + 1) for one in _parts(no, room - 1)]
    return [*of_yes, *of_no]


def _leaves(node: _Node) -> int:
    return int(node[4]) if isinstance(node, tuple) else 1


@cache
def _compiled() -> Any:
    ints, floats = "int32[::1]", "float32[::1]"
    signature = f"{floats}(float32[:,::1],{ints},{ints},{ints},{ints},{floats},uint64[::1],float32[:,::1],float64)"
    return compiled(_walk, signature)


def _walk(  # type: ignore[no-untyped-def]
    columns, starts, feature, no, end, threshold, mask, values, base
):
    """`columns` (f, n). Empty when a number is missing."""
    f, n = columns.shape
    result = np.empty(n, dtype=np.float32)
    if n == 0:
        return result
    same = np.ones(f, dtype=np.bool_)
    missing = False
    for j in range(f):
        first = columns[j, 0]
        for i in range(n):
            same[j] &= columns[j, i] == first
            missing |= columns[j, i] != columns[j, i]
    if missing:
        return np.empty(0, dtype=np.float32)
    every, one = np.uint64(_FULL), np.uint64(1)
    spread, highest = np.uint64(_SPREAD), np.uint64(_HIGHEST)
    total = np.full(n, base)
    left = np.empty(n, dtype=np.uint64)
    jump = np.zeros(len(feature) + 1, dtype=np.int32)  # where to go on from the `no` side of a decided split
    for t in range(len(starts) - 1):
        a = starts[t]
        of_all, differ = every, False  # what is left for all rows; do they differ yet?
        while a < starts[t + 1]:
            if jump[a]:
                b = jump[a]
                jump[a] = 0
                a = b
                continue
            column, limit, kept = columns[feature[a]], threshold[a], mask[a]
            if not same[feature[a]]:
                if not differ:
                    differ = True
                    left[:] = of_all
                for i in range(n):
                    left[i] &= every if column[i] < limit else kept
                a += 1
            elif column[0] < limit:
                if no[a] < end[a]:
                    jump[no[a]] = end[a]
                a += 1
            else:
                if differ:
                    for i in range(n):
                        left[i] &= kept
                else:
                    of_all &= kept
                a = no[a]
        if differ:
            for i in range(n):
                lowest = left[i] & (~left[i] + one)
                total[i] += values[t, (lowest * spread) >> highest]
        else:
            lowest = of_all & (~of_all + one)
            total += values[t, (lowest * spread) >> highest]
    for i in range(n):
        result[i] = 1.0 / (1.0 + np.exp(-total[i]))
    return result
