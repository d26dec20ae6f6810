"""What the stock paths ask a forecast of: the thing, the model that answers, and the days."""

from __future__ import annotations

from datetime import date, timedelta

import msgspec

from shopkeeper.api.forms import StockComparison, StockPrediction
from shopkeeper.api.stocknames import find, ids_of, model_name
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import Invalid, NotFound
from shopkeeper.core.records import Version
from shopkeeper.core.scopes import ALL, Scope
from shopkeeper.forecast.answering.asking import MAX_HORIZON
from shopkeeper.forecast.answering.choosing import holding
from shopkeeper.forecast.answering.service import scope_of
from shopkeeper.lifecycle.registry import REMOVED


class Address(msgspec.Struct):
    """What is asked for, and which model answers: None is the best there is. `scope` is that of the model."""

    about: Scope
    model: str | None = None
    scope: Scope | None = None


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
        if store_id is None or own.kind == "store":
            return own
        return scope_of(None, store_id) if own == ALL else Scope(own.kind, own.id, store_id)
    product, store, _ = ids_of(own)
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
