"""implicit's BPR in an environment of its own: vectors of users and items from pairs, an item's bias among them.

python bpr.py GIVEN.npz MADE.npz: given are `user`, `item` (distinct pairs), `n_users`, `n_items`, `seed` and settings.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from implicit.bpr import BayesianPersonalizedRanking
from scipy.sparse import csr_matrix


def main() -> None:
    given = np.load(sys.argv[1])
    ones = np.ones(len(given["user"]), dtype=np.float32)
    pairs = csr_matrix((ones, (given["user"], given["item"])), shape=(int(given["n_users"]), int(given["n_items"])))
    model = BayesianPersonalizedRanking(
        factors=int(given["dim"]),
        regularization=float(given["decay"]),
        learning_rate=float(given["rate"]),
        iterations=int(given["epochs"]),
        random_state=int(given["seed"]),
        num_threads=1,
    )
    began = time.perf_counter()
    model.fit(pairs, show_progress=False)
    seconds = time.perf_counter() - began
    np.savez(sys.argv[2], users=model.user_factors, items=model.item_factors, seconds=seconds)


if __name__ == "__main__":
    main()
