"""How the work of keeping vectors right is divided into steps, and what comes first."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.weights import Floats

Some: TypeAlias = Mapping[str, Ints]
"""Nodes by type."""
_MANY = 8_192
"""Nodes that wait of which the most urgent are chosen."""
_TINY = 1e-12


@dataclass(frozen=True)
class Pace:
    """`events`: so many, at both ends, are taken in at once; `top` others are computed in one step, in the order of
    `recency`, `degree` and `norm`, weights of numbers from 0 to 1. `epsilon`: the change, as a share of a node's h,
    that its readers do not hear of. `hub`: so many readers are told when nothing else waits."""

    events: int = 256
    top: int = 32
    recency: float = 0.6
    degree: float = 0.2
    norm: float = 0.2
    epsilon: float = 0.05
    hub: int = 500

    def priority(self, age: Ints, degree: Ints, norm: Floats) -> Floats:
        """float32 (k,) of nodes: `age` in events since the last one of their own."""
        recency = np.exp2(-age / self.events)
        total = self.recency * recency + self.degree * _share(np.log1p(degree)) + self.norm * _share(norm)
        return np.asarray(total, dtype=np.float32)


def chosen(waiting: Some, most: int, priority: Callable[[str, Ints], Floats]) -> dict[str, Ints]:
    """The most urgent of them all, at most `most`."""
    waiting = {name: nodes for name, nodes in waiting.items() if len(nodes)}
    if sum(map(len, waiting.values())) <= most:
        return dict(waiting)
    waiting = {name: nodes[:_MANY] for name, nodes in waiting.items()}
    rank = np.concatenate([priority(name, nodes) for name, nodes in waiting.items()])
    cut = np.argpartition(-rank, most - 1)[:most]
    kept = np.zeros(len(rank), dtype=np.bool_)
    kept[cut] = True
    parts = np.split(kept, np.cumsum([len(nodes) for nodes in waiting.values()])[:-1])
    found = {name: nodes[part] for (name, nodes), part in zip(waiting.items(), parts, strict=True)}
    return {name: nodes for name, nodes in found.items() if len(nodes)}


def _share(values: Floats) -> Floats:
    """Of the largest of them."""
    largest = max(float(values.max(initial=0)), _TINY)
    return np.asarray(values / largest, dtype=np.float32)
