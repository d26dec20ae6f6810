"""The algorithm `node2vec`: nodes are near each other when walks over the graph meet them together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import numpy as np

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.recommend.embedding.artifact import unit
from shopkeeper.recommend.embedding.needs import NEEDS
from shopkeeper.recommend.embedding.nodes import NodeEmbedding
from shopkeeper.recommend.embedding.params import EdgeParams, about
from shopkeeper.recommend.embedding.rows import EmbeddingRows
from shopkeeper.recommend.embedding.skipgram import train
from shopkeeper.recommend.embedding.walks import WalkCorpus


class Node2Vec:
    """Skip-gram with negative sampling over walks of second order: p says how gladly a walk goes back, q how gladly it
    stays near. Walks are made as they are read, new ones in each epoch, and never all kept.

    Reference: Grover, Leskovec, "node2vec: scalable feature learning for networks", KDD 2016.
    """

    name: ClassVar[str] = "node2vec"
    family: ClassVar[str] = "embedding"
    description: ClassVar[str] = "Vectors of users and items from walks over a graph (p, q): recall by user"
    tags: ClassVar[tuple[str, ...]] = ("embedding", "vectors", "recall", "graph")
    knows_new_users: ClassVar[bool] = False
    knows_new_items: ClassVar[bool] = False
    model: ClassVar[type[NodeEmbedding]] = NodeEmbedding
    needs: ClassVar[Mapping[str, str]] = NEEDS

    brief: ClassVar[dict[str, Any]] = {"dim": 16, "num_walks": 4, "walk_length": 10, "epochs": 5}
    """Parameters of a training that is only to be seen at work."""

    class Params(EdgeParams, kw_only=True):
        num_walks: Annotated[int, about("Walks from each node in an epoch", ge=1, le=10_000)] = 50
        walk_length: Annotated[int, about("Nodes of a walk", ge=2, le=10_000)] = 20
        p: Annotated[
            float, about("The higher, the less gladly a walk goes back where it came from", ge=0.01, le=100)
        ] = 1.0
        q: Annotated[
            float, about("The higher, the more gladly it stays with neighbours of where it came from", ge=0.01, le=100)
        ] = 1.0

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed

    def fit(self, data: EmbeddingRows, report: Report) -> NodeEmbedding:
        """Raises Invalid (`no_data`, `no_items`, `bad_weight`, `diverged`)."""
        p, edges = self.params, data.the_edges()
        report(0, 1, message="reading the edges")
        graph = edges.graph()
        linked = graph.links > 0  # where nothing begins a walk may still end
        if not linked.any():
            raise Invalid("no edge leads from one node to another: there is nothing to walk on", code="no_data")
        corpus = WalkCorpus(graph, p.num_walks, p.walk_length, p.p, p.q, self.seed)
        learned = train(corpus, p.plan(), self.seed, report)
        vectors = unit(learned.inner)
        users, items = np.flatnonzero(edges.users & linked), np.flatnonzero(edges.items & linked)
        row, place = (np.full(len(edges.ids), -1, dtype=np.int64) for _ in range(2))
        row[users], place[items] = np.arange(len(users)), np.arange(len(items))
        user, item = edges.recalls()
        start = np.searchsorted(row[user], np.arange(len(users) + 1)).astype(np.int64)
        return NodeEmbedding(
            tuple(edges.ids[at] for at in users),
            vectors[users],
            tuple(edges.ids[at] for at in items),
            vectors[items],
            learned.outer[items],
            start,
            place[item].astype(np.int32),
            p.repeats,
            bool((edges.users & edges.items).any()),
            learned.losses,
        )
