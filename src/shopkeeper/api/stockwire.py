"""The stock paths' view of models and forecasts: a `model_uid` for each version, predictions in their words.

Every algorithm has one model in a scope, which a training by these paths makes: `product_P001_all_mlstm_v2` is version
2 of what `mlstm` has learned of product P001 in all stores. A version of any other model says its model's name instead:
`global_all_all_model-mine_v3`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.api.forms import StockComparison, StockPrediction
from shopkeeper.bootstrap import FIRST_MODELS, Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Analysis, FileEntry, ForecastPoint, Gate, HistoryPoint, ModelInfo, Version
from shopkeeper.core.scopes import ALL, Scope, model_uid
from shopkeeper.forecast.answering.asking import MAX_HORIZON
from shopkeeper.forecast.answering.choosing import holding
from shopkeeper.forecast.answering.predictions import Kept
from shopkeeper.forecast.answering.service import scope_of
from shopkeeper.lifecycle.registry import REMOVED

_UID = re.compile(r"(.+)_v([1-9][0-9]{0,8})", re.DOTALL)
_MODES = {"all": "global", "store": "store", "category": "category", "product": "product"}
_NAMED = "model-"


class ForecastModel(msgspec.Struct):
    """`best` marks the version that answers."""

    model_uid: str
    model_type: str
    training_mode: str
    product_id: str | None
    store_id: str | None
    category: str | None
    version: int
    best: bool
    metrics: dict[str, Any]
    created_at: datetime | None


class ForecastModelDetail(ForecastModel, kw_only=True):
    """`model` and `scope` are its address under /api/v1/models."""

    model: str
    scope: str
    aliases: list[str]
    params: dict[str, Any]
    feature_names: list[str]
    data: dict[str, Any]
    gate: Gate | None
    files: list[FileEntry]
    created_by: str
    job_id: str | None


class PastDay(msgspec.Struct):
    date: str
    sales: float


class PredictedDay(msgspec.Struct):
    date: str
    predicted_sales: float
    quantiles: dict[str, float]


class PredictionData(msgspec.Struct):
    """`actual`: what came by now, when the first day lies in the past; `saw_it`: then the version has been trained on
    days that it predicts here. `repaired`: the file was lost, and this was made again from what SQL knows."""

    prediction_id: str
    model_uid: str
    training_mode: str
    product_id: str | None
    store_id: str | None
    category: str | None
    start_date: str
    future_days: int
    created_at: datetime
    created_by: str
    history: list[PastDay]
    predictions: list[PredictedDay]
    actual: list[PastDay]
    beats_naive: bool
    saw_it: bool
    fallback: str | None
    analysis: Analysis | None
    repaired: bool


class Address(msgspec.Struct):
    """What is asked for, and which model answers: None is the best there is. `scope` is that of the model."""

    about: Scope
    model: str | None = None
    scope: Scope | None = None


# -- names of versions


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
        scope = _parsed(info.scope)
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


def _parsed(text: str) -> Scope | None:
    """None for a scope that no forecast has."""
    try:
        return Scope.parse(text)
    except Invalid:
        return None


def _words(info: ModelInfo, scope: Scope) -> set[str]:
    """What a uid may call versions of a model."""
    usual = {name for name in plugins.names("algorithm") if model_name(name, scope) == info.name}
    return {_NAMED + info.name, *usual}


# -- lists


def listed(
    shop: Shop,
    *,
    mode: str | None = None,
    product_id: str | None = None,
    store_id: str | None = None,
    category: str | None = None,
    model_type: str | None = None,
) -> list[ForecastModel]:
    """Every version of the forecast models that are meant, those of each model newest first."""
    found: list[ForecastModel] = []
    for info in shop.registry.models(task="forecast"):
        scope = _parsed(info.scope)
        if scope is None:
            continue
        own = (_MODES[scope.kind], *_ids(scope))
        asked = (mode, product_id, store_id, category)
        if all(wanted in (None, mine) for wanted, mine in zip(asked, own, strict=True)):
            found += [_model(one) for one in _versions(shop, info) if model_type in (None, one.algorithm)]
    return found


def detail(version: Version) -> ForecastModelDetail:
    return ForecastModelDetail(
        **msgspec.structs.asdict(_model(version)),
        model=version.model,
        scope=version.scope,
        aliases=version.aliases,
        params=version.params,
        feature_names=version.feature_names,
        data=version.data,
        gate=version.gate,
        files=version.files,
        created_by=version.created_by,
        job_id=version.job_id,
    )


def _versions(shop: Shop, info: ModelInfo) -> Iterator[Version]:
    cursor: str | None = None
    while True:
        page, cursor, _ = shop.registry.versions(info.name, info.scope, limit=1000, cursor=cursor)
        yield from (one for one in page if one.status != REMOVED)
        if cursor is None:
            return


def _model(version: Version) -> ForecastModel:
    scope = Scope.parse(version.scope)
    product, store, category = _ids(scope)
    return ForecastModel(
        model_uid=uid_of_version(version),
        model_type=version.algorithm,
        training_mode=_MODES[scope.kind],
        product_id=product,
        store_id=store,
        category=category,
        version=version.version,
        best="champion" in version.aliases,
        metrics=version.metrics,
        created_at=version.created_at,
    )


def _ids(scope: Scope) -> tuple[str | None, str | None, str | None]:
    """Product, store and category of a scope."""
    product = scope.id if scope.kind == "product" else None
    store = scope.id if scope.kind == "store" else scope.store
    return product, store, scope.id if scope.kind == "category" else None


# -- what is asked


def scope_by_mode(mode: str, product_id: str | None, store_id: str | None, category: str | None) -> Scope:
    """Raises Invalid when the mode's id is missing."""
    wanted = {"product": product_id, "store": store_id, "category": category}
    if mode == "global":
        return ALL
    if wanted[mode] is None:
        field = "category" if mode == "category" else f"{mode}_id"
        raise Invalid(f"training_mode {mode} needs {field} (or give model_uid)", code="missing_id", field=field)
    if mode == "store":
        return Scope("store", store_id)
    return Scope("product", product_id, store_id) if mode == "product" else Scope("category", category, store_id)


def address(shop: Shop, form: StockPrediction) -> Address:
    """Raises NotFound for an unknown model, Invalid when it is not said of what."""
    if form.model_uid is not None:
        version = find(shop, form.model_uid)
        own = Scope.parse(version.scope)
        about = _about(own, form.product_id, form.store_id, form.category)
        return Address(about, f"{version.model}/{version.version}", own)
    about = scope_by_mode(form.training_mode, form.product_id, form.store_id, form.category)
    if form.model_type is None:
        if form.version != "best":
            raise Invalid("a version needs its model_type (or give model_uid)", code="missing_id", field="model_type")
        return Address(about)
    return _of_type(shop, form.model_type, str(form.version), about)


def compared(shop: Shop, form: StockComparison) -> dict[str, Address]:
    """By uid. Raises NotFound, Invalid when they are of different things and no id says which is meant."""
    if len(set(form.model_uids)) != len(form.model_uids):
        raise Invalid("a model stands twice in model_uids", code="repeated", field="model_uids")
    versions = {uid: find(shop, uid) for uid in form.model_uids}
    scopes = {uid: Scope.parse(one.scope) for uid, one in versions.items()}
    if form.product_id is not None or form.category is not None or form.store_id is not None:
        about = scope_of(form.product_id, form.store_id, form.category)
    else:
        about = _narrowest(list(scopes.values()))
    return {uid: Address(about, f"{one.model}/{one.version}", scopes[uid]) for uid, one in versions.items()}


def _about(own: Scope, product_id: str | None, store_id: str | None, category: str | None) -> Scope:
    """Of what a model of one scope is asked: of that scope, or of what an id says. Raises Invalid."""
    if product_id is None and category is None:
        return own if store_id is None or own.kind == "store" else Scope(own.kind, own.id, store_id)
    product, store, _ = _ids(own)
    if product is not None and product_id not in (None, product):
        raise Invalid(f"that model is of product {product}", code="different_scopes", field="product_id")
    return scope_of(product_id, store_id or store, category)


def _narrowest(scopes: list[Scope]) -> Scope:
    """The scope that all the others hold. Raises Invalid."""
    order = ("product", "category", "store", "all")
    first = min(scopes, key=lambda one: (order.index(one.kind), one.store is None))
    others = [one for one in scopes if one != first and one not in first.wider() and one.kind == first.kind]
    if others:
        raise Invalid(
            f"{first} and {others[0]} are different things; say which is meant by product_id, store_id or category",
            code="different_scopes",
            field="model_uids",
        )
    return first


def _of_type(shop: Shop, algorithm: str, version: str, about: Scope) -> Address:
    """The best version, or one by number, of what the algorithm has learned in the narrowest scope that has it."""
    for scope in holding(about, _category(shop, about)):
        name = model_name(algorithm, scope)
        ref = "champion" if version == "best" else version
        try:
            found = shop.registry.version(name, ref, str(scope))
        except NotFound:
            newest = _newest(shop, name, scope) if version == "best" else None
            if newest is None:
                continue
            found = newest
        if found.algorithm == algorithm and found.status != REMOVED:
            return Address(about, f"{name}/{found.version}", scope)
    raise NotFound(
        f"no trained model {algorithm[:64]} (version {version}) of {about}; train it: POST /api/training",
        code="unknown_model",
    )


def _category(shop: Shop, about: Scope) -> str | None:
    return shop.items.get(str(about.id)).category if about.kind == "product" else None


def _newest(shop: Shop, name: str, scope: Scope) -> Version | None:
    """Of a model of which none has passed the gate."""
    try:
        page, _, _ = shop.registry.versions(name, str(scope), limit=50)
    except NotFound:
        return None
    return next((one for one in page if one.status != REMOVED), None)


class Span(msgspec.Struct):
    """The days to predict: `skip` days from now, or from a day in the past (`as_of`)."""

    skip: int
    as_of: date | None

    def horizon(self, future_days: int) -> int:
        """Raises Invalid beyond a year."""
        if self.skip + future_days > MAX_HORIZON:
            told = f"that is {self.skip + future_days} days ahead, at most {MAX_HORIZON}"
            raise Invalid(told, code="out_of_bounds", field="future_days")
        return self.skip + future_days


def span(first_day: date, start_date: str | None) -> Span:
    """`first_day`: today. Raises Invalid."""
    if start_date is None:
        return Span(0, None)
    try:
        start = date.fromisoformat(start_date)
    except ValueError as error:
        raise Invalid("start_date must be a day such as 2026-11-20", code="bad_date", field="start_date") from error
    if start - first_day > timedelta(days=MAX_HORIZON):
        raise Invalid(f"start_date is more than {MAX_HORIZON} days ahead", code="out_of_bounds", field="start_date")
    if start.year < 1970:
        raise Invalid("start_date lies before 1970", code="out_of_bounds", field="start_date")
    return Span((start - first_day).days, None) if start >= first_day else Span(0, start)


# -- what is answered


def days_of(points: list[HistoryPoint] | tuple[HistoryPoint, ...]) -> list[PastDay]:
    return [PastDay(point.ds, point.y) for point in points]


def predicted(points: list[ForecastPoint]) -> list[PredictedDay]:
    return [PredictedDay(point.ds, point.mean, point.quantiles) for point in points]


def prediction_data(kept: Kept) -> PredictionData:
    """A kept forecast in the stock paths' words."""
    about = kept.about
    return PredictionData(
        prediction_id=kept.prediction_id,
        model_uid=uid_of(kept.model, kept.algorithm, Scope.parse(kept.scope), kept.version),
        training_mode=_MODES[about.kind],
        product_id=kept.item_id,
        store_id=kept.store_id,
        category=kept.category,
        start_date=kept.start_date,
        future_days=len(kept.forecast),
        created_at=kept.created_at,
        created_by=kept.created_by,
        history=days_of(kept.history),
        predictions=predicted(kept.forecast),
        actual=days_of(kept.came),
        beats_naive=kept.beats_naive,
        saw_it=kept.saw_it,
        fallback=kept.fallback,
        analysis=kept.analysis,
        repaired=kept.repaired,
    )
