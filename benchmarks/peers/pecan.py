"""PecanPy in an environment of its own: walks over a graph, and how long they and their preparation took.

python pecan.py GIVEN.npz MADE.npz: `source`, `target` and `settings` in; `tokens`, `bounds`, `seconds` of the walks and
`prepared`, those before them, out. Its compiler has run before the clock starts.
"""

from __future__ import annotations

import json
import sys
import time

import numpy as np
from pecanpy import pecanpy

with np.load(sys.argv[1]) as found:
    source, target = found["source"], found["target"]
    settings = json.loads(str(found["settings"]))


def graph_of(pairs: np.ndarray) -> object:
    graph = getattr(pecanpy, settings["mode"])(
        p=settings["p"], q=settings["q"], workers=1, verbose=False, random_state=settings["seed"]
    )
    path = sys.argv[2] + ".edg"
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(f"{a}\t{b}\n" for a, b in pairs)
    graph.read_edg(path, weighted=False, directed=False)
    return graph


warm = graph_of(np.array([[0, 1], [1, 2], [2, 0], [2, 3]]))
warm.preprocess_transition_probs()
warm.simulate_walks(2, 4)
graph = graph_of(np.stack([source, target], axis=1))
started = time.perf_counter()
graph.preprocess_transition_probs()
prepared = time.perf_counter() - started
started = time.perf_counter()
walks = graph.simulate_walks(settings["num_walks"], settings["walk_length"])
seconds = time.perf_counter() - started
sizes = np.array([len(walk) for walk in walks])
tokens = np.array([int(name) for walk in walks for name in walk], dtype=np.int32)
np.savez(sys.argv[2], tokens=tokens, bounds=np.concatenate([[0], np.cumsum(sizes)]), seconds=seconds, prepared=prepared)
