"""What makes two requests one: who asks for what, and nothing of how fast or under which id."""

from __future__ import annotations

from typing import TypeAlias

import msgspec

from shopkeeper.core.records import RecFilters, RecRequest

Who: TypeAlias = "int | str"
"""The row of a user; the id of one whom the shop does not know."""
Key: TypeAlias = "tuple[Who, bytes]"

# JSON and not msgpack: a context may hold whole numbers of any size.
_encode = msgspec.json.Encoder(order="deterministic").encode


def key_of(request: RecRequest, row: int | None) -> Key:
    """`row` of the user. Scenario, number, filters, diversity, model and context count; the deadline does not."""
    asked = (
        request.user_id,  # two ids may be one user, and each is answered by its own
        request.scenario,
        request.n_recommendations,
        None if request.filters is None else _filters(request.filters),
        request.diversity_weight,
        request.model,
        request.context,
    )
    return (request.user_id if row is None else row, _encode(asked))


def kept(request: RecRequest) -> bool:
    """Whether its answer may come from a cache and go there."""
    return request.use_cache and not request.debug


def _filters(given: RecFilters) -> tuple[object, ...]:
    """The order in which things are excluded or allowed says nothing."""
    return (
        _sorted(given.categories),
        _sorted(given.kinds),
        given.price_min,
        given.price_max,
        _sorted(given.exclude_items),
    )


def _sorted(words: list[str] | None) -> list[str] | None:
    return None if words is None else sorted(set(words))
