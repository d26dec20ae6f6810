"""Parameters that every ranker has: which rows it learns from, and how they become numbers."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shopkeeper.core.protocols import Params
from shopkeeper.learning.fitting import Missing


class RankingParams(Params, kw_only=True):
    """Base of rankers' parameters; the family makes the rows by them. The first five are for the shop's own log."""

    train_days: Annotated[int, msgspec.Meta(ge=1, le=3650, description="Days of visits to learn from")] = 56
    holdout_days: Annotated[int, msgspec.Meta(ge=1, le=365, description="Last days, kept to measure on")] = 14
    max_visits: Annotated[
        int, msgspec.Meta(ge=1, le=1_000_000, description="Visits to learn from at most, drawn by seed")
    ] = 2500
    negatives: Annotated[
        int, msgspec.Meta(ge=1, le=1000, description="Candidates not bought that are kept for each visit")
    ] = 60
    features: Annotated[
        list[str],
        msgspec.Meta(
            max_length=500,
            description="Online features by name, a cross as a*b; empty: those of the version that counts",
        ),
    ] = msgspec.field(default_factory=list)
    normalize: Annotated[
        bool,
        msgspec.Meta(description="Standardise numbers by mean and spread of the training rows; serving does the same"),
    ] = False
    missing: Annotated[
        Missing,
        msgspec.Meta(
            description="What stands for a missing number of a table: native (it stays missing where training rows "
            "lacked it too, else 0), zero, or median"
        ),
    ] = "native"
