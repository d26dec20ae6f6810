"""Forecasts: of what, by which models, how good they are, why they say what they say, and how far off they would have
been; what was predicted, stores and products. Models are trained here."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, training
from shopkeeper.console.connection import client, told
from shopkeeper.console.names import titled
from shopkeeper.console.stock import analysis, backtest, predictions, products, stores
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import Forecast, ModelInfo, Version
from shopkeeper.core.scopes import Kind, Scope

_PLAIN = {"displayModeBar": False}
_MEASURES = {"wape": "WAPE", "pinball": "pinball", "mase": "MASE", "bias": "bias", "coverage_80": "80 %"}
_MOST = 10
_OTHERS = {"predictions": predictions.show, "stores": stores.show, "products": products.show}


class Asked(NamedTuple):
    """What the page is about."""

    scope: Scope
    horizon: int
    history_days: int

    @property
    def ids(self) -> dict[str, str | None]:
        """The scope as the stock paths take it."""
        scope = self.scope
        return {
            "product_id": scope.id if scope.kind == "product" else None,
            "store_id": scope.id if scope.kind == "store" else None,
            "category": scope.id if scope.kind == "category" else None,
        }


def page() -> None:
    names = {
        "look_ahead": say("look_ahead"),
        "train": say("train"),
        "leaderboard": say("leaderboard"),
        "backtest": say("backtest"),
        "predictions": say("past_predictions"),
        "stores": say("stores"),
        "products": say("products_page"),
    }
    side = st.segmented_control(
        say("look_at"), list(names), default="look_ahead", format_func=names.__getitem__, key="forecasts_side",
        label_visibility="collapsed",
    ) or "look_ahead"  # fmt: skip
    with told():
        shop = client()
        if side in _OTHERS:
            _OTHERS[side](shop)
            return
        asked = _asked(shop)
        if asked is None:
            return
        if side == "train":
            training.page(shop, asked.scope, asked.ids)
        elif side == "leaderboard":
            _leaderboard(shop, _models(shop, asked.scope))
        elif side == "backtest":
            backtest.show(shop, asked.scope, asked.horizon)
        else:
            _look_ahead(shop, asked, _models(shop, asked.scope))


def _asked(shop: ShopkeeperClient) -> Asked | None:
    kinds = {"all": say("whole_shop"), "product": say("product"), "category": say("category"), "store": say("store")}
    first, find, which, far, back = st.columns([2, 2, 3, 1, 1])
    kind = first.selectbox(say("scope"), list(kinds), format_func=lambda kind: kinds[kind], key="forecast_scope")
    horizon = int(far.number_input(say("horizon"), 1, 365, 28, key="forecast_horizon"))
    history = int(back.number_input(say("days_back"), 0, 3650, 120, key="forecast_history"))
    if kind == "all":
        return Asked(Scope(), horizon, history)
    if kind == "product":
        text = find.text_input(say("find_product"), key="forecast_find").strip()
        found = shop.items(text or None, kind="product", active=True, limit=50).items
        choices = {item.item_id: titled(item.name, item.item_id) for item in found}
    else:
        choices = _categories(shop) if kind == "category" else _stores(shop)
    if not choices:
        st.info(say("nothing_to_choose"))
        return None
    id = which.selectbox(
        kinds[kind], list(choices), format_func=lambda id: choices.get(id, id), key=f"forecast_{kind}",
        accept_new_options=kind == "category",
    )  # fmt: skip
    return Asked(Scope(cast(Kind, kind), id), horizon, history)


def _categories(shop: ShopkeeperClient) -> dict[str, str]:
    """Of the first thousand products; any other can be typed."""
    items = shop.items(kind="product", active=True, limit=1000).items
    return {name: name for name in sorted({item.category for item in items if item.category})}


def _stores(shop: ShopkeeperClient) -> dict[str, str]:
    return {one.store_id: titled(one.name, one.store_id) for one in shop.stores()}


def _models(shop: ShopkeeperClient, scope: Scope) -> dict[str, ModelInfo]:
    """By a name to show. Of a model that has learned in this scope and of everything, the former."""
    found = [one for one in shop.models("forecast") if one.scope in (str(scope), "all")]
    found.sort(key=lambda one: (one.scope == "all", one.name))
    by_name: dict[str, ModelInfo] = {}
    for one in found:
        by_name.setdefault(one.name, one)
    return {f"{one.name} ({one.algorithm})" + _of(one): one for one in by_name.values()}


def _of(one: ModelInfo) -> str:
    return "" if one.scope == "all" else f" · {one.scope}"


def _look_ahead(shop: ShopkeeperClient, asked: Asked, models: dict[str, ModelInfo]) -> None:
    chosen = st.multiselect(
        say("models"), list(models), placeholder=say("best_model"), max_selections=_MOST, key="forecast_models"
    )
    answers = {name: _forecast(shop, asked, _address(models[name])) for name in chosen if name in models}
    if not answers:
        answers = {say("best_model"): _forecast(shop, asked, None)}
    figure = charts.compared_chart(answers) if len(answers) > 1 else charts.forecast_chart(next(iter(answers.values())))
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key="forecast_chart")
    st.dataframe([_row(name, one, asked) for name, one in answers.items()], hide_index=True, width="stretch")
    if st.button(say("why_so_many"), key="forecast_why"):
        first = models[chosen[0]] if chosen else None
        reasons, figures = st.columns([3, 2], gap="large")
        with reasons, told():
            _reasons(shop, asked, first)
        with figures, told():
            _analysis(shop, asked, None if first is None else _uid(shop, first, answers[chosen[0]]))


def _address(one: ModelInfo) -> str:
    """The version that serves, else the newest."""
    return f"{one.name}/{_ref(one)}"


def _ref(one: ModelInfo) -> str:
    return next((alias for alias in ("champion", "candidate") if alias in one.aliases), str(one.versions))


def _forecast(shop: ShopkeeperClient, asked: Asked, model: str | None) -> Forecast:
    scope, horizon, back = asked.scope, asked.horizon, asked.history_days
    if scope.kind == "product":
        return shop.forecast(str(scope.id), horizon, history_days=back, model=model)
    store = scope.id if scope.kind == "store" else None
    category = scope.id if scope.kind == "category" else None
    return shop.total_forecast(horizon, history_days=back, store_id=store, category=category, model=model)


def _reasons(shop: ShopkeeperClient, asked: Asked, model: ModelInfo | None) -> None:
    """The parts of a product's forecast as steps from what is usual to what is expected."""
    if asked.scope.kind != "product":
        st.info(say("explained_of_products"))
        return
    address = None if model is None else _address(model)
    found = shop.explain_forecast(str(asked.scope.id), asked.horizon, model=address)
    names = {
        "calendar": say("group_calendar"),
        "price": say("group_price"),
        "promotion": say("group_promotion"),
        "trend": say("group_trend"),
        "neighbours": say("group_neighbours"),
    }
    figure = charts.parts_chart(found, names, (say("usual"), say("expected")))
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key="forecast_parts")
    st.caption(say("parts_note", n=found.horizon))


def _uid(shop: ShopkeeperClient, model: ModelInfo, shown: Forecast) -> str | None:
    """What the stock paths call the version that the picture is of; where something else stood in for it there, the
    one that was asked."""
    wanted = shown.version if shown.model == model.name else None
    there = shop.forecast_models(mode="global" if model.scope == "all" else None)
    found = [one for one in there if (one["model"], one["scope"]) == (model.name, model.scope)]
    found.sort(key=lambda one: (one["version"] != wanted, not one["best"]))  # else the newest, as they come
    return None if not found else str(found[0]["model_uid"])


def _analysis(shop: ShopkeeperClient, asked: Asked, uid: str | None) -> None:
    """Figures about the forecast in the session's language. The prediction that they are of is kept by the shop.
    `uid`: of the version that answers; None: the best one."""
    made = shop.predict_sales(
        uid,
        product_id=asked.ids["product_id"],
        store_id=asked.ids["store_id"],
        category=asked.ids["category"],
        future_days=asked.horizon,
        history_days=asked.history_days,
        analyze=True,
    )
    found = made["analysis"]
    if found is None:
        return
    st.markdown(f"**{say('analysis')}**")
    st.markdown("\n".join(f"- {line}" for line in analysis.lines(found, asked.horizon)))
    st.caption(say("kept_as", id=made["prediction_id"]))


def _row(name: str, one: Forecast, asked: Asked) -> dict[str, Any]:
    sold = one.history[-asked.horizon :]
    return {
        say("model"): name,
        say("version"): f"{one.model} v{one.version}",
        say("next_days", n=len(one.forecast)): round(sum(point.mean for point in one.forecast), 1),
        say("sold_days", n=len(sold)): round(sum(point.y for point in sold), 1),
        say("note"): one.fallback or (say("beats") if one.beats_naive else say("beats_not")),
    }


def _leaderboard(shop: ShopkeeperClient, models: dict[str, ModelInfo]) -> None:
    """Champions, or the newest version where there is none yet, by WAPE."""
    rows: list[dict[str, Any]] = []
    for name, one in models.items():
        try:
            rows.append(_ranked(name, shop.version(one.name, _ref(one), scope=one.scope)))
        except ShopkeeperError:  # removed meanwhile
            continue
    rows.sort(key=lambda row: row["WAPE"] if row["WAPE"] is not None else float("inf"))
    st.dataframe(rows, hide_index=True, width="stretch")
    st.caption(say("leaderboard_note"))


def _ranked(name: str, version: Version) -> dict[str, Any]:
    def rounded(measure: str) -> float | None:
        value = version.metrics.get(measure)
        return None if value is None else round(float(value), 3)

    return {
        say("model"): name,
        say("version"): f"v{version.version}" + (" ★" if "champion" in version.aliases else ""),
        **{title: rounded(measure) for measure, title in _MEASURES.items()},
        say("naive_wape"): rounded("naive_wape"),
        say("learned_until"): str(version.data.get("cutoff") or version.data.get("to", "–")),
    }
