"""Caches put in order or emptied, rules read again, and the removal of what need not be kept, which shows first what
it would remove."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, watching
from shopkeeper.console.connection import told
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import Job

_JOB = "cleanup_job"
_MB = 1e6


def show(shop: ShopkeeperClient) -> None:
    asking.notice("tidying")
    left, right = st.columns(2, gap="large")
    with left, st.container(border=True), told():
        st.markdown(f"#### {say('caches')}")
        _slates(shop)
        _deed("optimize", say("optimize"), say("optimize_help"), lambda: "; ".join(shop.optimize()))
        _deed("explanations", say("clear_explanations"), say("clear_explanations_help"), shop.clear_explanations)
        _deed("rules", say("refresh_rules"), say("refresh_rules_help"), shop.refresh_rules)
    with right, st.container(border=True), told():
        st.markdown(f"#### {say('cleanup')}")
        st.caption(say("cleanup_note"))
        look, remove = st.columns(2)
        if look.button(say("cleanup_look"), key="cleanup_look", width="stretch"):
            st.session_state[_JOB] = shop.cleanup().job_id
        if remove.button(say("cleanup_do"), key="cleanup_do", width="stretch"):
            asking.confirm(say("cleanup_sure"), lambda: _clean(shop))
        watching.watch(_JOB, ended=_cleaned)


def _slates(shop: ShopkeeperClient) -> None:
    stats = shop.cache_stats()
    local = stats["levels"].get("local", {})
    hits, kept, room = st.columns(3)
    hits.metric(say("hit_rate"), f"{stats['hit_rate']:.0%}" if stats["total_requests"] else "–")
    kept.metric(say("slates_kept"), f"{local.get('entries', 0):,}")
    room.metric(say("memory"), f"{local.get('bytes', 0) / _MB:,.1f} MB")


def _deed(key: str, label: str, about: str, do: Callable[[], str]) -> None:
    """A button that does a thing which may be done at any time, and says what came of it."""
    if st.button(label, key=f"tidy_{key}", help=about, width="stretch"):
        with st.spinner(label):
            asking.tell("tidying", plain(do()))
        st.rerun()


def _clean(shop: ShopkeeperClient) -> None:
    st.session_state[_JOB] = shop.cleanup(dry_run=False).job_id


def _cleaned(_shop: ShopkeeperClient, job: Job) -> None:
    result: dict[str, Any] = job.result or {}
    removed, kept = result.get("removed", []), result.get("kept", [])
    would = say("cleanup_would") if result.get("dry_run") else say("cleanup_done")
    st.success(f"{would} {len(removed)} · {result.get('bytes_freed', 0) / _MB:,.1f} MB · {say('kept')} {len(kept)}")
    if removed:
        st.dataframe(removed, hide_index=True, width="stretch", height=260)
