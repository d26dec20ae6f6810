"""Matching of texts: answers to questions (WikiQA), like questions in Chinese (LCQMC, BQ), names of goods as typed."""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from benchmarks import record
from shopkeeper import plugins
from shopkeeper.core.protocols import Metrics, silent
from shopkeeper.quality.classification import accuracy
from shopkeeper.recommend.matching import measuring
from shopkeeper.recommend.matching.baselines import Plain
from shopkeeper.recommend.matching.family import held_queries
from shopkeeper.recommend.matching.model import Matcher, chance
from shopkeeper.recommend.matching.pairs import Columns, Pairs, Side, distinct
from shopkeeper.recommend.matching.shop_pairs import as_typed

SEEDS = (1, 2, 3)
_SPLIT = 20261127
_WIKIQA = [f"wikiqa/WikiQA-{part}.parquet" for part in ("train", "test")]
_CHINESE = {"LCQMC": "chinese-pairs/lcqmc_dev.parquet", "BQ": "chinese-pairs/bq_corpus_dev.parquet"}
_RETAIL = "online-retail/online_retail.parquet"
_TYPED = 3
"""Searches drawn for each name."""

Scores = Callable[[Pairs], NDArray[np.float32]]


@dataclass(frozen=True)
class Variant:
    """`params` beside the defaults of `dssm`."""

    name: str
    params: dict[str, Any]


WHOLE = Variant("dssm", {})
TOWERS = Variant("dssm, vectors alone", {"words": False})
ALIKE = (
    Variant("dssm, one tower", {"shared": True}),
    Variant("dssm, one tower, vectors alone", {"shared": True, "words": False}),
)


def main() -> None:
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")  # before torch is loaded
    options = argparse.ArgumentParser()
    options.add_argument("--quick", action="store_true", help="one seed, three passes; writes nothing")
    options.add_argument("--only", default="wikiqa,chinese,retail")
    given = options.parse_args()
    seeds, short = (SEEDS[:1], {"epochs": 3}) if given.quick else (SEEDS, {})
    tables, notes = [], []
    for name, measure in (("wikiqa", _wikiqa), ("chinese", _chinese), ("retail", _retail)):
        if name not in given.only.split(","):
            continue
        try:
            tables.append(measure(seeds, short))
        except FileNotFoundError as error:
            notes.append(f"not measured: {error.filename} is missing")
    if given.quick:
        return
    record.write("dssm", "Matching of texts", PROTOCOL, tables, [*NOTES, *notes])


PROTOCOL = (
    "`dssm` with its default parameters but for those that its name tells; nothing of a test part is looked at "
    "before measuring. A tenth of the training queries says when to stop and makes a probability of the score. Mean "
    "(standard deviation) over seeds 1, 2, 3. **WikiQA**: official train and test files; the dev file chose the "
    "defaults. MAP and MRR over the test questions that have a right answer among the sentences of one page, as "
    "published (ties count as the worse order). **LCQMC, BQ**: the labelled dev parts alone, for the others are not "
    "public; texts that stand in one pair, and whatever other pairs join to them, lie on one side of an 80/20 split. "
    "A baseline's threshold is the best of the training part. **Names**: the names of Online Retail as documents, "
    "three searches drawn from each (some of its words, every third with a wrong letter), a fifth of the searches "
    "held out; a found item among ten of all. The searches are drawn, not those of people. Baselines: number of "
    "different words that both hold (Chinese: characters and pairs of them), BM25 (k1 = 1.2, b = 0.75; English "
    "endings are off). One thread."
)
NOTES = [
    "WikiQA as published (Yang, Yih, Meek 2015), MAP / MRR: word count 0.489 / 0.492, weighted word count 0.510 / "
    "0.513, LCLR 0.599 / 0.609, CNN 0.619 / 0.628, CNN with word counts 0.652 / 0.665. These CNNs know word vectors "
    "learned from 100 billion words of news; dssm knows the training file alone.",
    "LCQMC as published, official test, trained on 238,766 pairs that are not public: character BiLSTM 0.735, BiMPM "
    "0.83 accuracy; not comparable with 7,000 pairs of the dev part.",
]


def _wikiqa(seeds: tuple[int, ...], short: dict[str, Any]) -> dict[str, Any]:
    train, test = (_read(path, "Question", "Sentence", "Label") for path in _WIKIQA)
    rows = [[name, *_spread([_of_lists(test, score)])] for name, score in _baselines(train)]
    for variant in (WHOLE, TOWERS):
        runs = []
        for seed in seeds:
            model, took = _fit(variant, train, seed, short)
            runs.append({**_of_lists(test, _scores(model)), "seconds": took})
            print("WikiQA", variant.name, seed, runs[-1], flush=True)
        rows.append([variant.name, *_spread(runs)])
    title = f"WikiQA, {int(_of_lists(test, Plain(train, 4000).shared)['lists'])} answerable test questions"
    return {"title": title, "columns": ["what", "MAP", "MRR", "training s"], "rows": rows}


def _of_lists(pairs: Pairs, score: Scores) -> Metrics:
    """As published: a question of which every sentence is right counts 1, too."""
    found = measuring.of_lists(pairs.label, score(pairs), pairs.query)
    right = np.unique(pairs.query[pairs.label > 0.5])
    whole = len(right) - found["lists"]
    total = float(len(right))
    return {**{key: (found[key] * found["lists"] + whole) / total for key in ("map", "mrr")}, "lists": total}


def _chinese(seeds: tuple[int, ...], short: dict[str, Any]) -> dict[str, Any]:
    rows = []
    for name, path in _CHINESE.items():
        pairs = _read(path, "text_a", "text_b", "label")
        held = _apart(pairs)
        train, test = pairs.of_queries(~held), pairs.of_queries(held)
        for what, score in _baselines(train):
            cut = _threshold(score(train), train.label)
            found = {"accuracy": accuracy(test.label, (score(test) > cut).astype(np.float32))}
            rows.append([name, what, *_spread([found | _auc(test, score(test))], ("accuracy", "auc"))])
        for variant in ALIKE:
            runs = []
            for seed in seeds:
                model, took = _fit(variant, train, seed, short)
                runs.append(measuring.of_pairs(test.label, chance(_scores(model)(test))) | {"seconds": took})
                print(name, variant.name, seed, runs[-1], flush=True)
            rows.append([name, variant.name, *_spread(runs, ("accuracy", "auc"))])
        rows.append(
            [name, "always the commoner label", f"{max(test.label.mean(), 1 - test.label.mean()):.4f}", "0.5", ""]
        )
    return {
        "title": "Like questions in Chinese, dev parts split by question",
        "columns": ["set", "what", "accuracy", "AUC", "training s"],
        "rows": rows,
    }


def _retail(seeds: tuple[int, ...], short: dict[str, Any]) -> dict[str, Any]:
    frame = pl.read_parquet(record.SHARED_DATA / _RETAIL)
    column = next(name for name in frame.columns if name.lower() == "description")
    names = sorted(
        {name.strip() for name in frame[column].drop_nulls().to_list() if name.strip() and name == name.upper()}
    )
    random = np.random.default_rng(_SPLIT)
    typed = [(as_typed(name, random), at) for _ in range(_TYPED) for at, name in enumerate(names)]
    typed = [each for each in typed if each[0]]
    queries, of_query = distinct(_texts([text for text, _ in typed]))
    pairs = Pairs(
        Columns(texts=("query",)),
        Columns(texts=("name",)),
        queries,
        _texts(names),
        of_query,
        np.array([at for _, at in typed], dtype=np.int64),
        np.ones(len(typed), dtype=np.float32),
        tuple(names),
    )
    held = held_queries(pairs, _SPLIT)
    train, test = pairs.of_queries(~held), pairs.of_queries(held)
    asked = np.unique(test.query)
    right = [test.doc[test.query == query] for query in asked.tolist()]
    plain = Plain(train, 4000)
    rows = [
        [what, *_spread([measuring.of_search(search(test)(asked), right)], ("recall@10", "mrr@10"))]
        for what, search in (("shared words", plain.all_shared), ("BM25", plain.all_bm25))
    ]
    for variant in (WHOLE, TOWERS):
        runs = []
        for seed in seeds:
            model, took = _fit(variant, train, seed, short)
            found = model.shelf(test.docs).logits(test.queries.take(asked))
            runs.append(measuring.of_search(found, right) | {"seconds": took})
            print("names", variant.name, seed, runs[-1], flush=True)
        rows.append([variant.name, *_spread(runs, ("recall@10", "mrr@10"))])
    return {
        "title": f"{len(asked):,} searches, drawn, among {len(names):,} names of goods",
        "columns": ["what", "recall@10", "MRR@10", "training s"],
        "rows": rows,
    }


def _fit(variant: Variant, train: Pairs, seed: int, short: dict[str, Any]) -> tuple[Matcher, float]:
    trainer = plugins.algorithm("dssm")
    began = time.perf_counter()
    model: Matcher = trainer(plugins.read_params(trainer, {**variant.params, **short}), seed).fit(train, silent)
    return model, time.perf_counter() - began


def _scores(model: Matcher) -> Scores:
    def score(pairs: Pairs) -> NDArray[np.float32]:
        towers = model.towers
        left, right = towers.ready(pairs.queries, "query"), towers.ready(pairs.docs, "doc")
        return towers.logits(left, right, pairs.query, pairs.doc)

    return score


def _baselines(train: Pairs) -> list[tuple[str, Scores]]:
    plain = Plain(train, 4000)
    return [("shared words", plain.shared), ("BM25", plain.bm25)]


def _read(path: str, query: str, doc: str, label: str) -> Pairs:
    frame = pl.read_parquet(record.SHARED_DATA / path)
    queries, of_query = distinct(_texts(frame[query].to_list()))
    docs, of_doc = distinct(_texts(frame[doc].to_list()))
    said = frame[label].to_numpy().astype(np.float32)
    return Pairs(Columns(texts=("query",)), Columns(texts=("doc",)), queries, docs, of_query, of_doc, said)


def _texts(texts: list[str]) -> Side:
    return Side(tuple(texts), np.zeros((len(texts), 0), dtype=np.float32))


def _apart(pairs: Pairs) -> NDArray[np.bool_]:
    """(queries,) true for a fifth: texts that pairs join, whichever side they stand on, are never parted."""
    place: dict[str, int] = {}
    first = np.array([place.setdefault(text, len(place)) for text in pairs.queries.texts])
    second = np.array([place.setdefault(text, len(place)) for text in pairs.docs.texts])
    from scipy.sparse import csr_matrix
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(pairs))
    graph = csr_matrix((ones, (first[pairs.query], second[pairs.doc])), shape=(len(place), len(place)))
    count, part = connected_components(graph, directed=False)
    return np.asarray(np.random.default_rng(_SPLIT).random(count) < 0.2)[part[first]]


def _threshold(score: NDArray[np.float32], label: NDArray[np.float32]) -> float:
    """Above which most of the labels are right."""
    order = np.argsort(score, kind="stable")
    wrong = np.concatenate([[0], np.cumsum(2 * label[order] - 1)])
    ends = np.concatenate([[True], np.diff(score[order]) > 0, [True]])
    at = int(np.argmin(np.where(ends, wrong, np.inf)))
    return float(score[order][at - 1]) if at else float("-inf")


def _auc(pairs: Pairs, score: NDArray[np.float32]) -> Metrics:
    return {"auc": measuring.of_pairs(pairs.label, score)["auc"]}


def _spread(runs: list[Metrics], names: tuple[str, ...] = ("map", "mrr")) -> list[str]:
    told = []
    for name in names:
        values = [run[name] for run in runs]
        deviation = f" ({statistics.stdev(values):.4f})" if len(values) > 1 else ""
        told.append(f"{statistics.mean(values):.4f}{deviation}")
    seconds = [run["seconds"] for run in runs if "seconds" in run]
    return [*told, f"{statistics.mean(seconds):.0f}" if seconds else ""]


if __name__ == "__main__":
    main()
