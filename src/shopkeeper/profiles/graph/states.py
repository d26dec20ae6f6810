"""What is computed of the nodes of one type, layer by layer, and what of it waits to be computed anew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.base import grown
from shopkeeper.profiles.graph.incoming import Ints
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.weights import Floats

Array = TypeVar("Array", bound=NDArray[np.generic])


def widths(model: GraphWeights, node_type: str) -> list[int]:
    """Of h of each layer that nodes of this type have, 0 first; empty for a type that the model does not read."""
    if not model.layers or node_type not in model.layers[0].types:
        return []
    found = [len(model.layers[0].types[node_type].query_w)]
    for layer in model.layers:
        if node_type not in layer.types:
            break
        found.append(len(layer.types[node_type].out_b))
    return found


@dataclass(frozen=True)
class Kept:
    """States of `nodes` (k,) as they were computed from what `reads` uint64 (k,) tells (`reads.py`): `h` of each layer
    (k, width). `owed` and `hub` (layers, k): what their readers have not been told."""

    nodes: Ints
    h: Sequence[Floats]
    reads: NDArray[np.uint64]
    owed: Floats
    hub: NDArray[np.bool_]

    def some(self, where: Ints, nodes: Ints) -> Kept:
        """Those at `where` (j,), as nodes of these positions."""
        h = [layer[where] for layer in self.h]
        return Kept(nodes, h, self.reads[where], self.owed[:, where], self.hub[:, where])


class NodeStates:
    """`h` of each layer (n, width); `vectors` (n, dim) or None where the type has no head. `dirty` (layers, n): h has
    to be computed anew; `owed` (layers, n): by how much h has changed, as a share of its length, since its readers were
    told; `hub` (layers, n): many readers are to be told when there is time; `urgent` (n,): an event or a record is the
    reason; `touched` (n,): how late the last event came, as a count."""

    def __init__(self, widths: list[int], dim: int | None) -> None:
        self.n = 0
        self._h = [np.empty((0, width), dtype=np.float32) for width in widths]
        self._vectors = None if dim is None else np.empty((0, dim), dtype=np.float32)
        self.depth = len(widths) - 1
        self.dirty = np.zeros((len(widths), 0), dtype=np.bool_)
        self.hub = np.zeros((len(widths), 0), dtype=np.bool_)
        self.owed = np.zeros((len(widths), 0), dtype=np.float32)
        self.urgent = np.zeros(0, dtype=np.bool_)
        self.touched = np.zeros(0, dtype=np.int64)

    def grow(self, n: int) -> None:
        """New nodes are zero until they are computed; nothing of them is marked."""
        self.n = max(n, self.n)
        if n <= len(self.urgent):
            return
        self.urgent, self.touched = grown(self.urgent, n), grown(self.touched, n)
        room = len(self.urgent)
        self._h = [_longer(one, room, 0) for one in self._h]
        if self._vectors is not None:
            self._vectors = _longer(self._vectors, room, 0)
        self.dirty, self.hub = _longer(self.dirty, room, 1), _longer(self.hub, room, 1)
        self.owed = _longer(self.owed, room, 1)

    def h(self, layer: int) -> Floats:
        """float32 (n, width): to read, and to write single nodes."""
        return self._h[layer][: self.n]

    @property
    def vectors(self) -> Floats | None:
        return None if self._vectors is None else self._vectors[: self.n]

    def mark(self, nodes: Ints, tick: int) -> None:
        """What these nodes hear has changed: every layer is to be computed anew, before others."""
        self.dirty[1:, nodes] = True
        self.urgent[nodes] = True
        self.touched[nodes] = tick

    def clear(self, nodes: Ints) -> None:
        """No number of these nodes stays."""
        for one in (*self._h, self._vectors):
            if one is not None:
                one[nodes] = 0

    def waiting(self, layer: int) -> Ints:
        """Nodes whose h of this layer is to be computed anew."""
        return np.flatnonzero(self.dirty[layer, : self.n])


def _longer(values: Array, room: int, axis: int) -> Array:
    shape = list(values.shape)
    shape[axis] = room
    longer: Array = np.zeros(shape, dtype=values.dtype)  # type: ignore[assignment]
    longer[tuple(slice(0, size) for size in values.shape)] = values
    return longer
