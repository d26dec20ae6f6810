"""Training rows as of their moment: each past visit is answered with what was known just before it.

Candidates come from the same recall as in serving, with models that were fitted on what lay before the visit (anew
every `BLOCK_DAYS`); features from replaying the log through the code that serves. Of what happens at or after a visit,
a row holds its label and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, silent
from shopkeeper.features.replay import Question, replay
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.candidates import COLUMNS, Candidates, fuse
from shopkeeper.recommend.channels import Again, Channel, Recalled, Trending
from shopkeeper.recommend.due import Due
from shopkeeper.recommend.history import history_of
from shopkeeper.recommend.newcomers import New
from shopkeeper.recommend.orders import Orders
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import Lists, RankRows
from shopkeeper.recommend.ranking.visits import Visit, sample, visits
from shopkeeper.recommend.recall.ease import Ease
from shopkeeper.recommend.recall.family import cutoff_of
from shopkeeper.recommend.recall.item_knn import ItemKnn
from shopkeeper.recommend.recall.model import RecallModel
from shopkeeper.recommend.recall.popularity import Popularity
from shopkeeper.recommend.recall.training import RecallData
from shopkeeper.recommend.scenarios import TRAINING
from shopkeeper.recommend.shoplog import ShopLog

BLOCK_DAYS = 14
MOST_HELD_VISITS = 1500


@dataclass(frozen=True)
class Split:
    """Training visits begin in [start, cutoff), held-out ones in [cutoff, end); us."""

    start: int
    cutoff: int
    end: int


@dataclass(frozen=True)
class Answered:
    """One visit with its candidates: items (k,), features (k, f), label (k,), fused (k,), unseen (k,)."""

    visit: Visit
    items: NDArray[np.int32]
    values: NDArray[np.float32]
    label: NDArray[np.float32]
    fused: NDArray[np.float32]
    unseen: NDArray[np.bool_]
    wanted_unseen: int


def split_of(orders: Orders, params: RankingParams) -> Split:
    cutoff = cutoff_of(orders, params.holdout_days)
    return Split(max(cutoff - params.train_days * DAY, int(orders.time[0])), cutoff, int(orders.time[-1]) + 1)


def ranking_rows(
    shop: ShopLog, zone: ZoneInfo, params: RankingParams, seed: int, report: Report
) -> tuple[RankRows, RankRows, Split]:
    """(rows to learn from, untouched rows of the last days). Raises Invalid when there are no visits to learn from."""
    orders = shop.orders()
    split = split_of(orders, params)
    learned = sample(visits(orders, split.start, split.cutoff), params.max_visits, seed)
    held = sample(visits(orders, split.cutoff, split.end), MOST_HELD_VISITS, seed)
    if not learned or not held:
        raise Invalid(
            "too few orders to learn a ranking: visits are needed before and within the last "
            f"{params.holdout_days} days; import more history or lower holdout_days",
            code="no_data",
        )
    features = FeatureSet(params.features or None)
    answered: list[Answered] = []
    for done, answer in enumerate(answers(shop, orders, [*learned, *held], features, zone)):
        answered.append(answer)
        if done % 50 == 0:
            report(done, len(learned) + len(held), message="replaying the log")
    rng = np.random.default_rng(seed)
    train = [_thinned(answer, params.negatives, rng) for answer in answered[: len(learned)]]
    kept = [(answer, np.arange(len(answer.label)), 1.0) for answer in answered[len(learned) :]]
    schema = Schema.of_numbers((*features.names, *COLUMNS), (*features.defaults, *[0.0] * len(COLUMNS)))
    if params.normalize:
        schema = schema.with_scaling(_joined(train, schema).values)
    return _joined(train, schema), _joined(kept, schema), split


def answers(
    shop: ShopLog, orders: Orders, asked: list[Visit], features: FeatureSet, zone: ZoneInfo
) -> Iterator[Answered]:
    """Each visit (in order of time) with candidates and features as of its first moment, strictly before it."""
    state = FeatureState(zone, shop.types)
    found: list[tuple[Visit, Candidates]] = []
    made = shop.made
    new = New(state, None if made is None else lambda: made)
    live: dict[str, Channel] = {"again": Again(), "new": new, "trending": Trending(state)}

    def questions() -> Iterator[Question]:
        for visit, models in zip(asked, _channels_at(orders, asked), strict=True):
            # Brings the state to the visit's moment before its candidates are looked for.
            yield Question(visit.user, visit.time, _NO_ITEMS)
            channels: dict[str, Channel] = {**live, "due": Due(state, visit.user), **models}
            candidates = candidates_at(state, channels, visit.user, visit.time, len(shop.item_ids))
            found.append((visit, candidates))
            yield Question(visit.user, visit.time, candidates.items)

    for number, matrix in enumerate(replay(shop.events, questions(), features, state)):
        if number % 2:
            visit, candidates = found.pop()
            yield _answered(state, visit, candidates, matrix)


def candidates_at(state: FeatureState, channels: dict[str, Channel], user: int, time: int, n_items: int) -> Candidates:
    """What recall would have proposed at `time`, repeats allowed; `state` holds what lies before it."""
    history = history_of(state, user, time)
    # Windows that take a moment are asked for the one just before.
    scores = {name: channel.scores(history, time - 1, n_items) for name, channel in channels.items()}
    return fuse(scores, TRAINING.recall, None, TRAINING.candidates)


def _channels_at(orders: Orders, asked: list[Visit]) -> Iterator[dict[str, Channel]]:
    """For each visit the recall models fitted on the orders before its block began."""
    rows = np.arange(orders.n_items, dtype=np.int32)
    begin: int | None = None
    channels: dict[str, Channel] = {}
    for visit in asked:
        if begin is None or visit.time >= begin + BLOCK_DAYS * DAY:
            begin = (
                visit.time if begin is None else begin + (visit.time - begin) // (BLOCK_DAYS * DAY) * BLOCK_DAYS * DAY
            )
            past = RecallData(orders.between(None, begin), begin)
            trained: dict[str, RecallModel] = {
                "ease": Ease(Ease.Params(), 0).fit(past, silent),
                "item_knn": ItemKnn(ItemKnn.Params(), 0).fit(past, silent),
                "popularity": Popularity(Popularity.Params(), 0).fit(past, silent),
            }
            places = {id: row for row, id in enumerate(orders.item_ids)}
            channels = {
                name: Recalled(model, rows[[places[id] for id in model.item_ids]]) for name, model in trained.items()
            }
        yield channels


def _answered(state: FeatureState, visit: Visit, candidates: Candidates, matrix: NDArray[np.float32]) -> Answered:
    history = history_of(state, visit.user, visit.time)
    before = history.items[history.bought]
    return Answered(
        visit=visit,
        items=candidates.items,
        values=np.hstack([matrix, candidates.columns()]),
        label=np.isin(candidates.items, visit.items).astype(np.float32),
        fused=candidates.fused,
        unseen=~np.isin(candidates.items, before),
        wanted_unseen=len(np.setdiff1d(visit.items, before)),
    )


def _thinned(answer: Answered, negatives: int, rng: np.random.Generator) -> tuple[Answered, NDArray[np.int64], float]:
    """All that was bought and at most `negatives` of the rest, each standing for as many as were left out."""
    rest = np.flatnonzero(answer.label == 0)
    if len(rest) <= negatives:
        return answer, np.arange(len(answer.label)), 1.0
    kept = rng.choice(rest, negatives, replace=False)
    return answer, np.sort(np.concatenate([np.flatnonzero(answer.label > 0), kept])), len(rest) / negatives


def _joined(parts: list[tuple[Answered, NDArray[np.int64], float]], schema: Schema) -> RankRows:
    def column(pick: str) -> NDArray[np.float32]:
        return np.concatenate([getattr(answer, pick)[where] for answer, where, _ in parts])

    sizes = [len(where) for _, where, _ in parts]
    label = column("label")
    shares = np.repeat([share for _, _, share in parts], sizes).astype(np.float32)
    lists = Lists(
        number=np.repeat(np.arange(len(parts)), sizes),
        fused=column("fused"),
        unseen=column("unseen").astype(np.bool_),
        wanted=np.repeat([len(answer.visit.items) for answer, _, _ in parts], sizes),
        wanted_unseen=np.repeat([answer.wanted_unseen for answer, _, _ in parts], sizes),
    )
    return RankRows(
        schema=schema,
        values=column("values"),
        label=label,
        weight=np.where(label > 0, 1.0, shares).astype(np.float32),
        lists=lists,
    )


_NO_ITEMS = np.empty(0, dtype=np.int32)
