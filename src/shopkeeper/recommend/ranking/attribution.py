"""What a ranker's answers hang on: how much worse they are when the values of one feature are dealt anew among rows.

References: Breiman, "Random forests", Machine Learning 45, 2001, section 10; Fisher, Rudin, Dominici, "All models are
wrong, but many are useful", JMLR 20, 2019.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from shopkeeper.quality.classification import logloss

MOST_ROWS = 4000


def permuted(
    score: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    values: NDArray[np.float32],
    label: NDArray[np.float32],
    names: tuple[str, ...],
    seed: int,
    *,
    weight: NDArray[np.float32] | None = None,
) -> dict[str, float]:
    """Share of each of `names` in what the log-loss grows by, the largest first; a feature whose values may be dealt
    anew without harm is left out. Of `values` (n, f), rows that were not learned from, MOST_ROWS are drawn at most;
    `weight` (n,): how many rows one stands for.

    Of two features that say the same neither may be found to matter: each stands in for the other.
    """
    random = np.random.default_rng(seed)
    if len(values) > MOST_ROWS:
        drawn = np.sort(random.choice(len(values), MOST_ROWS, replace=False))
        values, label = values[drawn], label[drawn]
        weight = None if weight is None else weight[drawn]
    if not len(values):
        return {}
    whole = logloss(label, score(values), weight)
    grown = {}
    for at, name in enumerate(names):
        dealt = values.copy()
        dealt[:, at] = values[random.permutation(len(values)), at]
        grown[name] = logloss(label, score(dealt), weight) - whole
    total = sum(more for more in grown.values() if more > 0)
    ordered = sorted(grown.items(), key=lambda pair: -pair[1])
    return {name: more / total for name, more in ordered if more > 0}
