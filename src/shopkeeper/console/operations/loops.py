"""What runs by itself: where it stands, started and stopped."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say

_EVERY_S = 3.0


def show(shop: ShopkeeperClient) -> None:
    asking.notice("loops")
    st.fragment(_loops, run_every=_EVERY_S)(shop)


def _loops(shop: ShopkeeperClient) -> None:
    with told():
        now = shop.operations_status()
        left, right = st.columns(2, gap="large")
        with left, st.container(border=True):
            _ingestion(shop, now["ingestion"])
        with right, st.container(border=True):
            _incremental(shop, now["incremental_loop"])


def _ingestion(shop: ShopkeeperClient, now: dict[str, Any]) -> None:
    _head(say("ingestion"), say("ingestion_note"), now)
    _tiles(
        {
            say("events"): f"{now['events']:,}",
            say("waiting_n"): f"{now['pending_events']:,}",
            say("last_event"): clock(now["last_event_at"])[5:] or "–",
        }
    )
    _switch("ingestion", now, shop.start_ingestion, shop.stop_ingestion)


def _incremental(shop: ShopkeeperClient, now: dict[str, Any]) -> None:
    _head(say("incremental"), say("incremental_note"), now)
    _tiles(
        {
            say("batches"): f"{now['processed_batches']:,}",
            say("events_taken_in"): f"{now['processed_events']:,}",
            say("waiting_n"): f"{now['pending']:,}" if now.get("pending") is not None else "–",
        }
    )
    _switch("incremental", now, shop.start_incremental, shop.stop_incremental)


def _head(title: str, note: str, now: dict[str, Any]) -> None:
    badge = f":green-badge[● {say('is_running')}]" if now["running"] else f":orange-badge[● {say('is_stopped')}]"
    st.markdown(f"#### {title} {badge}")
    st.caption(note)


def _tiles(values: dict[str, str]) -> None:
    """Three of them."""
    for column, (name, value) in zip(st.columns([4, 3, 5]), values.items(), strict=True):
        column.metric(name, value)


def _switch(key: str, now: dict[str, Any], start: Callable[[], str], stop: Callable[[], str]) -> None:
    since = f"{say('started_at')}: {clock(now['started_at'])}"
    if not now["running"] and now["stopped_at"]:
        since = f"{say('stopped_at')}: {clock(now['stopped_at'])}"
    st.caption(since)
    label, do = (say("stop"), stop) if now["running"] else (say("start"), start)
    if st.button(label, key=f"{key}_{'stop' if now['running'] else 'start'}", width="stretch"):
        with told():
            asking.tell("loops", plain(do()))
            st.rerun()
