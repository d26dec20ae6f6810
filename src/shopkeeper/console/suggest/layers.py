"""Layers: how much of the users each experiment holds, and what is left for another."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go
import streamlit as st

from shopkeeper.console.charts import COLOURS
from shopkeeper.console.plain import drawn
from shopkeeper.console.words import say
from shopkeeper.core.experiments import Experiment

_PLAIN = {"displayModeBar": False}
_HOLDING = ("running", "paused")


def show(known: Sequence[Experiment]) -> None:
    """Nothing where none holds anybody."""
    holding = [one for one in known if one.status in _HOLDING]
    if holding:
        with st.expander(say("layers"), icon=":material/layers:"):
            st.caption(say("layers_note"))
            st.plotly_chart(picture(holding), width="stretch", config=_PLAIN, key="experiment_layers")


def picture(holding: Sequence[Experiment]) -> go.Figure:
    """A bar a layer, a piece an experiment, grey what is free."""
    layers = sorted({one.layer for one in holding})
    figure = go.Figure()
    for place, one in enumerate(holding):
        figure.add_bar(
            y=[one.layer], x=[one.part], orientation="h", marker_color=COLOURS[place % len(COLOURS)],
            text=[f"{_shortened(one.name)} {one.part:.0%}"], textposition="inside", insidetextanchor="middle",
            hovertext=[f"{drawn(one.name)} {one.part:.1%}"], hoverinfo="text",
        )  # fmt: skip
    for layer in layers:
        free = max(0.0, 1 - sum(one.part for one in holding if one.layer == layer))
        figure.add_bar(
            y=[layer], x=[free], orientation="h", marker_color="rgba(128,140,136,.25)",
            text=[say("free_share", share=f"{free:.0%}") if free > 0.05 else ""], textposition="inside",
            insidetextanchor="middle", hoverinfo="skip",
        )  # fmt: skip
    figure.update_layout(
        height=40 + 44 * len(layers), barmode="stack", showlegend=False, margin={"l": 8, "r": 8, "t": 8, "b": 8},
        plot_bgcolor="rgba(0,0,0,0)", paper_bgcolor="rgba(0,0,0,0)",
    )  # fmt: skip
    figure.update_xaxes(visible=False, range=[0, 1])
    figure.update_yaxes(type="category")
    return figure


def _shortened(name: str, most: int = 24) -> str:
    return drawn(name if len(name) <= most else name[: most - 1] + "…")
