"""What a graph training is given, and the untouched rest that it is measured on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from shopkeeper.core.protocols import Metrics
from shopkeeper.profiles.graph.artifact import HgtModel
from shopkeeper.profiles.graph.hetero import HeteroGraph
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.tables import NodeTable
from shopkeeper.profiles.graph.targets import Split, Window
from shopkeeper.profiles.graph.weights import Floats


@dataclass(frozen=True)
class GraphRows:
    """`graph` ends at `split.until`: the test is not in it. `ids` and `tables` by node type; users have no ids.
    `test_links`: how many new links of each relation the test has, for the summary. `champion`: what a warm start
    begins with; `begun` says which it is, or why there is none (`warm`)."""

    graph: HeteroGraph
    ids: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, NodeTable]
    split: Split
    test_links: Mapping[str, int] = field(default_factory=dict)
    champion: HgtModel | None = None
    begun: str = ""


@dataclass(frozen=True)
class GraphHoldout:
    """`graph`: all edges before the window, from which its links are foretold. `naive`: what popularity foresees."""

    graph: HeteroGraph
    ids: Mapping[str, tuple[str, ...]]
    tables: Mapping[str, NodeTable]
    window: Window
    naive: Metrics
    seed: int = 0


def inputs_of(
    model: GraphWeights, ids: Mapping[str, tuple[str, ...]], tables: Mapping[str, NodeTable]
) -> dict[str, Floats]:
    """Layer 0 of all nodes of the types that the model knows."""
    known = [name for name in tables if name in model.schema.node_types]
    return {name: model.inputs(name, ids.get(name, ()), tables[name]) for name in known}
