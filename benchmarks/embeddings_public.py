"""Vectors of nodes and items on public data: classes of nodes, links, next baskets, next clicks, and how fast.

python -m benchmarks.embeddings_public [--quick] [--only=graphs,links,speed,baskets,sessions] [--dry]
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from benchmarks.embedding_sets import (
    LabelledGraph,
    Sessions,
    accounts,
    blogcatalog,
    classified,
    facebook,
    hadamard,
    halved,
    link_auc,
    logistic,
    ranked,
    retail,
    sessions,
    shared_neighbours,
    told,
    unlinked,
    wikipedia,
)
from benchmarks.forecast_sets import peer_python
from benchmarks.graph_peers import ALONE, PEERS
from benchmarks.suggest_quality import written
from shopkeeper.core.clock import DAY
from shopkeeper.core.protocols import silent
from shopkeeper.recommend.embedding.artifact import unit
from shopkeeper.recommend.embedding.chance import seeds_of
from shopkeeper.recommend.embedding.item2vec import Item2Vec
from shopkeeper.recommend.embedding.items import ItemEmbedding
from shopkeeper.recommend.embedding.reading import sequences_of_orders
from shopkeeper.recommend.embedding.rows import EmbeddingRows
from shopkeeper.recommend.embedding.sequences import SequenceCorpus, Sequences
from shopkeeper.recommend.embedding.skipgram import Plan, train
from shopkeeper.recommend.embedding.walks import WalkCorpus, walks
from shopkeeper.recommend.recall.family import MOST_USERS
from shopkeeper.recommend.recall.holdout import UserCase, cases_at, measure
from shopkeeper.recommend.recall.item_knn import ItemKnn
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.recall.training import RecallData

SEEDS = (1, 2, 3)
_QUICK = "--quick" in sys.argv
_PACKAGES = ["gensim==4.4.0", "pecanpy==2.0.9"]
_EPOCHS = 1 if _QUICK else 2
_STRENGTHS = (1.0, 4.0, 16.0, 64.0)
_WEEKS = ("2011-09-26", "2011-10-03", "2011-10-17", "2011-10-31", "2011-11-14")
_CLICKS: dict[str, Any] = {"match": "alike", "epochs": 10 if _QUICK else 20}
_DECAY = 0.8
"""What an item of a session counts beside the one after it."""


@dataclass(frozen=True)
class _Walked:
    """What is learned of a graph: `epochs` times 10 new walks of 80 nodes from each."""

    p: float
    q: float
    epochs: int = _EPOCHS
    window: int = 10
    published: str = ""

    def __str__(self) -> str:
        return f"node2vec, p {self.p:g}, q {self.q:g}, window {self.window}"


_GRAPHS = {
    "BlogCatalog": (blogcatalog, (_Walked(0.25, 0.25, published="0.258"),)),
    "Wikipedia POS": (wikipedia, (_Walked(4.0, 1.0, 1, published="0.155"), _Walked(4.0, 1.0, 1, 2))),
}

_PROTOCOL = (
    "One thread. **Classes**: vectors from the whole graph without labels; of the labelled nodes a random half is "
    "learned from with one-vs-rest logistic regression, of the others as many classes are told as each has; macro and "
    "micro F1. 128 numbers, 10 walks of 80 nodes, window 10, p and q as the paper chose them; new walks twice (gensim: "
    "the same twice), on Wikipedia once, which with the strength of the regression, and the narrower window there, was "
    "chosen within the learning half of seed 1. **Links**: half of the edges goes, so that all stay "
    "reachable; logistic regression on the products of two vectors learns the edges that stayed against as many "
    "unlinked pairs, and tells those that went from as many other unlinked pairs. **Next baskets**: UCI Online "
    "Retail, five weeks; vectors from all before, targets are the distinct items that each returning customer bought "
    "within seven days. **Next clicks**: sessions as published, each test's last item among all items; ties count "
    "against. Settings were chosen on weeks and sessions before those that are measured. Mean (standard deviation) "
    "over the seeds; of baskets over weeks and seeds."
)

_WIKIPEDIA = (
    "The published graph of Wikipedia has weights, how often two words stand together; the public copy has none, and "
    "its score stays below, with the narrower window too. Within the learning half of seed 1, in five folds, macro F1"
    " was .108 with one pass, .104 with two or five, .097 with ten, .098 with one of twice the rate; of two passes "
    ".101 with q 0.5 and .110 with q 4; of one pass with window 5 .114, 3 .119, 2 .130."
)


def main() -> None:
    parts = {"graphs": _classes, "links": _links, "speed": _speed, "baskets": _baskets, "sessions": _sessions}
    only = next((each.split("=")[1].split(",") for each in sys.argv if each.startswith("--only=")), list(parts))

    def tables() -> list[dict[str, Any]]:
        made = []
        for name in only:
            table = parts[name]()
            made.append(table)
            print(table["title"], *table["rows"], sep="\n  ", flush=True)
        return made

    notes = ["A short run (`--quick`): one seed, fewer tests."] if _QUICK else []
    written("embeddings_public", "Vectors of nodes and items on public data", _PROTOCOL, tables, [*notes, _WIKIPEDIA])


def _seeds() -> tuple[int, ...]:
    return SEEDS[:1] if _QUICK else SEEDS


def _cell(values: list[float]) -> str:
    spread = f" ({np.std(values, ddof=1):.4f})" if len(values) > 1 else ""
    return f"{np.mean(values):.4f}{spread}"


# -- nodes


def _node_vectors(n: int, edges: NDArray[np.int64], seed: int, how: _Walked) -> NDArray[np.float32]:
    """Inner vectors (n, d); a node without an edge has the one it began with."""
    walked = WalkCorpus(accounts(n, edges).graph(), 10, 80, how.p, how.q, seed)
    return train(walked, Plan(128, how.epochs, how.window, 5, 0.025, 1), seed, silent).inner


def _classes() -> dict[str, Any]:
    rows = []
    for name, (load, hows) in _GRAPHS.items():
        graph = load()
        runs = dict[str, list[tuple[float, float]]]()
        strengths: dict[str, float] = {}
        for seed in _seeds():
            random = np.random.default_rng(seed).normal(size=(graph.n, 16)).astype(np.float32)
            made = {str(how): _node_vectors(graph.n, graph.edges, seed, how) for how in hows}
            if seed == SEEDS[0] and name == "BlogCatalog":
                made["gensim on walks with p = q = 1, window 10"] = _of_gensim(graph, seed)
            made["no vectors: the most frequent classes"] = random * 1e-6
            for kind, vectors in made.items():
                if kind not in strengths:
                    strengths[kind] = max(
                        _STRENGTHS, key=lambda c, v=vectors: classified(v, graph.labels, 1, c, tuning=True)[0]
                    )
                runs.setdefault(kind, []).append(classified(vectors, graph.labels, seed, strengths[kind]))
                print(name, kind, seed, strengths[kind], runs[kind][-1], flush=True)
        published = {str(how): how.published for how in hows}
        for kind, values in runs.items():
            rows.append([name, kind, *(_cell([one[at] for one in values]) for at in (0, 1)), published.get(kind, "")])
    columns = ["graph", "vectors", "macro F1", "micro F1", "published (Grover & Leskovec)"]
    return {"title": "Classes of nodes, half of them learned from", "columns": columns, "rows": rows}


def _walked(graph: LabelledGraph, p: float, q: float, seed: int) -> tuple[NDArray[np.int32], NDArray[np.int64], float]:
    """10 walks of 80 nodes from each node, and the seconds of making them."""
    net = accounts(graph.n, graph.edges).graph()
    begin = np.tile(np.flatnonzero(net.degree > 0).astype(np.int32), 10)
    started = time.perf_counter()
    tokens, bounds = walks(net, begin, seeds_of(seed, 0, 0, len(begin)), 80, p, q)
    return tokens, bounds, time.perf_counter() - started


def _of_gensim(graph: LabelledGraph, seed: int) -> NDArray[np.float32]:
    tokens, bounds, _ = _walked(graph, 1.0, 1.0, seed)
    return _gensim(tokens, bounds, graph.n, seed, vector_size=128, window=10, epochs=_EPOCHS)[0]


def _links() -> dict[str, Any]:
    n, edges = facebook()
    runs = dict[str, list[float]]()
    for seed in _seeds():
        kept, gone = halved(n, edges, seed)
        beside = unlinked(n, edges, len(kept) + len(gone), seed)
        vectors = unit(_node_vectors(n, kept, seed, _Walked(1.0, 1.0)))
        x = np.concatenate([hadamard(vectors, kept), hadamard(vectors, beside[: len(kept)])])
        y = np.arange(len(x))[:, None] < len(kept)
        weights = logistic(x * np.sqrt(x.shape[1]), y, 1.0)
        asked = [gone, beside[len(kept) :]]
        found = {
            "node2vec, products and regression": [
                told(hadamard(vectors, each) * np.sqrt(x.shape[1]), weights)[:, 0] for each in asked
            ],
            "node2vec, inner product": [hadamard(vectors, each).sum(axis=1) for each in asked],
            "common neighbours": [shared_neighbours(n, kept, each) for each in asked],
        }
        degree = np.bincount(kept.ravel(), minlength=n)
        found["product of degrees"] = [degree[each].prod(axis=1) for each in asked]
        for kind, (right, wrong) in found.items():
            runs.setdefault(kind, []).append(link_auc(right, wrong))
    rows = [[kind, _cell(values), "0.968" if "regression" in kind else ""] for kind, values in runs.items()]
    return {
        "title": "Links of ego-Facebook, half of the edges removed",
        "columns": ["how", "AUC", "published"],
        "rows": rows,
    }


# -- how fast


def _speed() -> dict[str, Any]:
    graph = blogcatalog()
    _walked(graph, 0.5, 2.0, 0)  # the compiler has run before the clock starts
    rows = []
    for p, q in ((0.25, 4.0),) if _QUICK else ((1.0, 1.0), (0.25, 0.25), (0.25, 4.0)):
        tokens, bounds, seconds = _walked(graph, p, q, 1)
        rows.append(["node2vec here", f"{p:g}, {q:g}", _rate(len(bounds) - 1, seconds), f"{seconds:.1f}", ""])
        peer, prepared, seconds = _pecan(graph, p, q)
        rows.append(["PecanPy SparseOTF", f"{p:g}, {q:g}", _rate(peer, seconds), f"{seconds:.1f}", f"{prepared:.1f}"])
    few = bounds[: len(bounds) // (20 if _QUICK else 4)]
    few_tokens = tokens[: few[-1]]
    for name, run in (("skip-gram here", _own_skipgram), ("gensim", _gensim_seconds)):
        seconds = run(few_tokens, few, graph.n)
        rows.append([name, "", f"{len(few_tokens) / seconds:,.0f} nodes/s", f"{seconds:.1f}", ""])
    seconds, many, megabytes = _a_million()
    rows.append(
        ["node2vec here, a million edges", "0.25, 4", _rate(many, seconds), f"{seconds:.1f}", f"{megabytes} MB"]
    )
    return {
        "title": "BlogCatalog, 10 walks of 80 nodes from each (PecanPy: one); skip-gram on a part of them, window 10",
        "columns": ["program", "p, q", "rate", "seconds", "preparation: seconds; memory"],
        "rows": rows,
    }


def _a_million() -> tuple[float, int, int]:
    """Seconds of a walk of 80 nodes from each of 100,000, whose degrees are far from equal; how many walks these are;
    by how many MB the process grew."""
    n, random = 100_000, np.random.default_rng(1)
    ends = (n * random.random((1_050_000, 2)) ** 2).astype(np.int64)
    before = _resident()
    net = accounts(n, np.unique(np.sort(ends[ends[:, 0] != ends[:, 1]], axis=1), axis=0)[:1_000_000]).graph()
    corpus = WalkCorpus(net, 1, 80, 0.25, 4.0, 1)
    started = time.perf_counter()
    many = sum(len(bounds) - 1 for _, bounds, _ in corpus.chunks(0, 1_000_000))
    return time.perf_counter() - started, many, (_resident() - before) >> 20


def _resident() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _rate(many: int, seconds: float) -> str:
    return f"{many / seconds:,.0f} walks/s"


def _own_skipgram(tokens: NDArray[np.int32], bounds: NDArray[np.int64], _n: int) -> float:
    there, places = np.unique(tokens, return_inverse=True)
    walked = Sequences(places.astype(np.int32), bounds, np.arange(len(tokens)), tuple(map(str, there)))
    train(SequenceCorpus(walked, 1), Plan(8, 1, 2, 1, 0.025, 1), 1, silent)
    started = time.perf_counter()
    train(SequenceCorpus(walked, 1), Plan(128, 1, 10, 5, 0.025, 1), 1, silent)
    return time.perf_counter() - started


def _gensim_seconds(tokens: NDArray[np.int32], bounds: NDArray[np.int64], n: int) -> float:
    return _gensim(tokens, bounds, n, 1, vector_size=128, window=10, epochs=1)[1]


def _gensim(
    tokens: NDArray[np.int32], bounds: NDArray[np.int64], n: int, seed: int, **settings: Any
) -> tuple[NDArray[np.float32], float]:
    given = {"negative": 5, "alpha": 0.025, "workers": 1, "seed": seed, **settings}
    made = _peer("skipgram", tokens=tokens, bounds=bounds, n=n, settings=json.dumps(given))
    return made["vectors"], float(made["seconds"])


def _pecan(graph: LabelledGraph, p: float, q: float) -> tuple[int, float, float]:
    """(walks, seconds before, seconds of them)."""
    given = {"mode": "SparseOTF", "p": p, "q": q, "seed": 1, "num_walks": 1, "walk_length": 80}
    made = _peer("pecan", source=graph.edges[:, 0], target=graph.edges[:, 1], settings=json.dumps(given))
    return len(made["bounds"]) - 1, float(made["prepared"]), float(made["seconds"])


def _peer(name: str, **given: Any) -> dict[str, NDArray[Any]]:
    python = peer_python("embeddings", _PACKAGES)
    with tempfile.TemporaryDirectory() as folder:
        into, out = Path(folder) / "given.npz", Path(folder) / "made.npz"
        np.savez(into, **given)
        subprocess.run([str(python), str(PEERS / f"{name}.py"), str(into), str(out)], check=True, env=ALONE)
        with np.load(out) as found:
            return {each: found[each] for each in found.files}


# -- items


def _baskets() -> dict[str, Any]:
    orders = retail()
    keys = ("recall@20", "ndcg@10", "new_recall@20", "new_ndcg@10")
    runs = dict[str, list[dict[str, float]]]()

    def keep(name: str, model: Any, cases: tuple[UserCase, ...]) -> None:
        runs.setdefault(name, []).append(measure(model, orders.item_ids, cases))

    for week in _WEEKS[-1:] if _QUICK else _WEEKS:
        cutoff = int(np.datetime64(week, "us").astype(np.int64))
        cases = cases_at(orders, cutoff, cutoff + 7 * DAY, most=MOST_USERS, seed=SEEDS[0])
        before = orders.between(None, cutoff)
        keep("popularity", count(before, cutoff, 14.0), cases)
        keep("item-kNN", ItemKnn(ItemKnn.Params(), 0).fit(RecallData(before, cutoff), silent), cases)
        for seed in _seeds():
            params = Item2Vec.Params(workers=1)
            read = EmbeddingRows(sequences_of_orders(before, baskets=False))
            keep("item2vec", Item2Vec(params, seed).fit(read, silent), cases)
            if seed == SEEDS[0]:
                tokens, bounds, _ = next(SequenceCorpus(read.the_sequences(), seed).chunks(0, len(before) + 1))
                made, _ = _gensim(tokens, bounds, orders.n_items, seed, vector_size=params.dim, window=5, epochs=10)
                keep("gensim, cosine", ItemEmbedding(orders.item_ids, unit(made), unit(made), 60.0), cases)
    rows = [[name, *(_cell([one[key] for one in values]) for key in keys)] for name, values in runs.items()]
    return {"title": "Next baskets of Online Retail", "columns": ["model", *keys], "rows": rows}


def _sessions() -> dict[str, Any]:
    rows = []
    for name in ("retailrocket",) if _QUICK else ("diginetica", "retailrocket"):
        found = sessions(name)
        n = 1 + max(max(map(max, found.train)), max(map(max, found.before)), int(found.target.max()))
        many = np.bincount([each for one in found.train for each in one], minlength=n)
        rows.append([name, "popularity", *map(_cell, zip(ranked(_same(many, found), found.target), strict=True))])
        for kind, itself in (("item-kNN", False), ("item-kNN, an item is nearest to itself", True)):
            shown = ranked(_neighbours(found, n, itself), found.target)
            rows.append([name, kind, *map(_cell, zip(shown, strict=True))])
        measured = []
        for seed in _seeds():
            model = _clicked(found, seed)
            measured.append(ranked(_answers(model, found, n), found.target))
        rows.append([name, "item2vec", *(_cell([one[at] for one in measured]) for at in (0, 1))])
    return {"title": "Next clicks", "columns": ["sessions", "model", "P@20", "MRR@20"], "rows": rows}


def _clicked(found: Sessions, seed: int) -> ItemEmbedding:
    params = msgspec.convert({"workers": 1, **_CLICKS}, Item2Vec.Params)
    read = EmbeddingRows(Sequences.of([str(each) for each in one] for one in found.train))
    return Item2Vec(params, seed).fit(read, silent)


def _answers(model: ItemEmbedding, found: Sessions, n: int) -> Iterator[NDArray[np.float32]]:
    """Scores (b, n) of the tests in blocks: what came last counts most."""
    known = np.array([int(name) for name in model.item_ids])
    inner, outer = (np.zeros((n, model.inner.shape[1]), dtype=np.float32) for _ in range(2))
    inner[known], outer[known] = model.inner, model.outer
    never = np.setdiff1d(np.arange(n), known)
    for before in _blocks(found.before):
        scores = np.stack([_recent(len(one)) @ inner[one] for one in before]) @ outer.T
        scores[:, never] = -np.inf
        yield scores


def _recent(m: int) -> NDArray[np.float32]:
    return (_DECAY ** np.arange(m - 1, -1, -1)).astype(np.float32)


def _neighbours(found: Sessions, n: int, itself: bool) -> Iterator[NDArray[np.float32]]:
    """Cosine of the sessions that two items stand in, from the items of the session by the same weights."""
    from scipy.sparse import csr_matrix, diags

    row = np.repeat(np.arange(len(found.train)), [len(one) for one in found.train])
    column = np.concatenate([np.array(one) for one in found.train])
    net = csr_matrix((np.ones(len(row), dtype=np.float32), (row, column)), shape=(len(found.train), n))
    net.data[:] = 1
    length = np.sqrt(np.maximum(np.asarray(net.sum(axis=0)).ravel(), 1))
    common = (net.T @ net).tocsr()
    if not itself:
        common.setdiag(0)
    like = diags(1 / length) @ common @ diags(1 / length)
    for before in _blocks(found.before):
        where = np.repeat(np.arange(len(before)), [len(one) for one in before])
        weight = np.concatenate([_recent(len(one)) for one in before])
        asked = csr_matrix((weight, (where, np.concatenate([np.array(one) for one in before]))), (len(before), n))
        yield np.asarray((asked @ like).todense(), dtype=np.float32)


def _same(scores: NDArray[Any], found: Sessions) -> Iterator[NDArray[Any]]:
    for before in _blocks(found.before):
        yield np.broadcast_to(scores, (len(before), len(scores)))


def _blocks(tests: list[list[int]], size: int = 500) -> Iterator[list[list[int]]]:
    for at in range(0, len(tests), size):
        yield tests[at : at + size]


if __name__ == "__main__":
    main()
