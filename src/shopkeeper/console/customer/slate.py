"""What a customer would be shown in a scenario, with reasons, chances, and where the time goes."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts
from shopkeeper.console.names import titled
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import RecItem, RecResponse

_PLAIN = {"displayModeBar": False}
_USUAL = "home"
_ANSWER = "slate_answer"


def show(shop: ShopkeeperClient, user_id: str) -> None:
    """Only what is asked for by a person is asked of the shop, for which it is a slate like any other."""
    scenarios = [one["name"] for one in shop.scenarios()]
    place, number = st.columns([3, 1])
    first = scenarios.index(_USUAL) if _USUAL in scenarios else 0
    scenario = place.selectbox(say("scenario"), scenarios, index=first, key="slate_scenario")
    n = int(number.number_input(say("how_many"), 1, 100, 10, key="slate_n"))
    asked = (user_id, scenario, n)
    if st.button(say("suggest_now"), type="primary", key="slate_ask", help=say("slate_help")):
        st.session_state[_ANSWER] = asked, shop.recommend(user_id, n, scenario=scenario)
    question, answer = st.session_state.get(_ANSWER, (None, None))
    if question != asked or answer is None:
        st.caption(say("slate_unasked"))
        return
    if answer.degraded:
        st.warning(plain(answer.explanation or say("degraded")))
    table(answer.recommendations)
    version = plain(answer.model_version or "–")
    st.caption(say("slate_note", scenario=plain(answer.scenario), ms=answer.latency_ms, version=version))
    times(answer)


def table(items: list[RecItem]) -> None:
    """Items, best first."""
    if not items:
        st.info(say("nothing_to_show"))
        return
    st.dataframe(
        [_row(place, item) for place, item in enumerate(items, 1)],
        hide_index=True,
        width="stretch",
        height=min(38 * (len(items) + 1), 800),
        column_config={say("confidence"): st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
    )


def times(answer: RecResponse) -> None:
    """Milliseconds by stage, of the slate's computation."""
    if answer.stages:
        chart, _ = st.columns([2, 3])
        chart.caption(say("stages"))
        chart.plotly_chart(charts.bars(answer.stages), width="stretch", config=_PLAIN, key="slate_stages")


def _row(place: int, item: RecItem) -> dict[str, Any]:
    return {
        "#": place,
        say("product"): titled(item.metadata.get("name"), item.item_id),
        say("confidence"): item.confidence,
        say("reason"): item.explanation,
        say("channels"): ", ".join(item.metadata.get("channels", [])),
    }
