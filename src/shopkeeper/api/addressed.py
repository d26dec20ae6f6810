"""Which model a prediction means: `name` or `name@alias`, an optional version, and the models that are enabled here."""

from __future__ import annotations

from typing import Any

from shopkeeper import plugins
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.ids import check_name
from shopkeeper.core.records import Version
from shopkeeper.learning.tabular import Schema
from shopkeeper.lifecycle.addresses import CHAMPION
from shopkeeper.lifecycle.loading import Loaded
from shopkeeper.lifecycle.pinning import names_in

DEFAULT = "default"


def address(shop: Shop, name: str, version: str | None = None) -> tuple[str, str]:
    """(model, ref). `version` wins over the alias in the name. Raises Invalid (name), NotFound (not enabled here)."""
    model, _, alias = name.partition("@")
    check_name(model, "model")
    names = names_in(shop.settings.enabled_models)
    if names and model not in names:
        told = f"model {model!r} is not enabled here; ENABLED_MODELS has {', '.join(names)}"
        raise NotFound(told, code="not_enabled")
    return model, version or alias or CHAMPION


def default_model(shop: Shop) -> str:
    """The model that is meant when a request names none: the only one that is enabled, else `default`, else `xgb`."""
    names = names_in(shop.settings.enabled_models)
    if len(names) == 1:
        return names[0]
    return DEFAULT if shop.serving.peek(DEFAULT) is not None else "xgb"


async def loaded(shop: Shop, name: str, version: str | None = None) -> Loaded:
    """The version that is meant, loaded when it is not. Raises NotFound, Unavailable, Invalid (it takes no rows)."""
    model, ref = address(shop, name, version)
    found = await shop.predictor.loaded(model, ref)
    if not found.scores_rows:
        raise _no_rows(model)
    return found


def listed(shop: Shop) -> list[Version]:
    """The champions that may be asked here, by name."""
    names = names_in(shop.settings.enabled_models)
    found = [one for one in shop.serving.loaded() if one.scores_rows and one.version.scope == "all"]
    return sorted(
        (one.version for one in found if not names or one.version.model in names), key=lambda version: version.model
    )


def known(shop: Shop, name: str, version: str | None = None) -> tuple[Version, Any]:
    """What the registry says of it, and what bears the facts of its model: the model in memory, else its class.

    Loads nothing: whoever only looks must not push a version out that serves. Raises NotFound, Unavailable (a library
    is missing), Invalid (it takes no rows).
    """
    model, ref = address(shop, name, version)
    found = shop.registry.version(model, ref)
    held = shop.serving.peek(model, str(found.version))
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
