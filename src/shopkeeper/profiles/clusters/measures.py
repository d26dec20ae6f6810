"""How well points fall into clusters. Labels are 0 to k - 1; clusters without points do not count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from shopkeeper.rules.vectors import Numbers

MOST = 2000


def silhouette(points: Numbers, label: NDArray[np.int64], seed: int) -> float:
    """Mean over at most `MOST` points, drawn by the seed: -1 to 1, the nearer to 1 the better; 0 with one cluster.

    Of each point (b - a) / max(a, b): a the mean distance within its cluster, b that to the next one. A point that is
    alone in its cluster counts 0 (Rousseeuw, 1987).
    """
    from scipy.spatial.distance import cdist

    if len(points) > MOST:
        drawn = np.random.default_rng(seed).choice(len(points), MOST, replace=False)
        points, label = points[drawn], label[drawn]
    names, own = np.unique(label, return_inverse=True)
    if len(names) < 2:
        return 0.0
    one_hot = np.eye(len(names))[own]
    size = one_hot.sum(axis=0)
    total = cdist(points, points) @ one_hot
    rows = np.arange(len(points))
    alone = size[own] <= 1
    within = total[rows, own] / np.maximum(size[own] - 1, 1)
    means = total / size
    means[rows, own] = np.inf
    nearest = means.min(axis=1)
    longest = np.maximum(within, nearest)
    value = np.where(alone | (longest == 0), 0.0, (nearest - within) / np.where(longest == 0, 1.0, longest))
    return float(value.mean())


def davies_bouldin(points: Numbers, label: NDArray[np.int64]) -> float:
    """The smaller the better: how wide clusters are for their distance, each beside its worst neighbour; NaN with one
    cluster (Davies and Bouldin, 1979)."""
    names = np.unique(label)
    if len(names) < 2:
        return float("nan")
    centres = np.array([points[label == name].mean(axis=0) for name in names])
    width = np.array(
        [
            np.linalg.norm(points[label == name] - centre, axis=1).mean()
            for name, centre in zip(names, centres, strict=True)
        ]
    )
    apart = np.linalg.norm(centres[:, None] - centres[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(((width[:, None] + width[None]) / np.maximum(apart, 1e-12)).max(axis=1).mean())
