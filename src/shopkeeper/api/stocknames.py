"""Names of forecast models on the stock paths: a `model_uid` for each version.

Every algorithm has one model in a scope, which a training by these paths makes: `product_P001_all_mlstm_v2` is version
2 of what `mlstm` has learned of product P001 in all stores. A version of any other model says its model's name instead:
`global_all_all_model-mine_v3`.
"""

from __future__ import annotations

import re
from functools import cache

from shopkeeper import plugins
from shopkeeper.bootstrap import FIRST_MODELS, Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import ModelInfo, Version
from shopkeeper.core.scopes import ALL, Scope, model_uid
from shopkeeper.lifecycle.registry import REMOVED

MODES = {"all": "global", "store": "store", "category": "category", "product": "product"}
_UID = re.compile(r"(.+)_v([1-9][0-9]{0,8})", re.DOTALL)
_NAMED = "model-"


@cache
def _first_names() -> dict[str, str]:
    """Algorithm -> the model of everything that a shop trains by itself."""
    return {one.algorithm: one.model for one in FIRST_MODELS}


def model_name(algorithm: str, scope: Scope) -> str:
    """The model that a training of these paths makes."""
    usual = f"sales_{algorithm}"
    return _first_names().get(algorithm, usual) if scope == ALL else usual


def uid_of(model: str, algorithm: str, scope: Scope, version: int) -> str:
    """The built-in naive, which nobody has trained, is version 0."""
    if not version:
        return model_uid(ALL, algorithm, 0)
    word = algorithm if model == model_name(algorithm, scope) else _NAMED + model
    return model_uid(scope, word, version)


def uid_of_version(version: Version) -> str:
    return uid_of(version.model, version.algorithm, Scope.parse(version.scope), version.version)


def find(shop: Shop, uid: str) -> Version:
    """Raises NotFound."""
    found = _UID.fullmatch(uid)
    for info in shop.registry.models(task="forecast") if found else ():
        scope = parsed(info.scope)
        if scope is None:
            continue
        begin = model_uid(scope, "", 1).removesuffix("_v1")
        assert found is not None
        word = found[1].removeprefix(begin)
        if not found[1].startswith(begin) or word not in _words(info, scope):
            continue
        try:
            version = shop.registry.version(info.name, found[2], info.scope)
        except NotFound:
            continue
        if version.status != REMOVED and uid_of_version(version) == uid:
            return version
    raise NotFound(f"no model {uid[:160]!r}; see /api/models", code="unknown_model")


def parsed(text: str) -> Scope | None:
    """None for a scope that no forecast has."""
    try:
        return Scope.parse(text)
    except Invalid:
        return None


def _words(info: ModelInfo, scope: Scope) -> set[str]:
    """What a uid may call versions of a model."""
    usual = {name for name in plugins.names("algorithm") if model_name(name, scope) == info.name}
    return {_NAMED + info.name, *usual}


def ids_of(scope: Scope) -> tuple[str | None, str | None, str | None]:
    """Product, store and category of a scope."""
    product = scope.id if scope.kind == "product" else None
    store = scope.id if scope.kind == "store" else scope.store
    return product, store, scope.id if scope.kind == "category" else None
