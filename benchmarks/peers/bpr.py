"""implicit's BPR in an environment of its own: vectors from pairs, an item's bias among them, see pairs.py.

implicit draws the items that a user did not take by how often they are taken, so its scores tell by how much more
than its popularity an item fits. `popularity`, 0 when it is not given, is the share of the logarithm of it that is
put back into an item's bias.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from implicit.bpr import BayesianPersonalizedRanking
from pairs import answer
from scipy.sparse import csr_matrix


def put_back(model: Any, pairs: csr_matrix, given: Any) -> None:
    """The last number of an item's vector is its bias; that of a user's is one."""
    if "popularity" in given:
        taken = np.asarray(pairs.sum(axis=0)).ravel()
        model.item_factors[:, -1] += float(given["popularity"]) * np.log(taken + 1)


if __name__ == "__main__":
    answer(BayesianPersonalizedRanking, {"learning_rate": "rate"}, put_back)
