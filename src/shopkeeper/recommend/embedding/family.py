"""The family `embedding`: vectors are measured by what they foresee, beside what everybody takes."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

import numpy as np

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import (
    EmbedsQueries,
    Metrics,
    Recalls,
    Report,
    TrainingContext,
    TrainingData,
)
from shopkeeper.core.records import Gate
from shopkeeper.quality import gate
from shopkeeper.recommend.embedding.edges import Edges, edges_of_table, facts_of, held_out
from shopkeeper.recommend.embedding.links import drawn_beside, measure_links
from shopkeeper.recommend.embedding.params import EdgeParams, SequenceParams, TextParams
from shopkeeper.recommend.embedding.reading import (
    is_shop,
    read_columns,
    sequences_of_orders,
    sequences_of_table,
    texts_of_shop,
    texts_of_table,
)
from shopkeeper.recommend.embedding.rows import EmbeddingRows, LinkHoldout, as_orders, last_out, word_out
from shopkeeper.recommend.embedding.sequences import Sequences
from shopkeeper.recommend.embedding.shop import edges_of_shop
from shopkeeper.recommend.recall.family import HOLDOUT_DAYS, MOST_USERS, cutoff_of
from shopkeeper.recommend.recall.holdout import RecallHoldout, UserCase, cases_at, measure
from shopkeeper.recommend.recall.popularity import count
from shopkeeper.recommend.shoplog import read_shop

_GOLDEN = 5


class EmbeddingFamily:
    """The parameters say what is read: sequences (`SequenceParams`), texts (`TextParams`) or edges (`EdgeParams`), from
    the shop's own log or catalogue, or from a table."""

    name: ClassVar[str] = "embedding"

    def data(self, context: TrainingContext, params: Any, report: Report) -> TrainingData:
        """Raises Invalid (columns, values, too little to learn from and measure on)."""
        if isinstance(params, EdgeParams):
            return _edges(context, params, report)
        if isinstance(params, TextParams):
            return _texts(context, params, report)
        return _sequences(context, params if isinstance(params, SequenceParams) else SequenceParams(), report)

    def evaluate(self, model: Any, holdout: RecallHoldout | LinkHoldout) -> Metrics:
        """Of sequences the measures of recall: what came after, or which word was left out of its sentence, with
        `naive_` for what occurs most. Of edges `auc` (links kept back against pairs without one) and `recall@20` of new
        links, with `naive_` for the most linked items."""
        if isinstance(holdout, LinkHoldout):
            return {**measure_links(model, holdout), **holdout.naive}
        told = getattr(model, "among_words", model)
        return {**measure(told, holdout.item_ids, holdout.cases), **holdout.naive}

    def judge(self, candidate: Metrics, champion: Metrics | None) -> Gate:
        """Recall, and the AUC of links where there is one, beside the champion's."""
        rules: list[gate.Rule] = [gate.AtLeast("recall@20", 0.98)]
        if "auc" in candidate or "auc" in (champion or {}):
            rules.append(gate.AtLeast("auc", 0.99))
        return gate.judge(rules, candidate, champion)

    def probe(self, model: Any, golden: Any) -> list[float]:
        """Scores of what is recalled for golden users; or vectors of golden texts, or of golden histories."""
        found: list[float] = []
        if isinstance(model, Recalls):
            for user in golden["users"]:
                scores = model.recall(user, _GOLDEN)[1]
                found += [*scores, *[0.0] * (_GOLDEN - len(scores))]
        elif isinstance(model, EmbedsQueries):
            for text in golden["texts"]:
                found += model.query_embedding({"text": text})
        else:
            for history in golden["histories"]:
                found += model.user_embedding({}, history)
        return found


def golden_of(rows: EmbeddingRows) -> dict[str, Any]:
    """A few users, texts and histories that the training read."""
    sequences, edges = rows.sequences, rows.edges
    golden: dict[str, Any] = {"users": [], "texts": [], "histories": []}
    if sequences is not None:
        lists = [
            [sequences.ids[at] for at in sequences.tokens[a:b][:20]]
            for a, b in zip(sequences.bounds[:_GOLDEN], sequences.bounds[1 : _GOLDEN + 1], strict=False)
        ]
        golden["histories"], golden["texts"] = lists, [" ".join(each) for each in lists]
    if edges is not None and len(edges):
        golden["users"] = [edges.ids[at] for at in np.unique(edges.source)[:_GOLDEN]]
    return golden


def _sequences(context: TrainingContext, params: SequenceParams, report: Report) -> TrainingData:
    if not is_shop(context):
        wanted = [params.sequence_col, *([params.user_col] if params.user_col else [])]
        time = context.source.get("time")
        table = read_columns(context, [*wanted, *([time] if time else [])], report)
        whole = sequences_of_table(table.frame, params.sequence_col, params.user_col, time)
        train, cases = last_out(whole, context.seed, MOST_USERS)
        return _measured(train, cases, (), {**table.facts, "sequences": len(whole), "items": len(whole.ids)})
    shop = read_shop(context, report)
    orders = shop.orders()
    cutoff = cutoff_of(orders, HOLDOUT_DAYS)
    before = orders.between(None, cutoff)
    train = sequences_of_orders(before, baskets=params.sequences == "basket")
    cases = cases_at(orders, cutoff, None, most=MOST_USERS, seed=context.seed)
    naive = measure(count(before, cutoff, None), orders.item_ids, cases)
    holdout = RecallHoldout(orders.item_ids, cases, {f"naive_{key}": value for key, value in naive.items()})
    facts = {
        "rows": len(before),
        "sequences": len(train),
        "from": rfc3339(int(orders.time[0])),
        "to": rfc3339(cutoff),
        "holdout_users": len(cases),
        "holdout_days": HOLDOUT_DAYS,
        "fingerprint": shop.fingerprint(),
    }
    rows = EmbeddingRows(train)
    return TrainingData(rows, holdout, golden_of(rows), facts)


def _texts(context: TrainingContext, params: TextParams, report: Report) -> TrainingData:
    items: tuple[Any, ...] = ()
    if is_shop(context):
        items = tuple(texts_of_shop(context))
        whole = Sequences.of(item.words for item in items)
        seen = hashlib.sha256("\n".join(" ".join(item.words) for item in items).encode()).hexdigest()
        facts: dict[str, Any] = {"rows": len(items), "fingerprint": seen}
    else:
        table = read_columns(context, [params.sequence_col], report)
        whole = Sequences.of(texts_of_table(table.frame, params.sequence_col))
        facts = dict(table.facts)
    train, cases = word_out(whole, context.seed, MOST_USERS)
    return _measured(train, cases, items, {**facts, "sentences": len(whole), "words": len(whole.ids)})


def _measured(
    train: Sequences, cases: tuple[UserCase, ...], items: tuple[Any, ...], facts: dict[str, Any]
) -> TrainingData:
    naive = measure(count(as_orders(train), 0, None), train.ids, cases)
    holdout = RecallHoldout(train.ids, cases, {f"naive_{key}": value for key, value in naive.items()})
    rows = EmbeddingRows(train, items)
    return TrainingData(rows, holdout, golden_of(rows), {**facts, "holdout_sequences": len(cases)})


def _edges(context: TrainingContext, params: EdgeParams, report: Report) -> TrainingData:
    if is_shop(context):
        train, later, facts = edges_of_shop(context, report)
    else:
        whole, facts = _edges_of_table(context, params, report)
        train, later = held_out(whole, context.seed)
        if not len(later):
            raise Invalid(
                f"the {len(whole):,} edges leave none to measure on: each node keeps one, and a tenth of the others "
                "is kept back; give more edges",
                code="too_few",
            )
    graph = train.graph()
    rows = EmbeddingRows(edges=train)
    holdout = drawn_beside(train, later, graph, context.seed, MOST_USERS)
    facts = {**facts, **facts_of(train, graph), "holdout_links": len(holdout.users)}
    return TrainingData(rows, holdout, golden_of(rows), facts)


def _edges_of_table(context: TrainingContext, params: EdgeParams, report: Report) -> tuple[Edges, dict[str, Any]]:
    weight = [params.weight_col] if params.weight_col else []
    table = read_columns(context, [params.from_col, params.to_col, *weight], report)
    whole = edges_of_table(
        table.frame,
        params.from_col,
        params.to_col,
        params.weight_col,
        directed=params.directed,
        social=params.social,
        name=str(table.facts.get("name", "the table")),
    )
    return whole, dict(table.facts)
