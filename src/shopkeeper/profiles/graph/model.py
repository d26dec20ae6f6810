"""What a graph model is when it serves: encoders, layers and heads as plain arrays. No user stands in it.

Users have no vector of their own in the artifact: theirs is computed from the graph (`inference.py`), so a new user has
one with the first event, and an erased user leaves nothing behind. Items have a learned part, found by id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from shopkeeper.profiles.graph.schema import GraphSchema
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.weights import Floats, Head, Layer


class GraphWeights(Protocol):
    """What inference needs of a graph model. Relations and node types that it was not trained with are not read."""

    @property
    def schema(self) -> GraphSchema: ...

    @property
    def layers(self) -> Sequence[Layer]: ...

    @property
    def heads(self) -> Mapping[str, Head]:
        """Of each node type that has a place in the vector space."""
        ...

    @property
    def recent(self) -> int:
        """At most so many edges of each relation are read into a node: the newest."""
        ...

    @property
    def dim(self) -> int:
        """Numbers of a vector of the space, the offset's place included."""
        ...

    def inputs(self, node_type: str, ids: Sequence[str], table: NodeTable) -> Floats:
        """h of layer 0, float32 (n, d_in), of nodes with these ids and attributes; `ids` are read for items only."""
        ...
