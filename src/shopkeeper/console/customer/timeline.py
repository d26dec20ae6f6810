"""What a customer did: how much on which day, and every event, newest first, page by page."""

from __future__ import annotations

from collections import Counter
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, paging
from shopkeeper.console.names import item_names
from shopkeeper.console.words import say
from shopkeeper.core.records import StoredEvent

_PLAIN = {"displayModeBar": False}
_SEEN = 1000
_ROWS = 25


def show(shop: ShopkeeperClient, user_id: str) -> None:
    newest = shop.events(user_id=user_id, limit=_SEEN).items
    if not newest:
        st.info(say("no_events"))
        return
    kinds = list(dict.fromkeys(event.event_type for event in newest))
    st.plotly_chart(charts.counts_by_day(_by_day(newest), kinds), width="stretch", config=_PLAIN, key="timeline")
    if len(newest) == _SEEN:
        st.caption(say("newest_only", n=_SEEN))
    kind = st.selectbox(say("what"), ["", *kinds], format_func=lambda kind: kind or say("any"), key="timeline_kind")
    key = f"timeline_{user_id}_{kind}"
    page = shop.events(user_id=user_id, event_type=kind or None, limit=_ROWS, cursor=paging.cursor(key))
    names = item_names(shop, [event.target_id for event in page.items if event.target_kind != "user"])
    st.dataframe([_row(event, names) for event in page.items], hide_index=True, width="stretch")
    paging.turn(key, page.next_cursor)


def _by_day(events: list[StoredEvent]) -> Counter[tuple[str, str]]:
    return Counter((event.time.strftime("%Y-%m-%d"), event.event_type) for event in events if event.time)


def _row(event: StoredEvent, names: dict[str, str]) -> dict[str, Any]:
    target = event.target_id or ""
    return {
        say("time"): event.time.strftime("%Y-%m-%d %H:%M:%S") if event.time else "",
        say("what"): event.event_type,
        say("target"): names.get(target, target),
        say("pieces"): event.quantity,
        say("amount"): event.value,
        say("store"): event.store_id,
    }
