"""The whole shop at a glance: counters, curves, the refresh of what is learned, the last events. It renews itself."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, history, watching
from shopkeeper.console.connection import address, client, told
from shopkeeper.console.frame import clock
from shopkeeper.console.names import item_names
from shopkeeper.console.words import say
from shopkeeper.core.records import StoredEvent

_PLAIN = {"displayModeBar": False}
_JOB = "refresh_job"
_LAST = 12


def page() -> None:
    with st.expander(say("guide"), icon=":material/menu_book:"):
        st.markdown(say("guide_text"))
    _live()
    events, refresh = st.columns([3, 2], gap="large")
    with events:
        _last_events()
    with refresh:
        st.subheader(say("refresh"))
        st.caption(say("refresh_note"))
        _learning()
        _refresh_form()
        watching.watch(_JOB)


@st.fragment(run_every=history.EVERY_S)
def _live() -> None:
    """Counters and curves."""
    with told():
        seen = _seen()
        now = seen.look(client())
        _counters(now)
        _curves(seen)


def _seen() -> history.Curves:
    return history.curves(address(), st.session_state.get("api_key") or "")


def _counters(now: dict[str, Any]) -> None:
    ingestion, resources, cache = now.get("ingestion", {}), now.get("resources", {}), now["cache"]
    total = int(ingestion.get("events", 0))
    first = st.session_state.setdefault("events_at_open", total)
    tiles = st.columns([1.2, 1, 1, 1.4, 1, 1])
    tiles[0].metric(say("events"), f"{total:,}", say("since_open", n=f"{total - first:,}") if total > first else None)
    tiles[1].metric(say("customers"), f"{int(ingestion.get('users', 0)):,}")
    tiles[2].metric(say("products"), f"{int(ingestion.get('items', 0)):,}")
    tiles[3].metric(say("last_event"), clock(ingestion.get("last_event_at"))[5:] or "–")
    tiles[4].metric(say("hit_rate"), f"{cache['hit_rate']:.0%}" if cache["total_requests"] else "–")
    tiles[5].metric(say("memory"), f"{resources.get('memory_rss_mb', 0):,.0f} MB")


def _curves(seen: history.Curves) -> None:
    load = {say("cpu"): seen.line("cpu")}
    if any(value is not None for value in seen.line("gpu")):
        load[say("gpu")] = seen.line("gpu")
    pictures = (
        (say("load"), load, "%"),
        (say("memory"), {say("memory"): seen.line("memory")}, "MB"),
        (say("event_rate"), {say("event_rate"): seen.line("events")}, say("per_second")),
        (say("requests"), {say("requests"): seen.line("requests")}, say("per_second")),
        (say("hit_rate"), {say("hit_rate"): seen.line("hit_rate")}, "%"),
        (say("latency"), {"P50": seen.line("p50"), "P99": seen.line("p99")}, "ms"),
    )
    times = list(seen.times)
    for row in (pictures[:3], pictures[3:]):
        for column, (title, lines, unit) in zip(st.columns(3), row, strict=True):
            with column:
                st.caption(f"{title} · {unit}")
                st.plotly_chart(charts.curve(times, lines), width="stretch", config=_PLAIN, key=f"curve_{title}")


@st.fragment(run_every=2.0)
def _last_events() -> None:
    """The newest events of the log."""
    st.subheader(say("last_events"))
    with told():
        events = client().events(limit=_LAST).items
        names = item_names(client(), [_target(event) for event in events if event.target_kind != "user"])
        st.dataframe([_row(event, names) for event in events], hide_index=True, width="stretch", height=460)


@st.fragment(run_every=5.0)
def _learning() -> None:
    """How far a refresh and the trainings that belong to it are, whoever began them."""
    with told():
        now = _seen().look(client())
        titles = {"refresh": say("refresh"), "hgt_training": say("graph_model"), "fusion_training": say("fused_score")}
        lines = [f"{title}: {_how_far(now.get(channel) or {})}" for channel, title in titles.items()]
        st.markdown("  \n".join(f":gray[{line}]" for line in lines))


def _how_far(channel: dict[str, Any]) -> str:
    state = str(channel.get("state", "idle"))
    if state == "running":
        return f"{channel.get('stage') or ''} {float(channel.get('percent') or 0):.0f} %".strip()
    ended = clock(channel.get("finished_at"))
    words = {"done": say("job_done"), "failed": say("job_failed"), "cancelled": say("job_cancelled")}
    return say("never_run") if state == "idle" else f"{words.get(state, state)}, {ended}"


def _refresh_form() -> None:
    """All vectors anew, and what is learned from them when that is asked for."""
    with st.form("refresh", border=True):
        left, right = st.columns(2)
        modes = {"embedding_only": say("mode_embed"), "full_retrain": say("mode_retrain")}
        mode = left.selectbox(say("mode"), list(modes), format_func=modes.__getitem__)
        ratio = right.number_input(say("sample_ratio"), 0.1, 1.0, 1.0, step=0.05, help=say("sample_ratio_help"))
        epochs = left.number_input(say("epochs"), 1, 50, 5, help=say("epochs_help"))
        rate = right.number_input(say("learning_rate"), 0.0001, 1.0, 0.005, format="%.4f", help=say("epochs_help"))
        if st.form_submit_button(say("begin"), type="primary"):
            with told():
                _begin(client(), mode, float(ratio), int(epochs), float(rate))


def _begin(shop: ShopkeeperClient, mode: str, ratio: float, epochs: int, rate: float) -> None:
    sampled = {"graph_scope": "sampled", "sample_ratio": ratio} if ratio < 1 else {}
    learned = {"retrain_epochs": epochs, "learning_rate": rate} if mode == "full_retrain" else {}
    st.session_state[_JOB] = shop.refresh(mode, **sampled, **learned).job_id


def _row(event: StoredEvent, names: dict[str, str]) -> dict[str, Any]:
    target = _target(event)
    return {
        say("time"): event.time.strftime("%Y-%m-%d %H:%M:%S") if event.time else "",
        say("what"): event.event_type,
        say("who"): event.user_id or event.anonymous_id or say("unknown_customer"),
        say("target"): names.get(target, target),
        say("pieces"): event.quantity,
        say("amount"): event.value,
    }


def _target(event: StoredEvent) -> str:
    return event.target_id or event.item_id or ""
