"""Which model a prediction means: `name` or `name@alias`, an optional version, and the models that are enabled here.

The names of single-model servers (`user_tower`, `item_tower`, `graph_recall`) mean a view of another model where none
is called so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec

from shopkeeper import plugins
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import check_name
from shopkeeper.core.records import Version
from shopkeeper.learning.tabular import Schema
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.lifecycle.pinning import names_in
from shopkeeper.lifecycle.views import VIEWS, WIRE, View, meant

DEFAULT = "default"


class Address(NamedTuple):
    model: str
    ref: str
    view: View | None = None


def address(shop: Shop, name: str, version: str | None = None) -> Address:
    """`version` wins over the alias in the name. Raises Invalid (name), NotFound (not enabled here)."""
    model, _, alias = name.partition("@")
    check_name(model, "model")
    check_enabled(shop, model)
    ref = version or alias or CHAMPION
    if model in WIRE and (meant := stands_in(shop, model)) is not None:
        return Address(meant, ref, WIRE[model].view)
    return Address(model, ref)


def check_enabled(shop: Shop, model: str) -> None:
    """Raises NotFound (`not_enabled`)."""
    names = names_in(shop.settings.enabled_models)
    if names and model not in names:
        told = f"model {model!r} is not enabled here; ENABLED_MODELS has {', '.join(names)}"
        raise NotFound(told, code="not_enabled")


def stands_in(shop: Shop, name: str) -> str | None:
    """The model whose view answers under one of the names of WIRE; None where a model of that name serves, or none of
    the others fits."""
    if shop.serving.peek(name) is not None:
        return None
    wire = WIRE[name]
    found = meant(champions(shop), wire.view, (wire.of,))
    return None if found is None else found.version.model


def champions(shop: Shop) -> list[Loaded]:
    """Of the whole shop, in memory."""
    return [one for one in shop.serving.loaded() if one.version.scope == "all"]


def answers(shop: Shop, name: str) -> bool:
    """Whether a champion of that name is in memory, or one that stands in for it."""
    return shop.serving.peek(name) is not None or (name in WIRE and stands_in(shop, name) is not None)


def default_model(shop: Shop) -> str:
    """The model that is meant when a request names none: the only one that is enabled, else `default`, else `xgb`."""
    names = names_in(shop.settings.enabled_models)
    if len(names) == 1:
        return names[0]
    return DEFAULT if shop.serving.peek(DEFAULT) is not None else "xgb"


async def loaded(shop: Shop, name: str, version: str | None = None) -> Loaded:
    """The version that is meant, loaded when it is not. Raises NotFound, Unavailable, Invalid (it takes no rows)."""
    model, ref, view = address(shop, name, version)
    found = await shop.predictor.loaded(model, ref)
    if view is not None:
        return found.seen_as(view)
    if not found.scores_rows:
        raise _no_rows(model)
    return found


def listed(shop: Shop) -> list[Version]:
    """The champions that may be asked here, by name; one that has several names under each."""
    names = names_in(shop.settings.enabled_models)
    held = {one.version.model: one for one in champions(shop)}
    found = [one.version for one in held.values() if one.scores_rows]
    others = ((name, stands_in(shop, name)) for name in WIRE)
    found += [msgspec.structs.replace(held[model].version, model=name) for name, model in others if model is not None]
    return sorted((one for one in found if not names or one.model in names), key=lambda version: version.model)


def known(shop: Shop, name: str, version: str | None = None) -> tuple[Version, Any]:
    """What the registry says of it, and what bears the facts of its model: the model in memory, else its class.

    Loads nothing: whoever only looks must not push a version out that serves. Raises NotFound, Unavailable (a library
    is missing), Invalid (it takes no rows).
    """
    model, ref, view = address(shop, name, version)
    found = shop.registry.version(model, ref)
    held = shop.serving.peek(model, str(found.version))
    if view is not None:
        told: Any = VIEWS[view] if held is None else held.seen_as(view).model
        return msgspec.structs.replace(found, feature_names=[]), told
    facts = held.model if held is not None else plugins.algorithm(found.algorithm).model
    if not callable(getattr(facts, "score_rows", None)):
        raise _no_rows(model)
    return found, facts


def texts_of(facts: Any) -> frozenset[str]:
    """The features that are texts, of a model in memory."""
    schema = getattr(facts, "schema", None)
    if not isinstance(schema, Schema):
        return frozenset()
    return frozenset(schema.names[at] for at in schema.categorical)


def _no_rows(model: str) -> Invalid:
    return Invalid(f"model {model!r} does not score rows", code="not_a_row_scorer", field="model")
