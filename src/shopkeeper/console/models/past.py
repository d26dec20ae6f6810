"""What answered when, and which versions a cleanup would remove."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import date as day_of
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import watching
from shopkeeper.console.charts import TEAL
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Job, ModelInfo

_JOB = "retention_job"
_CHANGES = 12
"""The most that are looked back: each is asked for by itself."""
_PLAIN = {"displayModeBar": False}
_DAY, _TIME, _SET = "live_day", "live_time", "live_set"
"""The fields, and what they were last set to by themselves."""


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
    now = None if _touched() else shop.live(model.name, scope=model.scope)
    if now is not None:
        _set_to(datetime.fromisoformat(now["at"]))
    day, time = st.columns(2)
    date = day.date_input(say("day"), key=_DAY)
    hour = time.time_input(say("time_utc"), step=60, key=_TIME)
    if isinstance(date, day_of):
        found = now or shop.live(model.name, datetime.combine(date, hour, UTC), scope=model.scope)
        st.caption(say("live_since", since=clock(found["since"]), by=found["by"] or "–"))
        spans = _before(shop, model, found)
        st.plotly_chart(_picture(spans), width="stretch", config=_PLAIN, key="live_past")
        st.dataframe([_row(one) for one in spans], hide_index=True, width="stretch")


def _touched() -> bool:
    """Whether a person has chosen a moment. Until then the fields go with the clock of the shop."""
    state = st.session_state
    there = _DAY in state and _TIME in state  # else the page was left, and begins anew
    return there and (state[_DAY], state[_TIME]) != state.get(_SET)


def _set_to(now: datetime) -> None:
    utc = now.astimezone(UTC)
    moment = utc.date(), utc.time().replace(second=0, microsecond=0)
    st.session_state[_SET] = moment
    st.session_state[_DAY], st.session_state[_TIME] = moment


def _before(shop: ShopkeeperClient, model: ModelInfo, found: dict[str, Any]) -> list[dict[str, Any]]:
    """What answered then, and before that, and before that: each asked for the moment before the one after it began."""
    spans = [{**found, "until": found["at"]}]
    while len(spans) < _CHANGES:
        since = datetime.fromisoformat(spans[-1]["since"])
        try:
            earlier = shop.live(model.name, since - timedelta(microseconds=1), scope=model.scope)
        except NotFound:  # nothing answered yet
            break
        spans.append({**earlier, "until": spans[-1]["since"]})
    return spans


def _picture(spans: Sequence[dict[str, Any]]) -> go.Figure:
    """A row a version: when it answered, the darker the greater its share."""
    figure = go.Figure()
    for one in spans:
        begun, until = (datetime.fromisoformat(one[name]) for name in ("since", "until"))
        for variant in one["variants"]:
            figure.add_bar(
                base=[begun], x=[1000 * (until - begun).total_seconds()], y=[f"v{variant['version']}"],
                orientation="h", marker_color=TEAL, opacity=0.25 + 0.75 * variant["weight"], showlegend=False,
                hovertext=[f"{variant['weight']:.0%} · {clock(one['since'])} – {clock(one['until'])}"],
                hoverinfo="text", width=0.6,
            )  # fmt: skip
    rows = len({variant["version"] for one in spans for variant in one["variants"]})
    figure.update_layout(
        height=70 + 34 * rows, barmode="overlay", margin={"l": 8, "r": 8, "t": 8, "b": 8},
        plot_bgcolor="rgba(0,0,0,0)", paper_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    figure.update_xaxes(type="date", gridcolor="rgba(128,140,136,.18)", nticks=5, tickangle=0)
    figure.update_yaxes(type="category")
    return figure


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        say("version"): ", ".join(f"v{each['version']} {each['weight']:.0%}" for each in one["variants"]),
        say("entered"): clock(one["since"]),
        say("left"): clock(one["until"]),
        say("made_by"): one["by"],
    }


def _would_go(_shop: ShopkeeperClient, job: Job) -> None:
    found: dict[str, Any] = job.result or {}
    removed, kept = found.get("removed", []), found.get("kept", [])
    st.markdown(say("would_go", n=len(removed), bytes=f"{found.get('bytes_freed', 0):,}"))
    rows = [{say("version"): one["id"], say("bytes"): one["bytes"], say("reason"): ""} for one in removed]
    rows += [{say("version"): one["id"], say("bytes"): None, say("reason"): one["reason"]} for one in kept]
    if rows:
        st.dataframe(rows, hide_index=True, width="stretch")
