"""Shares that rise step by step: read from a line that a person wrote, and drawn with the step that is reached."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from shopkeeper.console.charts import AMBER, INK, TEAL
from shopkeeper.console.words import say
from shopkeeper.core.errors import Invalid

_EPSILON = 1e-6


def read(text: str) -> list[float]:
    """`10, 25, 50` or `10 % 25 %` as parts of 1. Raises Invalid; whether they rise is for the server to say."""
    words = text.replace("%", " ").replace(",", " ").replace("，", " ").split()
    try:
        return [round(float(word) / 100, 6) for word in words]
    except ValueError as error:
        raise Invalid(say("steps_no_numbers", text=text[:80]), code="bad_steps", field="steps") from error


def picture(steps: Sequence[float], now: float | None) -> go.Figure:
    """A bar a step: amber is the one that holds, teal what is behind, grey what is to come. `now`: the share of this
    moment, None: it has no share (yet, or any more)."""
    reached = [step for step in steps if now is not None and step <= now + _EPSILON]
    at = len(reached) - 1
    colours = [TEAL if place < at or now == 1 else AMBER if place == at else INK for place in range(len(steps))]
    figure = go.Figure(
        go.Bar(
            x=[f"{place + 1}" for place in range(len(steps))], y=list(steps), marker_color=colours,
            marker_opacity=[1.0 if place <= at else 0.35 for place in range(len(steps))],
            text=[f"{step:.4g} %" for step in (100 * step for step in steps)], textposition="outside",
            cliponaxis=False, hoverinfo="skip",
        )
    )  # fmt: skip
    figure.update_layout(
        height=190, showlegend=False, margin={"l": 8, "r": 8, "t": 24, "b": 8}, plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)", bargap=0.15,
    )  # fmt: skip
    figure.update_xaxes(title=say("step"), type="category")
    figure.update_yaxes(visible=False, range=[0, 1.15 * max(steps, default=1.0)])
    return figure
