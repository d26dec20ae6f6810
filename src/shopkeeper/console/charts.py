"""Pictures: plain data in, a Plotly figure out."""

from __future__ import annotations

import plotly.graph_objects as go

from shopkeeper.console.words import say
from shopkeeper.core.records import Forecast

INK, TEAL = "#334155", "#0f766e"
_BANDS = (("0.025", "0.975", 95, 0.12), ("0.1", "0.9", 80, 0.22))


def forecast_chart(forecast: Forecast) -> go.Figure:
    """History, median forecast, and the 80 and 95 % intervals, in pieces a day."""
    figure = go.Figure()
    days = [point.ds for point in forecast.forecast]
    for low, high, percent, shade in _BANDS:
        lower = [point.quantiles[low] for point in forecast.forecast]
        upper = [point.quantiles[high] for point in forecast.forecast]
        figure.add_scatter(
            x=days + days[::-1],
            y=upper + lower[::-1],
            fill="toself",
            fillcolor=f"rgba(15,118,110,{shade})",
            line={"width": 0},
            hoverinfo="skip",
            name=say("interval", p=percent),
        )
    figure.add_scatter(
        x=[point.ds for point in forecast.history],
        y=[point.y for point in forecast.history],
        line={"color": INK, "width": 1.5},
        name=say("history"),
    )
    figure.add_scatter(
        x=days,
        y=[point.mean for point in forecast.forecast],
        line={"color": TEAL, "width": 2.5},
        name=say("forecast"),
    )
    return _framed(figure, say("pieces"))


def contributions(values: dict[str, float]) -> go.Figure:
    """One bar a name: what raised a score and what lowered it, largest on top."""
    ordered = sorted(values.items(), key=lambda pair: abs(pair[1]))
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in ordered],
            y=[name for name, _ in ordered],
            orientation="h",
            marker_color=[TEAL if value >= 0 else "#b45309" for _, value in ordered],
        )
    )
    figure.update_layout(height=80 + 34 * len(ordered))
    return _framed(figure, "", legend=False)


def _framed(figure: go.Figure, y_title: str, *, legend: bool = True) -> go.Figure:
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.08, "x": 0},
        plot_bgcolor="white",
        hovermode="x unified" if legend else "closest",
        yaxis_title=y_title,
    )
    figure.update_xaxes(gridcolor="#eef2f1")
    figure.update_yaxes(gridcolor="#eef2f1", rangemode="tozero" if legend else "normal")
    return figure
