"""Matchers: pairs of a table or of the shop, a split by query, MAP, AUC and recall@10 beside BM25 and shared words."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.protocols import Metrics, Report, TrainingContext, TrainingData
from shopkeeper.core.records import Gate
from shopkeeper.quality import gate
from shopkeeper.recommend.matching import measuring
from shopkeeper.recommend.matching.baselines import Plain
from shopkeeper.recommend.matching.model import Matcher, chance
from shopkeeper.recommend.matching.pairs import Pairs
from shopkeeper.recommend.matching.params import MatchingParams
from shopkeeper.recommend.matching.shop_pairs import shop_pairs
from shopkeeper.recommend.matching.table_pairs import table_pairs
from shopkeeper.recommend.matching.text import Floats

HELD = 0.2
MOST_SEARCHED = 1000
_GOLDEN = 8
_GOLDEN_TEXT = 300


@dataclass(frozen=True)
class MatchingHoldout:
    """Pairs of queries that are not learned from; `naive` are measures of plain baselines on them."""

    pairs: Pairs
    naive: Metrics


class MatchingFamily:
    """Source kinds: `shop` (searches and names of items, the default) and every kind of table (`sources/tables`)."""

    name: ClassVar[str] = "matching"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        wanted = params if isinstance(params, MatchingParams) else MatchingParams()
        if context.source.get("kind", "shop") == "shop":
            pairs, facts = shop_pairs(context, wanted, report)
        else:
            pairs, facts = table_pairs(context.source, context.zone, wanted, report)
        held = held_queries(pairs, context.seed)
        train, kept = pairs.of_queries(~held), pairs.of_queries(held)
        report(2, 3, message="measuring the baselines")
        plain = Plain(train, wanted.characters)
        naive: Metrics = {}
        baselines = (("naive_", plain.shared, plain.all_shared), ("bm25_", plain.bm25, plain.all_bm25))
        for prefix, score, search in baselines:
            naive |= {f"{prefix}{key}": value for key, value in measured(kept, score, search).items()}
        facts = {
            **facts,
            "rows": len(train),
            "holdout_rows": len(kept),
            "fingerprint": facts.get("fingerprint") or _fingerprint(pairs),
        }
        return TrainingData(train, MatchingHoldout(kept, naive), golden_of(kept), facts)

    def evaluate(self, model: Matcher, holdout: MatchingHoldout) -> Metrics:
        """`auc`, `log_loss`, `accuracy` where pairs bear both labels, `map` and `mrr` where a query has documents of
        both, `recall@10` and `mrr@10` where the documents can be searched; `naive_` the number of shared words, `bm25_`
        BM25."""
        pairs = holdout.pairs
        left, right = model.query_columns.names, model.doc_columns.names
        if (left, right) != (pairs.query_columns.names, pairs.doc_columns.names):
            return {}  # it reads other columns: nothing to compare
        towers = model.towers
        asked, told = towers.ready(pairs.queries, "query"), towers.ready(pairs.docs, "doc")

        def score(those: Pairs) -> NDArray[np.float32]:
            return towers.logits(asked, told, those.query, those.doc)

        def search(those: Pairs) -> measuring.Search:
            shelf = model.shelf(those.docs)
            return lambda queries: shelf.logits(those.queries.take(queries))

        found = measured(pairs, score, search)
        label = pairs.label
        if "auc" in found:
            found |= measuring.of_pairs(label, chance(score(pairs)))
        return {**found, **holdout.naive}

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """By what the holdout allows: MAP, AUC, recall@10; each at least 0.98 of the champion's, no worse than BM25."""
        rules: list[gate.Rule] = []
        for metric in ("map", "auc", f"recall@{measuring.K}"):
            if metric in candidate:
                rules += [gate.AtLeast(metric, 0.98), gate.Beats(metric, f"bm25_{metric}")]
        return gate.judge(rules or [gate.AtLeast("auc", 0.98)], candidate, champion)

    def probe(self, model: Matcher, golden: Any) -> list[float]:
        """The vectors of golden queries and documents, and how probably they go together."""
        rows = golden["rows"]
        outputs = [value for vector in model.score_rows(rows) for value in vector]
        outputs += model.doc_vectors(model.doc_columns.read(rows)).ravel().tolist()
        return [*outputs, *model.match_rows(rows)]


def held_queries(pairs: Pairs, seed: int) -> NDArray[np.bool_]:
    """(queries,) true for a fifth, drawn by the query itself and the seed: the same query is always on the same side.

    Of those with a right document at least one is held out, and one is not.
    """
    sides = zip(pairs.queries.texts, pairs.queries.values, strict=True)
    lots = np.array([_lot(text, row.tobytes(), str(seed).encode()) for text, row in sides], dtype=np.uint64)
    held: NDArray[np.bool_] = lots < np.uint64(HELD * 2**64)
    right = np.unique(pairs.query[pairs.label > 0.5])
    if len(right) > 1 and (held[right].all() or not held[right].any()):
        held[right[np.argmin(lots[right])]] = True
        held[right[np.argmax(lots[right])]] = False
    return held


def _lot(text: str, numbers: bytes, key: bytes) -> int:
    said = text.encode("utf-8", "replace") + b"\0" + numbers
    return int.from_bytes(hashlib.blake2b(said, key=key, digest_size=8).digest(), "big")


def measured(pairs: Pairs, score: Callable[[Pairs], Floats], search: Callable[[Pairs], measuring.Search]) -> Metrics:
    """`score(pairs)` (n,), the higher the better; `search(pairs)` is asked only where the documents can be searched."""
    said = score(pairs)
    found = measuring.of_pairs(pairs.label, chance(said)) if len(pairs) else {}
    found = {"auc": found["auc"]} if found else {}
    found |= measuring.of_lists(pairs.label, said, pairs.query)
    right = pairs.label > 0.5
    queries = np.unique(pairs.query[right])[:MOST_SEARCHED]
    if len(queries) and (pairs.doc_ids or not found):
        wanted = [pairs.doc[right & (pairs.query == query)] for query in queries]
        found |= measuring.of_search(measuring.rows_of(search(pairs), queries, len(pairs.docs)), wanted)
    return found


def golden_of(pairs: Pairs) -> dict[str, Any]:
    """A few pairs as rows; of a text its beginning."""
    places = np.unique(np.linspace(0, len(pairs) - 1, _GOLDEN if len(pairs) else 0).astype(np.int64))
    rows: list[dict[str, Any]] = []
    for at in places.tolist():
        row: dict[str, Any] = {}
        for side, columns, where in (
            (pairs.queries, pairs.query_columns, pairs.query[at]),
            (pairs.docs, pairs.doc_columns, pairs.doc[at]),
        ):
            if columns.texts:
                row[columns.texts[0]] = side.texts[where][:_GOLDEN_TEXT]
            numbers = zip(columns.numbers, side.values[where].tolist(), strict=True)
            row |= {name: None if np.isnan(value) else value for name, value in numbers}
        rows.append(row)
    return {"rows": rows}


def _fingerprint(pairs: Pairs) -> str:
    digest = hashlib.sha256()
    for side in (pairs.queries, pairs.docs):
        digest.update("\0".join(side.texts).encode("utf-8", "replace") + side.values.tobytes())
    for column in (pairs.query, pairs.doc, pairs.label):
        digest.update(column.tobytes())
    return digest.hexdigest()
