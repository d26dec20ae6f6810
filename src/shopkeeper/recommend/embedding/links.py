"""How well vectors foresee links that were kept back: against pairs without one, and among all items."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopkeeper.core.protocols import Metrics
from shopkeeper.quality import classification, ranking
from shopkeeper.recommend.embedding.edges import Edges
from shopkeeper.recommend.embedding.graph import Graph
from shopkeeper.recommend.embedding.rows import LinkHoldout

K = 20
_TRIES = 20


def drawn_beside(known: Edges, later: Edges, graph: Graph, seed: int, most: int) -> LinkHoldout:
    """Links of at most `most` users, and beside each an item that its user has no link with, before or after; the plain
    measures too. Links with what has no other edge are left out: nobody can know anything of it."""
    random = np.random.default_rng(seed)
    alive = graph.links > 0
    there = np.flatnonzero(alive[later.source] & alive[later.target])
    users = np.unique(later.source[there])
    if len(users) > most:
        users = random.choice(users, most, replace=False)
        there = there[np.isin(later.source[there], users)]
    n = max(len(known.ids), 1)
    user, item = later.source[there].astype(np.int64), later.target[there]
    pairs = [user * n + item]
    for a, b in (known.recalls(), later.recalls()):
        pairs.append(a.astype(np.int64) * n + b)
    forbidden = np.unique(np.concatenate(pairs))
    items = np.flatnonzero(known.items & alive)
    other = random.choice(items, len(user)) if len(items) else item
    for _ in range(_TRIES):
        bad = np.flatnonzero(np.isin(user * n + other, forbidden) | (user == other))
        if not len(bad):
            break
        other[bad] = random.choice(items, len(bad))
    degree = np.where(known.items, graph.links, 0)
    naive = {
        "naive_auc": _auc(degree[item], degree[other]),
        f"naive_recall@{K}": _most_linked(known, degree, user, item),
    }
    whose, which, beside = (tuple(known.ids[at] for at in each) for each in (user, item, other))
    return LinkHoldout(whose, which, beside, naive)


def measure_links(model: Any, holdout: LinkHoldout) -> Metrics:
    """`auc`, and recall of the new links among the first 20 that a user is told of, known links left out."""
    if not holdout.users:
        return {}
    told, drawn = (model.similar(holdout.users, each) for each in (holdout.items, holdout.others))
    wanted: dict[str, set[str]] = {}
    for user, item in zip(holdout.users, holdout.items, strict=True):
        wanted.setdefault(user, set()).add(item)
    found = [
        len(items.intersection(model.near(user, K, repeats=False)[0])) / len(items) for user, items in wanted.items()
    ]
    return {"auc": _auc(told, drawn), f"recall@{K}": float(np.mean(found))}


def _auc(right: Any, wrong: Any) -> float:
    score = np.concatenate([right, wrong]).astype(np.float64)
    label = np.concatenate([np.ones(len(right)), np.zeros(len(wrong))])
    return classification.auc(label, score)


def _most_linked(known: Edges, degree: Any, user: Any, item: Any) -> float:
    """Recall when everybody is told of the items with the most links that are new to them."""
    who, linked = known.recalls()
    start = np.searchsorted(who, np.arange(len(known.ids) + 1))
    order = np.argsort(-degree, kind="stable")
    order = order[degree[order] > 0].astype(np.int32)
    lists, wanted = [], []
    for each in np.unique(user):
        seen = linked[start[each] : start[each + 1]]
        head = order[: K + len(seen) + 1]
        new = head[~np.isin(head, seen) & (head != each)][:K]
        lists.append(np.pad(new, (0, K - len(new)), constant_values=-1))
        wanted.append(item[user == each].astype(np.int32))
    return ranking.recall_at(np.stack(lists).astype(np.int32), wanted, K) if lists else 0.0
