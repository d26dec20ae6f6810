"""What programs of implicit have in common: pairs in, vectors and the seconds of the fit out.

python PEER.py GIVEN.npz MADE.npz: given are `user`, `item` (distinct pairs), `n_users`, `n_items`, `seed` and settings.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix


def answer(
    make: Callable[..., Any], own: Mapping[str, str], then: Callable[[Any, csr_matrix, Any], None] | None = None
) -> None:
    """`make` a model of implicit; `own`: its parameters beside those of all, with the settings that give them; `then`
    gets what was fitted, the pairs and all settings."""
    given = np.load(sys.argv[1])
    ones = np.ones(len(given["user"]), dtype=np.float32)
    pairs = csr_matrix((ones, (given["user"], given["item"])), shape=(int(given["n_users"]), int(given["n_items"])))
    model = make(
        factors=int(given["dim"]),
        regularization=float(given["decay"]),
        iterations=int(given["epochs"]),
        random_state=int(given["seed"]),
        num_threads=1,
        **{name: float(given[setting]) for name, setting in own.items()},
    )
    began = time.perf_counter()
    model.fit(pairs, show_progress=False)
    if then:
        then(model, pairs, given)
    seconds = time.perf_counter() - began
    np.savez(sys.argv[2], users=model.user_factors, items=model.item_factors, seconds=seconds)
