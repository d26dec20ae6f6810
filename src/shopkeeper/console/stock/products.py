"""Products: found by name or code, one with its days of sale and its prices."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, paging
from shopkeeper.console.names import titled
from shopkeeper.console.words import say

_PLAIN = {"displayModeBar": False}
_A_PAGE = 10
_DAYS = 365


def show(shop: ShopkeeperClient) -> None:
    text = st.text_input(say("find_product"), key="products_find").strip()
    key = f"products_{text}"
    page = shop.products(text or None, limit=_A_PAGE, cursor=paging.cursor(key))
    if not page.items:
        st.info(say("nothing_to_choose"))
        paging.turn(key, None)
        return
    st.dataframe([_row(one) for one in page.items], hide_index=True, width="stretch")
    paging.turn(key, page.next_cursor)
    names = {one["product_id"]: titled(one["product_name"], one["product_id"]) for one in page.items}
    chosen = st.selectbox(say("product"), list(names), format_func=lambda id: names.get(id, id), key="product_chosen")
    if chosen:
        _one(shop, chosen)


def _one(shop: ShopkeeperClient, product_id: str) -> None:
    one = shop.product(product_id)
    ends = one["date_range"]
    days, first, last = st.columns(3)
    days.metric(say("days_sold"), f"{one['data_points']:,}")
    first.metric(say("first_time"), ends["start"] if ends else "–")
    last.metric(say("last_time"), ends["end"] if ends else "–")
    if not ends:
        st.info(say("never_sold"))
        return
    since = date.fromisoformat(ends["end"]) - timedelta(days=_DAYS)
    sales = shop.product_sales(product_id, start_date=since)
    dates = [day["date"] for day in sales]
    sold, price = st.columns([3, 2], gap="large")
    for place, name, unit, field in ((sold, "sales", say("pieces"), "sales"), (price, "prices", say("price"), "price")):
        figure = charts.lines_chart(dates, {unit: [day[field] for day in sales]}, unit)
        figure.update_layout(height=300, showlegend=False)
        place.plotly_chart(figure, width="stretch", config=_PLAIN, key=f"product_{name}")
    st.caption(say("last_days_shown", n=_DAYS))


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        say("product_code"): one["product_id"],
        say("name"): one["product_name"],
        say("category"): one["category"],
        say("price"): one["price"],
        say("is_sold"): one["active"],
    }
