"""implicit's ALS in an environment of its own: vectors of users and items from pairs.

python als.py GIVEN.npz MADE.npz: given are `user`, `item` (distinct pairs), `n_users`, `n_items`, `seed` and settings.
"""

from __future__ import annotations

import sys
import time

import numpy as np
from implicit.als import AlternatingLeastSquares
from scipy.sparse import csr_matrix


def main() -> None:
    given = np.load(sys.argv[1])
    ones = np.ones(len(given["user"]), dtype=np.float32)
    pairs = csr_matrix((ones, (given["user"], given["item"])), shape=(int(given["n_users"]), int(given["n_items"])))
    model = AlternatingLeastSquares(
        factors=int(given["dim"]),
        regularization=float(given["decay"]),
        alpha=float(given["alpha"]),
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
