"""One product, or the whole shop: what was sold, what to expect, and how sure that is."""

from __future__ import annotations

import streamlit as st

from shopkeeper.console import charts
from shopkeeper.console.connection import client, told
from shopkeeper.console.words import say
from shopkeeper.core.records import Forecast, Item


def page() -> None:
    with told():
        shop = client()
        find, ahead = st.columns([4, 1])
        text = find.text_input(say("find_product"), key="product_text").strip()
        horizon = int(ahead.number_input(say("horizon"), 1, 90, 28, key="horizon"))
        found = shop.items(text or None, kind="product", active=True, limit=50).items
        if not found and text:
            st.info(say("no_product", q=text))
            return
        names = {item.item_id: f"{item.name} · {item.item_id}" for item in found}
        choice = st.selectbox(
            say("choose_product"),
            ["", *names],
            index=1 if text else 0,
            format_func=lambda item_id: names.get(item_id) or say("whole_shop"),
        )
        if choice:
            item = next(item for item in found if item.item_id == choice)
            _facts(item)
            _show(shop.forecast(choice, horizon, history_days=120), horizon)
        else:
            _show(shop.total_forecast(horizon, history_days=120), horizon)


def _facts(item: Item) -> None:
    price = "–" if item.price is None else f"{item.price:,.2f}"
    st.markdown(
        f"**{item.name}** `{item.item_id}` · {say('category')}: {item.category or '–'} · {say('price')}: {price}"
    )


def _show(forecast: Forecast, horizon: int) -> None:
    sold, expected, note = st.columns([1, 1, 3])
    last = forecast.history[-horizon:]
    sold.metric(say("sold_days", n=len(last)), f"{sum(point.y for point in last):,.0f}")
    expected.metric(say("next_days", n=horizon), f"{sum(point.mean for point in forecast.forecast):,.0f}")
    said = [say("forecast_note", model=forecast.model, version=forecast.version)]
    if forecast.fallback:
        said.append(say("fallback", reason=forecast.fallback))
    else:
        said.append(say("beats") if forecast.beats_naive else say("beats_not"))
    note.caption(" · ".join(said))
    st.plotly_chart(charts.forecast_chart(forecast), width="stretch", config={"displayModeBar": False})
