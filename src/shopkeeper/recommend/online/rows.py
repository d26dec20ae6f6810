"""A snapshot of an online learner as a training sees it: what it has learned, and slates that it was kept from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.core.protocols import TrainingContext
from shopkeeper.recommend.online.joined import Known, known
from shopkeeper.recommend.online.learner import OnlineLearner
from shopkeeper.recommend.online.ranker import FtrlRanker
from shopkeeper.recommend.ranking.attribution import permuted
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.ranking.served_rows import Labelled, joined_rows
from shopkeeper.stores import online
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies

LEAST_TAKEN = 20
"""Slates with something taken that must have been held out, before a version is measured on them."""


@dataclass(frozen=True)
class Snapshot(RankRows):
    """The newest outcomes that the learner was taught, and itself."""

    learner: OnlineLearner | None = None

    def ranker(self, seed: int) -> FtrlRanker:
        """What it knows, as a version: nothing is learned here."""
        assert self.learner is not None
        made = self.learner.ranker()
        told = permuted(made.score, self.values, self.label, made.feature_names, seed, weight=self.weight)
        return FtrlRanker(made.inputs, made.learning(), made.updates, told)


def snapshot_rows(context: TrainingContext) -> tuple[Snapshot, RankRows, dict[str, Any]]:
    """(the learner of the context's model, held-out slates, facts). Raises NotFound (no learner), Conflict (it has not
    begun), Invalid (`no_data`: too little was held out so far)."""
    db = open_database(context.sql_url, read_only=True)
    try:
        with db.read() as connection:
            row = online.get(connection, context.model)
            if row.state is None:
                raise Conflict(f"the learner of {context.model} has not learned anything yet", code="not_begun")
            settings = row.settings
            held_out = known(connection, Vocabularies.load(db), online.held_of(connection, row.model), settings)
    finally:
        db.close()
    found = [one for one in held_out if one.believed]
    taken = sum(bool(one.outcome.taken.any()) for one in found)
    if taken < LEAST_TAKEN:
        raise Invalid(
            f"{taken} of the {len(found)} slates that were held out had something taken, expected {LEAST_TAKEN}: wait, "
            "or log more of what rankers see (SHOPKEEPER_SERVED_SHARE)",
            code="no_data",
        )
    learner = OnlineLearner.restore(row.state, settings)
    learned, held = _learned(learner), _held(found)
    facts = {
        "rows": learner.counts["examples"],
        "holdout_rows": len(held),
        "updates": learner.counts["updates"],
        "began_with": row.facts.get("began_with"),
        "from": rfc3339(found[0].served.made_at),
        "to": rfc3339(found[-1].served.made_at),
        "fingerprint": hashlib.sha256(row.state + held.values.tobytes()).hexdigest(),
    }
    return learned, held, facts


def _learned(learner: OnlineLearner) -> Snapshot:
    newest = learner.newest
    label = (newest.label > 0).astype(np.float32)
    return Snapshot(learner.schema, newest.values, label, newest.weight, learner=learner)


def _held(found: list[Known]) -> RankRows:
    """In the columns of the newest slates: others were seen by another ranker's eyes."""
    columns = found[-1].served.names
    same = [Labelled(one.served, one.outcome.taken) for one in found if one.served.names == columns]
    return joined_rows(same, columns)
