"""The live head of the page: health, counters and the last events. It refreshes itself and leaves the rest alone."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.connection import client, told
from shopkeeper.console.words import say
from shopkeeper.core.records import StoredEvent


@st.fragment(run_every=2.0)
def head() -> None:
    """Health with its reasons, and the counters."""
    with told():
        shop = client()
        ready, reasons = shop.ready()
        colour, word = ("green", say("serving")) if ready else ("orange", say("starting"))
        st.markdown(f":{colour}-badge[● {word}]" + "".join(f" {reason}." for reason in reasons if reason))
        _counters(shop)


@st.fragment(run_every=2.0)
def last_events() -> None:
    """The newest events of the log."""
    st.subheader(say("last_events"))
    with told():
        events = client().events(limit=12).items
        names = _names(events)
        st.dataframe([_row(event, names) for event in events], hide_index=True, width="stretch", height=460)


def _counters(shop: ShopkeeperClient) -> None:
    metrics = shop.operations_metrics()
    ingestion = metrics.get("ingestion", {})
    resources = metrics.get("resources", {})
    total = int(ingestion.get("events", 0))
    first = st.session_state.setdefault("events_at_open", total)
    tiles = st.columns([1.3, 1, 1, 1.2, 0.8, 1])
    tiles[0].metric(say("events"), f"{total:,}", say("since_open", n=f"{total - first:,}") if total > first else None)
    tiles[1].metric(say("customers"), f"{int(ingestion.get('users', 0)):,}")
    tiles[2].metric(say("products"), f"{int(ingestion.get('items', 0)):,}")
    tiles[3].metric(say("shop_time"), _clock(ingestion.get("shop_time")))
    tiles[4].metric(say("cpu"), f"{resources.get('cpu_percent', 0):.0f} %")
    tiles[5].metric(say("memory"), f"{resources.get('memory_rss_mb', 0):,.0f} MB")


def _names(events: list[StoredEvent]) -> dict[str, str]:
    """Names of the products on the list, looked up once a session each."""
    known: dict[str, str] = st.session_state.setdefault("item_names", {})
    for event in events:
        target = event.target_id or event.item_id
        if target and event.target_kind != "user" and target not in known:
            known[target] = client().item(target).name
    return known


def _row(event: StoredEvent, names: dict[str, str]) -> dict[str, Any]:
    target = event.target_id or event.item_id or ""
    return {
        say("time"): event.time.strftime("%Y-%m-%d %H:%M:%S") if event.time else "",
        say("what"): event.event_type,
        say("who"): event.user_id or event.anonymous_id or say("unknown_customer"),
        say("target"): names.get(target, target),
        say("pieces"): event.quantity,
        say("amount"): event.value,
    }


def _clock(text: str | None) -> str:
    return datetime.fromisoformat(text).strftime("%d.%m. %H:%M") if text else "–"
