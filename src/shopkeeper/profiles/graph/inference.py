"""Vectors of nodes from a graph: the layers of a model in numpy, over all nodes or only some.

Both ways are one function, so a vector does not depend on how it came about. Everything is a function of the edges that
are read, of layer 0 and of the reference moment, by which edges are young or old.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.graph.attention import Arcs, attend
from shopkeeper.profiles.graph.hetero import Edges, HeteroGraph, age_buckets
from shopkeeper.profiles.graph.model import GraphWeights
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.weights import LOGIT_LIMIT, Floats, Head, Layer, RelationWeights, TypeWeights

Places: TypeAlias = NDArray[np.int64]
Into: TypeAlias = Callable[[Relation, Places | None], Edges]
"""The edges of a relation that are read into some nodes (k,), or into all (None): destination j is the j-th of them."""
States: TypeAlias = list[dict[str, Floats]]
"""h of each layer, 0 first, by node type: (n, width)."""

_BLOCK = 1 << 18
"""Edges of a step: they take a few megabytes."""
_FEW = 1024
"""Edges up to which all is gathered at once."""
_TINY = 1e-12
_NORM_EPSILON = 1e-5


def get_ready() -> None:
    """Loads what the layers need, so that the first event does not wait for it."""
    import scipy.sparse
    import scipy.special  # noqa: F401


def embed_all(
    model: GraphWeights, graph: HeteroGraph, inputs: Mapping[str, Floats], reference: int
) -> dict[str, Floats]:
    """Vectors float32 (n, dim) of all nodes of each type that has a head. `inputs`: layer 0, (n, d_in) by node type."""
    return vectors(model, embed_states(model, graph, inputs, reference)[-1])


def embed_states(model: GraphWeights, graph: HeteroGraph, inputs: Mapping[str, Floats], reference: int) -> States:
    """Every layer of all nodes. Types without inputs, and relations that the graph does not have, are not read."""
    read = graph.newest(model.recent)

    def into(relation: Relation, nodes: Places | None) -> Edges:
        assert nodes is None  # all of them are asked for
        found = read.edges.get(relation)
        return Edges.none(graph.nodes[relation.target]) if found is None else found

    states: States = [dict(inputs)]
    for layer in model.layers:
        below = states[-1]
        kept = [name for name in layer.types if name in below]
        states.append({name: layer_of(layer, name, None, below, into, reference) for name in kept})
    return states


def vectors(model: GraphWeights, last: Mapping[str, Floats]) -> dict[str, Floats]:
    """The last layer seen through the heads."""
    return {name: vectors_of(head, last[name], model.dim) for name, head in model.heads.items() if name in last}


def vectors_of(head: Head, last: Floats, dim: int) -> Floats:
    """float32 (k, dim) of k nodes of one type from their last layer (k, d)."""
    flat = last @ head.weight + head.bias
    flat /= np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), _TINY)
    if dim == flat.shape[1]:
        return flat
    whole = np.ones((len(flat), dim), dtype=np.float32)
    whole[:, :-1] = flat
    if head.offset_w is not None:
        whole[:, -1] = last @ head.offset_w + head.offset_b
    return whole


def layer_of(
    layer: Layer, node_type: str, nodes: Places | None, below: Mapping[str, Floats], into: Into, reference: int
) -> Floats:
    """h of the next layer (k, d_out) of some nodes (k,) of one type, or of all (None), from h of the layer `below`."""
    own = below[node_type] if nodes is None else below[node_type][nodes]
    weights = layer.types[node_type]
    query = own @ weights.query_w + weights.query_b
    total = np.zeros(query.shape, dtype=np.float32)
    share = np.zeros((len(own), layer.heads), dtype=np.float32)
    for relation, of_relation in layer.relations.items():
        if relation.target != node_type or relation.source not in below:
            continue
        edges = into(relation, nodes)
        if len(edges):
            _hear(of_relation, query, edges, below[relation.source], reference, total, share)
    return _out(weights, own, total, share)


def _hear(
    weights: RelationWeights,
    query: Floats,
    edges: Edges,
    sources: Floats,
    reference: int,
    total: Floats,
    share: Floats,
) -> None:
    """Adds what arrives along one relation: to `total` (k, d) messages, each times exp(logit), to `share` (k, heads)
    the exp(logit)."""
    index: NDArray[np.int64] | NDArray[np.int32] = edges.source
    if len(edges) < len(sources):
        read, index = np.unique(edges.source, return_inverse=True)
        sources = sources[read]
    keys = sources @ weights.key_w + weights.key_b
    values = sources @ weights.value_w + weights.value_b
    buckets = age_buckets(edges.time, reference).astype(np.int32)
    if len(edges) <= _FEW:
        _hear_few(weights, query, edges.indptr, index, buckets, keys, values, total, share)
        return
    index = index.astype(np.int32, copy=False)
    for nodes, at in _blocks(edges.indptr):
        indptr = (edges.indptr[nodes.start : nodes.stop + 1] - at.start).astype(np.int32)
        target = np.repeat(np.arange(len(indptr) - 1, dtype=np.int32), np.diff(indptr))
        arcs = Arcs(target, index[at], buckets[at], indptr)
        given = (query[nodes], keys, weights.key_time, values, weights.value_time)
        told, said, _ = attend(arcs, share.shape[1], *given)
        total[nodes] += told
        share[nodes] += said


def _hear_few(
    weights: RelationWeights,
    query: Floats,
    indptr: NDArray[np.int64],
    index: NDArray[np.int64] | NDArray[np.int32],
    buckets: NDArray[np.int32],
    keys: Floats,
    values: Floats,
    total: Floats,
    share: Floats,
) -> None:
    """All edges at once: what is set up for many takes longer than this."""
    degree = np.diff(indptr)
    some = np.flatnonzero(degree)
    shape = (len(index), share.shape[1], query.shape[1] // share.shape[1])
    asked = query[np.repeat(np.arange(len(degree)), degree)]
    heard = keys[index] + weights.key_time[buckets]
    logit = np.einsum("mhc,mhc->mh", asked.reshape(shape), heard.reshape(shape))
    attention = np.exp(np.clip(logit, -LOGIT_LIMIT, LOGIT_LIMIT))
    messages = (values[index] + weights.value_time[buckets]).reshape(shape) * attention[:, :, None]
    total[some] += np.add.reduceat(messages.reshape(len(index), query.shape[1]), indptr[some], axis=0)
    share[some] += np.add.reduceat(attention, indptr[some], axis=0)


def _blocks(indptr: NDArray[np.int64]) -> Iterator[tuple[slice, slice]]:
    """Runs of destinations with about _BLOCK edges in all (at least one destination), and their edges."""
    start, n = 0, len(indptr) - 1
    while start < n:
        stop = max(int(np.searchsorted(indptr, indptr[start] + _BLOCK, side="right")) - 1, start + 1)
        if indptr[stop] > indptr[start]:
            yield slice(start, stop), slice(int(indptr[start]), int(indptr[stop]))
        start = stop


def _out(weights: TypeWeights, own: Floats, total: Floats, share: Floats) -> Floats:
    """From the sums to h; a node that hears nothing has an aggregate of zero."""
    from scipy.special import erf

    heads = share.shape[1]
    heard = (
        total.reshape(len(total), heads, total.shape[1] // heads)
        / np.where(share > 0, share, np.float32(1))[:, :, None]
    )
    flat = heard.reshape(total.shape)
    active = flat * (erf(flat * np.float32(np.sqrt(0.5))) + np.float32(1)) * np.float32(0.5)
    out: Floats = active @ weights.out_w + weights.out_b
    if weights.keep:
        out += np.float32(weights.keep) * own
    if weights.norm is not None:
        scale, shift = weights.norm
        out -= out.mean(axis=1, keepdims=True)
        out /= np.sqrt(np.square(out).mean(axis=1, keepdims=True) + np.float32(_NORM_EPSILON))
        out = out * scale + shift
    return out.astype(np.float32, copy=False)
