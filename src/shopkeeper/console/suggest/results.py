"""What an experiment says: the change in each variant with its interval as a picture, its numbers, its guards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from shopkeeper.console.charts import AMBER, INK, TEAL
from shopkeeper.console.plain import drawn, plain
from shopkeeper.console.suggest.sentences import sentences, standing
from shopkeeper.console.words import say
from shopkeeper.core.experiments import Experiment, GuardResult, Results, VariantResult

_PLAIN = {"displayModeBar": False}
_NONE = "–"


def show(found: Results, one: Experiment) -> None:
    told = f"**{verdict(found.verdict)}**" + (f": {plain(found.winner)}" if found.winner else "")
    if found.verdict == "winner":
        st.success(told)
    elif found.verdict in ("uneven groups", "stopped by guard"):
        st.error(told)
    else:
        st.info(told)
    for sentence in sentences(found, one):
        st.markdown(f"- {sentence}")
    if found.reason and found.reason != one.reason:
        st.caption(plain(found.reason))
    tiles = st.columns(4)
    tiles[0].metric(say("people"), f"{sum(each.n for each in found.variants):,}")
    tiles[1].metric(say("needed_a_variant"), "–" if found.needed is None else f"{found.needed:,}")
    tiles[2].metric(say("power"), "–" if found.power is None else f"{found.power:.0%}", help=say("power_help"))
    tiles[3].metric(say("days"), f"{found.days:.1f}")
    if any(each.n for each in found.variants):
        st.caption(say("people_caption"))
        st.plotly_chart(counted(found.variants, one), width="stretch", config=_PLAIN, key="experiment_people")
    changes = [each for each in found.variants[1:] if each.lift is not None and each.lift_ci is not None]
    if changes:
        control = plain(found.variants[0].name)
        st.caption(say("lift_caption", p=f"{found.confidence:.0%}", metric=plain(found.metric), control=control))
        st.plotly_chart(intervals(changes, one.better), width="stretch", config=_PLAIN, key="experiment_lifts")
    else:
        st.caption(say("too_few_yet"))
    st.dataframe([_row(each) for each in found.variants], hide_index=True, width="stretch")
    if found.guards:
        st.markdown(f"**{say('guards')}**")
        st.dataframe([_guard(each) for each in found.guards], hide_index=True, width="stretch")


def intervals(changes: Sequence[VariantResult], better: str) -> go.Figure:
    """The lift of each variant over the control with its interval; 0 is the control. Teal: better for sure,
    amber: worse for sure."""
    figure = go.Figure()
    for each in changes:
        low, high = each.lift_ci or (0.0, 0.0)
        middle = each.lift or 0.0
        colour = {"better": TEAL, "worse": AMBER, "open": INK}[standing(each, better)]
        figure.add_scatter(
            x=[middle], y=[drawn(each.name)], mode="markers+text", text=[f"{middle:+.1%}"], textposition="top center",
            marker={"size": 12, "color": colour}, hovertext=[f"{low:+.1%} … {high:+.1%}"], hoverinfo="text",
            error_x={"type": "data", "symmetric": False, "array": [high - middle], "arrayminus": [middle - low],
                     "thickness": 3, "width": 8, "color": colour},
        )  # fmt: skip
    figure.add_vline(x=0, line={"color": INK, "dash": "dot", "width": 1})
    figure.update_layout(
        height=90 + 60 * len(changes), showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 8},
        plot_bgcolor="rgba(0,0,0,0)", paper_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    figure.update_xaxes(tickformat="+.0%", gridcolor="rgba(128,140,136,.18)", zeroline=False)
    figure.update_yaxes(type="category", range=[len(changes) - 0.4, -0.6])
    return figure


def counted(variants: Sequence[VariantResult], one: Experiment) -> go.Figure:
    """People who were answered by each variant, and with a line how many their weights would give it."""
    total = sum(each.n for each in variants)
    figure = go.Figure(
        go.Bar(
            y=[drawn(each.name) for each in variants], x=[each.n for each in variants], orientation="h",
            marker_color=TEAL, text=[f"{each.n:,}" for each in variants], textposition="auto", hoverinfo="skip",
            width=0.5,
        )
    )  # fmt: skip
    figure.add_scatter(
        y=[drawn(each.name) for each in variants],
        x=[total * one.weights.get(each.name, 0.0) for each in variants], mode="markers",
        marker={"symbol": "line-ns", "size": 26, "line": {"width": 3, "color": AMBER}},
        hoverinfo="skip",
    )  # fmt: skip
    figure.update_layout(
        height=50 + 42 * len(variants), showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 8},
        plot_bgcolor="rgba(0,0,0,0)", paper_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    figure.update_xaxes(gridcolor="rgba(128,140,136,.18)", rangemode="tozero", nticks=6)
    figure.update_yaxes(type="category", autorange="reversed")
    return figure


def verdict(said: str) -> str:
    words = {
        "running": say("verdict_running"),
        "winner": say("verdict_winner"),
        "no difference": say("verdict_none"),
        "stopped by guard": say("verdict_guard"),
        "uneven groups": say("verdict_uneven"),
    }
    return words[said]


def _row(each: VariantResult) -> dict[str, Any]:
    return {
        say("variant"): each.name,
        say("people"): each.n,
        say("mean"): _number(each.mean),
        say("interval_of_mean"): _pair(each.ci),
        say("lift"): _NONE if each.lift is None else f"{each.lift:+.2%}",
        say("p_value"): _number(each.p_value),
        say("power"): _NONE if each.power is None else f"{each.power:.0%}",
        say("detectable"): _NONE if each.detectable is None else f"{each.detectable:.1%}",
    }


def _guard(each: GuardResult) -> dict[str, Any]:
    return {
        say("metric"): each.metric,
        say("fine"): say("yes") if each.ok else say("no"),
        say("worst_variant"): each.worst or _NONE,
        say("change_from_control"): _NONE if each.change is None else f"{each.change:+.1%}",
        say("tolerance"): f"{each.tolerance:.0%}",
    }


def _number(value: float | None) -> str:
    return _NONE if value is None else f"{value:.4g}"


def _pair(pair: tuple[float, float] | None) -> str:
    return _NONE if pair is None else f"{pair[0]:.4g} … {pair[1]:.4g}"
