"""Who a customer is: score, segments and since when, what is known and what they did lately."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.frame import clock
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say


def show(shop: ShopkeeperClient, known: dict[str, Any]) -> None:
    user_id = str(known["user_id"])
    if known["scores"] is not None:
        _tiles(known["scores"], known["attributes"])
    left, right = st.columns([1, 1], gap="large")
    with left:
        st.markdown(f"**{say('segments')}**")
        _segments(shop.user_segments(user_id, history=True))
        st.markdown(f"**{say('windows')}**")
        st.dataframe(_windows(known.get("windows") or {}), hide_index=True, width="stretch")
        st.markdown(f"**{say('record')}**")
        st.dataframe(_pairs((known.get("profile") or {}).get("user") or {}), hide_index=True, width="stretch")
    with right:
        st.markdown(f"**{say('attributes')}**")
        st.dataframe(_pairs(known.get("attributes") or {}), hide_index=True, width="stretch", height=760)


def _tiles(scores: dict[str, Any], attributes: dict[str, Any]) -> None:
    tiles = st.columns(6)
    learned = scores.get("gate") is not None
    tiles[0].metric(say("score"), f"{scores['final_score']:+.2f}")
    tiles[1].metric(say("will_order") if learned else say("probability"), f"{scores['probability']:.0%}")
    tiles[2].metric(say("gate"), f"{scores['gate']:.0%}" if learned else "–", help=say("gate_help"))
    spend = scores.get("expected_spend")
    tiles[3].metric(say("expected_spend"), "–" if spend is None else f"{spend:,.0f}", help=say("expected_spend_help"))
    risk = attributes.get("churn_risk")
    tiles[4].metric(say("churn_risk"), "–" if risk is None else f"{risk:.0%}")
    tiles[5].metric(say("lifecycle"), str(attributes.get("lifecycle", "–")))


def _segments(belonging: dict[str, Any]) -> None:
    now = belonging["segments"]
    st.markdown(" ".join(f":blue-badge[{plain(name)}]" for name in now) or f":gray-badge[{say('no_segments')}]")
    rows = [
        {say("segment"): one["segment"], say("entered"): clock(one["entered_at"]), say("left"): clock(one["left_at"])}
        for one in belonging.get("history", [])
    ]
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch")


def _windows(windows: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a measure, one column a window: five columns fit where ten do not."""
    measured = {name: _measures(window) for name, window in windows.items() if "counts" in window}
    names = dict.fromkeys(name for window in measured.values() for name in window)
    return [{say("window"): name, **{at: window.get(name, 0) for at, window in measured.items()}} for name in names]


def _measures(window: dict[str, Any]) -> dict[str, float]:
    counts = {say("events_of", kind=name): n for name, n in window["counts"].items()}
    return counts | {name: value for name, value in window.items() if isinstance(value, int | float)}


def _pairs(values: dict[str, Any]) -> list[dict[str, str]]:
    return [{say("field"): name, say("value"): _short(value)} for name, value in values.items()]


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} {_short(one)}" for name, one in value.items())
    return f"{value:,.2f}" if isinstance(value, float) else str(value)
