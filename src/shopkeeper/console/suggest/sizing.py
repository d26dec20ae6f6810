"""How many people an experiment needs, before anything is begun."""

from __future__ import annotations

import plotly.graph_objects as go
import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.charts import INK, TEAL
from shopkeeper.console.words import say

_PLAIN = {"displayModeBar": False}
_AROUND = (0.5, 0.75, 1.0, 1.5, 2.0)
"""Parts of the change that is asked for; each is a question of its own."""


def show(shop: ShopkeeperClient) -> None:
    st.markdown(f"**{say('how_many_people')}**")
    kinds = {"share": say("size_of_share"), "mean": say("size_of_mean")}
    kind = st.segmented_control(
        say("metric"), list(kinds), default="share", format_func=kinds.__getitem__, key="size_kind"
    )
    left, right = st.columns(2)
    deviation = None
    if kind == "mean":
        base = left.number_input(say("mean_now"), value=20.0, step=None, format="%g", key="size_mean")
        deviation = right.number_input(
            say("deviation"), value=40.0, step=None, format="%g", key="size_deviation", help=say("deviation_help")
        )
    else:
        base = left.number_input(say("rate_now"), value=0.05, step=0.01, format="%.3f", key="size_base")
    left, right = st.columns(2, vertical_alignment="bottom")
    effect = left.number_input(say("change_worth_finding"), value=0.1, step=0.05, key="size_effect")
    variants = right.number_input(say("how_many_variants"), value=2, step=1, key="size_variants")
    left, right = st.columns(2)
    sure = left.number_input(say("sureness"), value=0.95, step=0.01, key="size_sure", help=say("sureness_help"))
    power = right.number_input(say("power"), value=0.8, step=0.05, key="size_power", help=say("power_help"))

    def needed(change: float) -> int:
        return shop.sample_size(
            float(base), change, alpha=round(1 - float(sure), 6), power=float(power),
            deviation=None if deviation is None else float(deviation), variants=int(variants),
        )  # fmt: skip

    n = needed(float(effect))
    each, together = st.columns(2)
    each.metric(say("people_a_variant"), f"{n:,}")
    together.metric(say("people_together"), f"{n * int(variants):,}")
    around = {part * float(effect): n if part == 1 else needed(part * float(effect)) for part in _AROUND}
    st.caption(say("size_curve"))
    st.plotly_chart(_curve(around, float(effect)), width="stretch", config=_PLAIN, key="size_around")


def _curve(around: dict[float, int], asked: float) -> go.Figure:
    changes = list(around)
    figure = go.Figure(
        go.Bar(
            x=[f"{change:+.3g}" for change in (100 * change for change in changes)], y=list(around.values()),
            marker_color=[TEAL if change == asked else INK for change in changes],
            text=[f"{n:,}" for n in around.values()], textposition="outside", cliponaxis=False, hoverinfo="skip",
        )
    )  # fmt: skip
    figure.update_layout(
        height=200, margin={"l": 8, "r": 8, "t": 24, "b": 8}, plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)", showlegend=False,
    )  # fmt: skip
    figure.update_xaxes(title=say("change_percent"), type="category")
    figure.update_yaxes(visible=False)
    return figure
