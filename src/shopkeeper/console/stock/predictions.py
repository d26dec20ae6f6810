"""What was predicted and kept: newest first, one looked at beside what came of it, deleted."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, charts, paging
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.names import item_names, titled
from shopkeeper.console.plain import plain
from shopkeeper.console.stock import analysis
from shopkeeper.console.words import say
from shopkeeper.core.records import ForecastPoint, HistoryPoint

_PLAIN = {"displayModeBar": False}
_A_PAGE = 10
_LIST = "predictions"


def show(shop: ShopkeeperClient) -> None:
    asking.notice("prediction")
    page = shop.prediction_history(limit=_A_PAGE, cursor=paging.cursor(_LIST))
    if not page.items:
        st.info(say("no_predictions"))
        paging.turn(_LIST, None)
        return
    names = item_names(shop, [one["product_id"] for one in page.items])
    titles = {one["prediction_id"]: _of(one, names) for one in page.items}
    rows = [_row(one, titles[one["prediction_id"]]) for one in page.items]
    st.dataframe(rows, hide_index=True, width="stretch")
    paging.turn(_LIST, page.next_cursor)
    times = {one["prediction_id"]: clock(one["created_at"]) for one in page.items}
    which, remove = st.columns([4, 1], vertical_alignment="bottom")
    chosen = which.selectbox(
        say("one_prediction"), list(titles), format_func=lambda id: f"{times.get(id, id)} · {titles.get(id, '')}",
        key="prediction_chosen",
    )  # fmt: skip
    if remove.button(say("delete"), key="prediction_delete", width="stretch"):
        question = say("delete_prediction", name=plain(f"{times[chosen]}, {titles[chosen]}"))
        asking.confirm(question, lambda: _delete(shop, chosen))
    with told():
        _one(shop.prediction(chosen))


def _delete(shop: ShopkeeperClient, prediction_id: str) -> None:
    shop.delete_prediction(prediction_id)
    asking.tell("prediction", say("deleted", name=prediction_id))


def _one(one: dict[str, Any]) -> None:
    """In its picture; what was sold on its days, where some of them are over."""
    figure = charts.answer_chart(
        _days(one["history"]),
        [
            ForecastPoint(ds=day["date"], mean=day["predicted_sales"], quantiles=day["quantiles"])
            for day in one["predictions"]
        ],
        _days(one["actual"]),
    )
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key="prediction_chart")
    notes = [
        say("kept_as", id=one["prediction_id"]),
        one["model_uid"],
        say("beats") if one["beats_naive"] else say("beats_not"),
        one["fallback"],
        say("saw_its_days") if one["saw_it"] else None,
        say("was_mended") if one["repaired"] else None,
    ]
    st.caption(plain(" · ".join(note for note in notes if note)))
    if one["analysis"]:
        st.markdown("\n".join(f"- {line}" for line in analysis.lines(one["analysis"], one["future_days"])))


def _days(days: list[dict[str, Any]]) -> list[HistoryPoint]:
    return [HistoryPoint(ds=day["date"], y=day["sales"]) for day in days]


def _of(one: dict[str, Any], names: dict[str, str]) -> str:
    """What it is of."""
    product = one["product_id"]
    if product:
        return titled(names.get(product), product)
    return str(one["category"] or one["store_id"] or say("whole_shop"))


def _row(one: dict[str, Any], title: str) -> dict[str, Any]:
    return {
        say("time"): clock(one["created_at"]),
        say("scope"): title,
        say("store"): one["store_id"] or "",
        say("model"): one["model_uid"],
        say("first_time"): one["start_date"],
        say("horizon"): one["future_days"],
        say("by"): one["created_by"],
    }
