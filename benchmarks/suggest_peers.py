"""implicit's ALS and BPR beside the house's models: programs of their own, in an environment of their own."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.graph_peers import ALONE, PEERS, implicit_python

Floats = NDArray[np.float32]


def vectors(
    peer: str,
    pairs: tuple[NDArray[np.int32], NDArray[np.int32]],
    sizes: tuple[int, int],
    seed: int,
    settings: dict[str, float],
) -> tuple[Floats, Floats, float]:
    """Vectors of users and items whose inner product ranks, and the seconds of the fit. `peer`: als or bpr; `pairs`
    (user, item) rows, `sizes` how many there are of both."""
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, user=pairs[0], item=pairs[1], n_users=sizes[0], n_items=sizes[1], seed=seed, **settings)
        command = [str(implicit_python()), str(PEERS / f"{peer}.py"), str(given), str(made)]
        subprocess.run(command, check=True, env=ALONE, stderr=subprocess.DEVNULL)
        with np.load(made) as found:
            return found["users"], found["items"], float(found["seconds"])
