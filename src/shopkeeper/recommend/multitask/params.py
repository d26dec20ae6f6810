"""Parameters that every model of several tasks has."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shopkeeper.recommend.multitask.tasks import FROM_SHOP, FROM_TABLES
from shopkeeper.recommend.ranking.params import RankingParams


class MultitaskParams(RankingParams, kw_only=True):
    """Those of rankers, which make the rows, and what is learned of each row."""

    tasks: Annotated[
        list[Annotated[str, msgspec.Meta(min_length=1, max_length=300)]],
        msgspec.Meta(
            max_length=16,
            description="Label columns, each [name=]column[:binary|:amount]; the rows tell the kind that is not said. "
            f"Empty: what the source's label names, else {', '.join(FROM_TABLES)} of a table, {', '.join(FROM_SHOP)} "
            "of the shop's own log",
        ),
    ] = msgspec.field(default_factory=list)
