"""Vectors of users, items and queries, and what a graph recalls: the doors of single-model servers, each asked of the
champion that can answer, or of the model that the body names. All four are hot: the fast lane answers them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from shopkeeper.api.addressed import address, champions, check_enabled, stands_in
from shopkeeper.api.body import decode
from shopkeeper.api.call import Call
from shopkeeper.api.door import Doors
from shopkeeper.api.errors import Answer
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.lifecycle.pinning import names_in
from shopkeeper.lifecycle.serving import Scored
from shopkeeper.lifecycle.views import TOP_K, WIRE, View, meant

doors = Doors("Embeddings")
_ERRORS = (400, 404, 422, 429, 500, 503, 504)
Id = str | int
Name = Annotated[str, Meta(min_length=1, max_length=200)]


class UserAsked(msgspec.Struct):
    """`history_item_ids`: newest last. Without `model`: youtube_dnn when a history is given, else two_tower."""

    user_features: dict[str, Any] = msgspec.field(default_factory=dict)
    history_item_ids: list[Id] | None = None
    model: Name | None = None


class UserEmbedding(msgspec.Struct):
    user_embedding: list[float]


class ItemAsked(msgspec.Struct):
    """Without `model`: two_tower."""

    item_features: dict[str, Any]
    model: Name | None = None


class ItemEmbedding(msgspec.Struct):
    item_embedding: list[float]


class QueryAsked(msgspec.Struct):
    """Without `model`: dssm."""

    query_features: dict[str, Any]
    model: Name | None = None


class QueryEmbedding(msgspec.Struct):
    query_embedding: list[float]


class RecallAsked(msgspec.Struct):
    """`top_k` is taken as at least 1 and at most 500. Without `model`: graph_recall, or node2vec."""

    user_id: Id
    top_k: int = TOP_K
    model: Name | None = None


class RecalledItems(msgspec.Struct):
    """Both in the same order, best first; empty for a user that the model does not know."""

    item_ids: list[str]
    scores: list[float]


doors.hot(
    "POST", "/user_embedding",
    scope="p", summary="The vector of a user, from features and history",
    body=UserAsked, answer=UserEmbedding, errors=_ERRORS,
)  # fmt: skip
doors.hot(
    "POST", "/item_embedding",
    scope="p", summary="The vector of an item, from its features: it need not be known",
    body=ItemAsked, answer=ItemEmbedding, errors=_ERRORS,
)  # fmt: skip
doors.hot(
    "POST", "/query_embedding",
    scope="p", summary="The vector of a query", body=QueryAsked, answer=QueryEmbedding, errors=_ERRORS,
)  # fmt: skip
doors.hot(
    "POST", "/recall",
    scope="p", summary="The items that go best with a user, from vectors of users and items",
    body=RecallAsked, answer=RecalledItems, errors=_ERRORS,
)  # fmt: skip


async def user_embedding(shop: Shop, call: Call) -> Answer:
    form = decode(call.body, UserAsked)
    row: dict[str, Any] = {"user_features": form.user_features}
    prefers: tuple[str, ...] = ("two_tower", "user_tower")
    if form.history_item_ids is not None:
        row["history_item_ids"] = form.history_item_ids
        prefers = ("youtube_dnn", *prefers)
    scored = await _ask(shop, "user", prefers, form.model, row)
    return _told(UserEmbedding(scored.predictions[0]), scored)


async def item_embedding(shop: Shop, call: Call) -> Answer:
    form = decode(call.body, ItemAsked)
    row = {"item_features": form.item_features}
    scored = await _ask(shop, "item", ("two_tower", "item_tower"), form.model, row)
    return _told(ItemEmbedding(scored.predictions[0]), scored)


async def query_embedding(shop: Shop, call: Call) -> Answer:
    form = decode(call.body, QueryAsked)
    scored = await _ask(shop, "query", ("dssm",), form.model, {"query_features": form.query_features})
    return _told(QueryEmbedding(scored.predictions[0]), scored)


async def recall(shop: Shop, call: Call) -> Answer:
    form = decode(call.body, RecallAsked)
    row = {"user_id": form.user_id, "top_k": form.top_k}
    scored = await _ask(shop, "recall", ("graph_recall", "node2vec"), form.model, row)
    ids, scores = scored.predictions[0]
    return _told(RecalledItems(ids, scores), scored)


HOT: Mapping[str, Callable[[Shop, Call], Awaitable[Answer]]] = {
    "/user_embedding": user_embedding,
    "/item_embedding": item_embedding,
    "/query_embedding": query_embedding,
    "/recall": recall,
}
"""Who answers the door at each path."""


async def _ask(shop: Shop, view: View, prefers: Sequence[str], asked: str | None, row: Mapping[str, Any]) -> Scored:
    """Raises NotFound, Invalid (features, or a model that cannot), Overloaded, Unavailable."""
    if asked is None:
        model, ref = _model(shop, view, prefers), CHAMPION
    else:
        model, ref, _ = address(shop, asked)
    return await shop.predictor.predict(model, [dict(row)], ref=ref, view=view)


def _model(shop: Shop, view: View, prefers: Sequence[str]) -> str:
    """The champion that is meant where none is named; where none can answer, one that then says what it lacks.

    Raises NotFound.
    """
    enabled = names_in(shop.settings.enabled_models)

    def may(held: Loaded) -> bool:
        others = (name for name in WIRE if stands_in(shop, name) == held.version.model)
        return not enabled or any(one in enabled for one in (held.version.model, *others))

    found = meant([one for one in champions(shop) if may(one)], view, prefers)
    if found is not None:
        return found.version.model
    known = {info.name for info in shop.registry.models(scope="all")}
    named = next((name for name in prefers if name in known), None)
    if named is None:
        raise NotFound(
            f"no model here answers this: train {' or '.join(prefers)}, or name another in `model`",
            code="unknown_model",
        )
    check_enabled(shop, named)
    return named


def _told(answer: Any, scored: Scored) -> Answer:
    return Answer(200, msgspec.json.encode(answer), ((b"x-model-version", scored.tag.encode()),))
