"""Candidates of several channels fused in one compiled loop: what `candidates.fuse` does in a hundred numpy calls."""

from __future__ import annotations

import numpy as np

from shopkeeper.learning.compiled import Compiled


def _fuse(  # type: ignore[no-untyped-def]
    scores, allowed, quota, depth, weight, told_quota, told_weight, shares
):
    """`scores` (c, n) and `allowed` (n,); all others by channel (c,): so many of its best are candidates, looked at,
    told; what a place of it counts. (candidates (k,) by position, strength and named (c, k), fused and told (k,)).

    The best of a channel are kept in a heap whose root is the worst of them: the lowest, of equals the last.
    """
    c, n = scores.shape
    most = 0
    for r in range(c):
        most = max(most, min(depth[r], n))
    places = np.empty((c, most), dtype=np.int32)
    values = np.empty(most, dtype=np.float32)
    sizes = np.zeros(c, dtype=np.int64)
    tops = np.ones(c, dtype=np.float32)
    ahead = np.zeros((c, most + 1), dtype=np.int64)
    position = np.full(n, -1, dtype=np.int32)
    hidden, held_back = np.empty(n, dtype=np.int32), 0
    for i in range(n):
        if not allowed[i]:
            hidden[held_back] = i
            held_back += 1
    for r in range(c):
        room, size, place = min(depth[r], n), 0, places[r]
        if room <= 0:
            continue
        for i in range(n):
            value = scores[r, i]
            if not (value > 0 and allowed[i]):
                continue
            if size < room:
                k = size
                size += 1
                while k > 0 and values[(k - 1) // 2] >= value:
                    values[k], place[k] = values[(k - 1) // 2], place[(k - 1) // 2]
                    k = (k - 1) // 2
                values[k], place[k] = value, i
            elif value > values[0]:
                k, child = 0, 1
                while child < size:
                    if child + 1 < size and (
                        values[child + 1] < values[child]
                        or (values[child + 1] == values[child] and place[child + 1] > place[child])
                    ):
                        child += 1
                    if value <= values[child]:
                        break
                    values[k], place[k] = values[child], place[child]
                    k, child = child, 2 * child + 1
                values[k], place[k] = value, i
        for end in range(size - 1, 0, -1):  # the worst goes to the end, again and again: best first
            value, i = values[end], place[end]
            values[end], place[end] = values[0], place[0]
            k, child = 0, 1
            while child < end:
                if child + 1 < end and (
                    values[child + 1] < values[child]
                    or (values[child + 1] == values[child] and place[child + 1] > place[child])
                ):
                    child += 1
                if value < values[child] or (value == values[child] and i > place[child]):
                    break
                values[k], place[k] = values[child], place[child]
                k, child = child, 2 * child + 1
            values[k], place[k] = value, i
        sizes[r] = size
        if size:
            tops[r] = values[0]
            told_of = min(size, told_quota[r])
            least = values[max(told_of, 1) - 1]
            for at in range(held_back):  # what is not allowed keeps its place in what is told
                i = hidden[at]
                value = scores[r, i]
                tops[r] = max(tops[r], value)
                if told_of and value >= least:
                    low, high = 0, told_of
                    while low < high:
                        middle = (low + high) // 2
                        if values[middle] > value or (values[middle] == value and place[middle] < i):
                            low = middle + 1
                        else:
                            high = middle
                    ahead[r, low] += 1
        for k in range(min(size, quota[r])):
            position[place[k]] = 0
    total = 0
    for i in range(n):
        if position[i] >= 0:
            position[i] = total
            total += 1
    found = np.empty(total, dtype=np.int32)
    for i in range(n):
        if position[i] >= 0:
            found[position[i]] = i
    strength = np.zeros((c, total), dtype=np.float32)
    named = np.zeros((c, total), dtype=np.bool_)
    fused = np.zeros(total, dtype=np.float32)
    told = np.zeros(total, dtype=np.float32)
    for r in range(c):
        if not sizes[r]:
            continue
        for k in range(total):
            strength[r, k] = scores[r, found[k]] / tops[r]
        before = 0
        for k in range(sizes[r]):
            at = position[places[r, k]]
            if k < quota[r]:
                named[r, at] = True
                fused[at] += weight[r] * shares[k]
            if k < told_quota[r]:
                before += ahead[r, k]
                if at >= 0 and k + before < told_quota[r]:
                    told[at] += told_weight[r] * shares[k + before]
    return found, strength, named, fused, told


FUSE = Compiled(
    _fuse,
    "Tuple((int32[::1],float32[:,::1],boolean[:,::1],float32[::1],float32[::1]))"
    "(float32[:,::1],boolean[::1],int64[::1],int64[::1],float32[::1],int64[::1],float32[::1],float32[::1])",
)
