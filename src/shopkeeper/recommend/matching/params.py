"""Parameters that every matcher has: which columns are whose, and how much of a text is read."""

from __future__ import annotations

from typing import Annotated

import msgspec

from shopkeeper.core.protocols import Params


class MatchingParams(Params, kw_only=True):
    """Base of matchers' parameters; the family makes the pairs by them."""

    query_columns: Annotated[
        list[str],
        msgspec.Meta(
            max_length=100,
            description="Columns of a table that are the query; empty: `query`, and all that begin with `query_`",
        ),
    ] = msgspec.field(default_factory=list)
    doc_columns: Annotated[
        list[str],
        msgspec.Meta(
            max_length=100,
            description="Columns that are the document; empty: `doc`, `document`, and all that begin with `doc_` but "
            "`doc_id`, which names it",
        ),
    ] = msgspec.field(default_factory=list)
    characters: Annotated[int, msgspec.Meta(ge=10, le=100_000, description="Characters of a text that are read")] = 4000
    max_queries: Annotated[
        int, msgspec.Meta(ge=10, le=5_000_000, description="Searches of the shop to learn from at most, drawn by seed")
    ] = 20_000
