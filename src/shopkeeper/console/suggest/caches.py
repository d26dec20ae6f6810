"""What is kept of slates: how often it served, and taking it away."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import client, told
from shopkeeper.console.words import say


def show(shop: ShopkeeperClient) -> None:
    _counters()
    asking.notice("caches")
    one, all_of_it = st.columns(2, gap="large")
    with one, told():
        st.markdown(f"**{say('drop_slates')}**")
        st.caption(say("drop_slates_note"))
        user_id = st.text_input(say("customer_id"), key="caches_user").strip()
        if st.button(say("drop"), disabled=not user_id):
            asking.tell("caches", say("dropped", n=shop.drop_slates(user_id), id=user_id))
            st.rerun()
    with all_of_it, told():
        title = say("put_in_order")
        st.markdown(f"**{title}**")
        st.caption(say("optimize_note"))
        if st.button(say("optimize")):
            asking.tell("caches", say("optimized", what="; ".join(shop.optimize())))
            st.rerun()


@st.fragment(run_every=3.0)
def _counters() -> None:
    """They go on by themselves."""
    with told():
        shop = client()
        cache, speed = shop.cache_stats(), shop.recommend_metrics()
        asked = int(cache["total_requests"])
        tiles = st.columns(5)
        tiles[0].metric(say("hit_rate"), f"{cache['hit_rate']:.0%}" if asked else "–")
        tiles[1].metric(say("asked_in_all"), f"{asked:,}")
        tiles[2].metric(say("per_second_now"), f"{float(speed.get('qps') or 0):.1f}")
        tiles[3].metric(f"{say('latency')} P50", _ms(speed.get("p50_latency_ms")))
        tiles[4].metric(f"{say('latency')} P99", _ms(speed.get("p99_latency_ms")))
        st.dataframe(_levels(cache["levels"]), hide_index=True, width="stretch")


def _levels(levels: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a level; what a level does not count stays empty."""
    words = {
        "hits": say("hits"),
        "entries": say("entries"),
        "bytes": say("bytes"),
        "limit_bytes": say("limit_bytes"),
        "evicted": say("evicted"),
        "expired": say("expired"),
        "invalidated": say("invalidated"),
        "renewed": say("renewed"),
        "computed": say("computed_ahead"),
        "used": say("used_ahead"),
        "waiting": say("waiting_ahead"),
    }
    names = {"local": say("level_local"), "shared": say("level_shared"), "coalesced": say("level_coalesced"),
             "ahead": say("level_ahead")}  # fmt: skip
    counted = [name for name in words if any(name in level for level in levels.values())]
    return [
        {say("level"): names.get(title, title), **{words[name]: level.get(name) for name in counted}}
        for title, level in levels.items()
    ]


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f} ms"
