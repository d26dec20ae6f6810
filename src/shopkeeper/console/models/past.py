"""What answered when, and which versions a cleanup would remove."""

from __future__ import annotations

from datetime import date as day_of
from datetime import datetime
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import watching
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.words import say
from shopkeeper.core.records import Job, ModelInfo

_JOB = "retention_job"


def show(shop: ShopkeeperClient, model: ModelInfo) -> None:
    then, keep = st.columns(2, gap="large")
    with then, told():
        _live(shop, model)
    with keep, told():
        st.markdown(f"**{say('retention')}**")
        st.caption(say("retention_note"))
        if st.button(say("look_what_goes"), key="retention_look"):
            st.session_state[_JOB] = shop.cleanup(["versions"], dry_run=True).job_id
        watching.watch(_JOB, ended=_would_go)


def _live(shop: ShopkeeperClient, model: ModelInfo) -> None:
    st.markdown(f"**{say('live_when')}**")
    if "live_now" not in st.session_state:  # kept, so that the fields stay as a person leaves them
        st.session_state["live_now"] = datetime.fromisoformat(shop.live(model.name, scope=model.scope)["at"])
    now: datetime = st.session_state["live_now"]
    day, time = st.columns(2)
    date = day.date_input(say("day"), now.date(), key="live_day")
    hour = time.time_input(say("time_utc"), now.time().replace(second=0, microsecond=0), step=60, key="live_time")
    if isinstance(date, day_of):
        asked = datetime.combine(date, hour, now.tzinfo)
        minute = now.replace(second=0, microsecond=0)
        found = shop.live(model.name, now if asked == minute else asked, scope=model.scope)
        st.dataframe(
            [{say("version"): f"v{one['version']}", say("share"): f"{one['weight']:.0%}"} for one in found["variants"]],
            hide_index=True, width="stretch",
        )  # fmt: skip
        st.caption(say("live_since", since=clock(found["since"]), by=found["by"] or "–"))


def _would_go(_shop: ShopkeeperClient, job: Job) -> None:
    found: dict[str, Any] = job.result or {}
    removed, kept = found.get("removed", []), found.get("kept", [])
    st.markdown(say("would_go", n=len(removed), bytes=f"{found.get('bytes_freed', 0):,}"))
    rows = [{say("version"): one["id"], say("bytes"): one["bytes"], say("reason"): ""} for one in removed]
    rows += [{say("version"): one["id"], say("bytes"): None, say("reason"): one["reason"]} for one in kept]
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch")
