"""LightGCN, and ALS and BPR of implicit, beside the models of the house: programs that know nothing of Shopkeeper."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.graph_sets import MOVIELENS, RETAIL, Links

PACKAGES = ("implicit==0.7.3",)
PEERS = Path(__file__).with_name("peers")
ALONE = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}

# Chosen on the weeks before the cut.
SETTINGS: dict[str, dict[str, dict[str, float]]] = {
    "lightgcn": {
        MOVIELENS: {"dim": 64, "layers": 3, "batch": 16384, "epochs": 20, "rate": 0.01, "decay": 1e-3},
        RETAIL: {"dim": 64, "layers": 2, "batch": 4096, "epochs": 40, "rate": 0.005, "decay": 1e-3},
    },
    "als": {
        MOVIELENS: {"dim": 64, "alpha": 5.0, "decay": 10.0, "epochs": 15},
        RETAIL: {"dim": 64, "alpha": 1.0, "decay": 10.0, "epochs": 15},
    },
}


def factors(peer: str, links: Links, end: int, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Vectors of users and items, whose inner product ranks, from the links before `end`, and the seconds it took."""
    pairs = links.past(end).pairs()
    sizes = len(links.users), len(links.items)
    return vectors(peer, (pairs.user, pairs.item), sizes, seed, SETTINGS[peer][links.name])


def vectors(
    peer: str,
    pairs: tuple[NDArray[Any], NDArray[Any]],
    sizes: tuple[int, int],
    seed: int,
    settings: dict[str, float],
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """The same from `pairs`, (user, item) rows; `sizes`: how many there are of both. `peer`: als, bpr or lightgcn."""
    python = Path(sys.executable) if peer == "lightgcn" else implicit_python()
    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(given, user=pairs[0], item=pairs[1], n_users=sizes[0], n_items=sizes[1], seed=seed, **settings)
        command = [str(python), str(PEERS / f"{peer}.py"), str(given), str(made)]
        subprocess.run(command, check=True, env=ALONE, stderr=subprocess.DEVNULL)
        with np.load(made) as found:
            return found["users"], found["items"], float(found["seconds"])


def implicit_python() -> Path:
    """The Python of an environment with implicit, kept below the system's temporary folder."""
    home = Path(tempfile.gettempdir()) / "shopkeeper-bench-implicit"
    if not (home / "ready").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
        (home / "ready").touch()
    return home / "bin" / "python"
