"""How well vectors foresee links: AUC of new links against pairs that never came, recall of the items that are new.

AUC counts ties half. Both leave out what a user was linked with before: that a known link comes again is no foresight.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.protocols import Metrics
from shopkeeper.profiles.graph.hetero import NO_TIME, HeteroGraph
from shopkeeper.profiles.graph.schema import Relation
from shopkeeper.profiles.graph.targets import Links, Window, distinct, target_relations
from shopkeeper.profiles.graph.weights import Floats
from shopkeeper.quality import ranking
from shopkeeper.quality.classification import auc

Vectors: TypeAlias = Mapping[str, Floats]
"""(n, dim) of users and of each kind of item; the inner product ranks."""

K, K_NDCG = 20, 10
HALF_LIFE = 14 * DAY
MOST_USERS = 2000
MOST_LINKS = 50_000
_CHUNK = 512
_SCORES = 1 << 23
"""So many scores are held at once: with many items fewer users are ranked at a time."""
_TRIES = 20
_PARTS = ("auc", "pos_mean", "neg_mean")


def measure(vectors: Vectors, graph: HeteroGraph, window: Window, seed: int = 0) -> Metrics:
    """`auc`, the mean over relations by their links, and of each relation `auc RELATION`, `pos_mean RELATION`,
    `neg_mean RELATION`; `recall@20` and `ndcg@10` of new items, the mean over users (at most 2,000, drawn by `seed`),
    each kind of item ranked by itself. NaN where there was nothing to foresee."""
    random = np.random.default_rng(seed)
    found: Metrics = {}
    total = weight = 0.0
    taken = {kind: _taken(graph, kind, links) for kind, links in window.by_kind.items()}
    for relation in window.links:
        each, n = _of_relation(vectors, window, relation, taken[relation.target], random)
        found |= {f"{part} {relation}": value for part, value in each.items()}
        if n:
            total, weight = total + n * each["auc"], weight + n
    found["auc"] = total / weight if weight else float("nan")
    return found | _ranked(vectors, graph, window, random)


def by_relation(metrics: Mapping[str, float]) -> dict[str, dict[str, float]]:
    """Of what `measure` said: `{RELATION: {auc, pos_mean, neg_mean}}`."""
    found: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        part, _, relation = name.partition(" ")
        if part in _PARTS and relation:
            found.setdefault(relation, {})[part] = value
    return found


def negatives(
    user: NDArray[np.int32], taken: NDArray[np.int64], n_items: int, random: np.random.Generator
) -> NDArray[np.int32]:
    """An item for each user (m,), drawn evenly, none of which the user has taken: `taken` are keys user * n_items +
    item, in order. -1: nothing is left."""
    drawn = random.integers(0, n_items, len(user), dtype=np.int32)
    open_ = np.arange(len(user))
    for _ in range(_TRIES):
        open_ = open_[_among(user[open_].astype(np.int64) * n_items + drawn[open_], taken)]
        if not len(open_):
            return drawn
        drawn[open_] = random.integers(0, n_items, len(open_), dtype=np.int32)
    for one in np.unique(user[open_]).tolist():  # who has taken nearly everything
        mine = open_[user[open_] == one]
        first, last = np.searchsorted(taken, (one * n_items, (one + 1) * n_items))
        left = np.setdiff1d(np.arange(n_items), taken[first:last] - one * n_items)
        drawn[mine] = random.choice(left, len(mine)) if len(left) else -1
    return drawn


def naive(graph: HeteroGraph, window: Window, seed: int = 0) -> Metrics:
    """What showing everybody the same foresees: `naive_...` of what was taken most, `lately_...` of what was taken most
    of late."""
    shown = {"naive": popularity(graph), "lately": popularity(graph, window.moment)}
    found = {word: measure(vectors, graph, window, seed) for word, vectors in shown.items()}
    return {f"{word}_{name}": value for word, measured in found.items() for name, value in measured.items()}


def popularity(graph: HeteroGraph, lately: int | None = None) -> Vectors:
    """Vectors of one number: how many took it. `lately` (us): what was taken by then counts half every `HALF_LIFE`."""
    vectors = {kind: np.zeros((n, 1), dtype=np.float32) for kind, n in graph.nodes.items()}
    vectors["user"] = np.ones((graph.nodes["user"], 1), dtype=np.float32)
    for relation in target_relations(graph.schema):
        edges = graph.edges[relation]
        if lately is None:
            vectors[relation.target][:, 0] += edges.degree
        else:
            age = (lately - np.where(edges.time == NO_TIME, lately, edges.time)) / HALF_LIFE
            vectors[relation.target][:, 0] += np.bincount(edges.target, 0.5**age, edges.n_targets)
    return vectors


def _taken(graph: HeteroGraph, kind: str, links: Links) -> NDArray[np.int64]:
    """Keys user * n_items + item, in order, of all that users have taken of a kind, before the window and in it."""
    n = max(graph.nodes[kind], 1)
    keys = [links.user.astype(np.int64) * n + links.item]
    for relation in target_relations(graph.schema):
        if relation.target == kind:
            edges = graph.edges[relation.reverse]
            keys.append(edges.target.astype(np.int64) * n + edges.source)
    return distinct(np.concatenate(keys))


def _among(key: NDArray[np.int64], ordered: NDArray[np.int64]) -> NDArray[np.bool_]:
    if not len(ordered):
        return np.zeros(len(key), dtype=np.bool_)
    at = np.minimum(np.searchsorted(ordered, key), len(ordered) - 1)
    return np.asarray(ordered[at] == key)


def _of_relation(
    vectors: Vectors, window: Window, relation: Relation, taken: NDArray[np.int64], random: np.random.Generator
) -> tuple[dict[str, float], int]:
    links = window.links[relation]
    at = np.flatnonzero(links.new)
    if len(at) > MOST_LINKS:
        at = random.choice(at, MOST_LINKS, replace=False)
    if not len(at):
        return dict.fromkeys(_PARTS, float("nan")), 0
    users, items = vectors["user"], vectors[relation.target]
    wrong = negatives(links.user[at], taken, len(items), random)
    at, wrong = at[wrong >= 0], wrong[wrong >= 0]  # who has taken everything tells nothing apart
    if not len(at):
        return dict.fromkeys(_PARTS, float("nan")), 0
    user = links.user[at]
    good = np.einsum("ij,ij->i", users[user], items[links.item[at]])
    bad = np.einsum("ij,ij->i", users[user], items[wrong])
    label = np.repeat([1.0, 0.0], len(at))
    area = auc(label, np.concatenate([good, bad]))
    return {"auc": area, "pos_mean": float(good.mean()), "neg_mean": float(bad.mean())}, len(at)


def _ranked(vectors: Vectors, graph: HeteroGraph, window: Window, random: np.random.Generator) -> Metrics:
    totals, cases = dict.fromkeys((f"recall@{K}", f"ndcg@{K_NDCG}"), 0.0), 0
    for kind, links in window.by_kind.items():
        users = np.unique(links.user[links.new])
        if len(users) > MOST_USERS:
            users = np.sort(random.choice(users, MOST_USERS, replace=False))
        truth = [links.item[a:b][links.new[a:b]] for a, b in zip(*_spans(links.user, users), strict=True)]
        slates = np.full((len(users), K), -1, dtype=np.int32)
        chunk = max(1, min(_CHUNK, _SCORES // max(graph.nodes[kind], 1)))
        for start in range(0, len(users), chunk):
            part = users[start : start + chunk]
            scores = vectors["user"][part] @ vectors[kind].T
            _hide(scores, graph, kind, part)
            slates[start : start + len(part)] = _best(scores)
        if len(users):
            totals[f"recall@{K}"] += len(users) * ranking.recall_at(slates, truth, K)
            totals[f"ndcg@{K_NDCG}"] += len(users) * ranking.ndcg_at(slates, truth, K_NDCG)
            cases += len(users)
    return {name: total / cases if cases else float("nan") for name, total in totals.items()} | {"users": float(cases)}


def _spans(ordered: NDArray[np.int32], users: NDArray[np.int32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.searchsorted(ordered, users, side="left"), np.searchsorted(ordered, users, side="right")


def _hide(scores: Floats, graph: HeteroGraph, kind: str, users: NDArray[np.int32]) -> None:
    """What they have taken already stands last."""
    for relation in target_relations(graph.schema):
        if relation.target != kind:
            continue
        edges = graph.edges[relation.reverse]
        for row, user in enumerate(users.tolist()):
            scores[row, edges.source[edges.indptr[user] : edges.indptr[user + 1]]] = -np.inf


def _best(scores: Floats) -> NDArray[np.int32]:
    """The K best of each row, best first; -1 where nothing is left."""
    k = min(K, scores.shape[1])
    top = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < scores.shape[1] else np.argsort(-scores, axis=1)
    value = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-value, axis=1, kind="stable")
    slate = np.full((len(scores), K), -1, dtype=np.int32)
    slate[:, :k] = np.where(
        np.isfinite(np.take_along_axis(value, order, axis=1)), np.take_along_axis(top, order, axis=1), -1
    )
    return slate
