"""Candidates of several channels fused in one compiled loop: what `candidates.fuse` does in a hundred numpy calls."""

from __future__ import annotations

import numpy as np

from shopkeeper.learning.compiled import Compiled

_STEPS, _FINE = 2048, 15
"""Steps of the histogram below the highest score; 2^15 of an octave's 2^23 numbers share one."""
_INFINITY = 0x7F800000
"""What stands above as bits is no number."""


def _fuse(  # type: ignore[no-untyped-def]
    scores, bits, allowed, quota, depth, weight, told_quota, told_weight, shares
):
    """`scores` (c, n) and `allowed` (n,); all others by channel (c,): so many of its best are candidates, looked at,
    told; what a place of it counts. (candidates (k,) by position, strength and named (c, k), fused and told (k,)).

    `bits` are the same scores read as int32, as which positive numbers stand in the same order: the best of a channel
    are cut off by a histogram, and only these are sorted, equals by position.
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
    counts, keys = np.empty(_STEPS + 1, dtype=np.int32), np.empty(n + 1, dtype=np.int64)
    seen = np.empty(n, dtype=np.int32)
    for i in range(n):
        if not allowed[i]:
            hidden[held_back] = i
            held_back += 1
    for r in range(c):
        room, place = min(depth[r], n), places[r]
        if room <= 0:
            continue
        highest = 0
        for i in range(n):
            bit = bits[r, i] if allowed[i] else 0
            seen[i] = bit if 0 < bit <= _INFINITY else 0
            highest = max(highest, seen[i])
        if highest == 0:
            continue
        least = 1
        if highest > _STEPS << _FINE:  # no branch in these loops: a processor could not foresee it
            counts[:] = 0
            for i in range(n):
                counts[min((highest - seen[i]) >> _FINE, _STEPS)] += 1
            step, reached = 0, counts[0]
            while reached < room and step < _STEPS:
                step += 1
                reached += counts[step]
            if step < _STEPS:
                least = highest - ((step + 1) << _FINE) + 1
        kept = 0
        for i in range(n):
            keys[kept] = (np.int64(highest - seen[i]) << 32) | i
            kept += seen[i] >= least
        keys[:kept].sort()
        size = min(room, kept)
        for k in range(size):
            place[k] = keys[k] & 0xFFFFFFFF
            values[k] = scores[r, place[k]]
        sizes[r] = size
        tops[r] = values[0]
        told_of = min(size, told_quota[r])
        border = values[max(told_of, 1) - 1]
        for at in range(held_back):  # what is not allowed keeps its place in what is told
            i = hidden[at]
            value = scores[r, i]
            tops[r] = max(tops[r], value)
            if told_of and value >= border:
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
    "(float32[:,::1],int32[:,::1],boolean[::1],int64[::1],int64[::1],float32[::1],int64[::1],float32[::1],float32[::1])",
)
