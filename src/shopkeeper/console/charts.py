"""Pictures: plain data in, a Plotly figure out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go

from shopkeeper.console.words import say
from shopkeeper.core.records import Forecast, ForecastPoint, HistoryPoint, SalesExplanation

INK, TEAL, AMBER = "#64748b", "#0d9488", "#d97706"
"""Colours that can be told apart on light and on dark ground."""
_GRID = "rgba(128,140,136,.18)"
COLOURS = (TEAL, AMBER, "#6366f1", "#e11d48", "#0284c7", "#65a30d", "#a855f7", "#ca8a04", "#94a3b8", "#06b6d4")
"""Of the first, the second, ... of several models; the band belongs to the first."""
_BANDS = (("0.025", "0.975", 95, 0.12), ("0.1", "0.9", 80, 0.22))


def forecast_chart(forecast: Forecast, came: Sequence[HistoryPoint] = ()) -> go.Figure:
    """History, expected pieces a day, and the 80 and 95 % intervals; `came`: what was sold on the days forecast."""
    figure = go.Figure()
    _bands(figure, forecast.forecast)
    _sold(figure, forecast.history)
    _expected(figure, forecast.forecast, say("forecast"), TEAL)
    _sold(figure, came, say("came"))
    return _framed(figure, say("pieces"))


def compared_chart(forecasts: Mapping[str, Forecast]) -> go.Figure:
    """The same question answered by several models under their names. The intervals are the first one's."""
    figure = go.Figure()
    answers = list(forecasts.items())
    if answers:
        _bands(figure, answers[0][1].forecast)
        _sold(figure, max((one.history for _, one in answers), key=len))
    for place, (name, one) in enumerate(answers):
        _expected(figure, one.forecast, name, COLOURS[place % len(COLOURS)])
    return _framed(figure, say("pieces"))


def loss_chart(train: Sequence[float | None], val: Sequence[float | None]) -> go.Figure:
    """The error after each epoch, on what was learned from and on what was not; the best epoch is marked."""
    return lines_chart(
        list(range(1, 1 + max(len(train), len(val)))),
        {say("learned_from"): train, say("held_out"): val},
        say("loss"),
        x_title=say("epoch"),
        marked=_lowest(val),
        zero=False,
    )


def parts_chart(explanation: SalesExplanation, names: Mapping[str, str], ends: tuple[str, str]) -> go.Figure:
    """From what is usual to what is expected, a step a group that does anything; `ends` names first and last."""
    groups = [name for name in explanation.names if abs(explanation.values[name]) >= 0.05]
    steps = [explanation.base_value, *(explanation.values[name] for name in groups), explanation.total]
    figure = go.Figure(
        go.Waterfall(
            x=[ends[0], *(names.get(name, name) for name in groups), ends[1]],
            y=steps,
            measure=["absolute", *("relative" for _ in groups), "total"],
            text=[
                f"{step:,.1f}" if place in (0, len(steps) - 1) else f"{step:+,.1f}" for place, step in enumerate(steps)
            ],
            increasing={"marker": {"color": TEAL}},
            decreasing={"marker": {"color": AMBER}},
            totals={"marker": {"color": INK}},
            connector={"line": {"color": "#cbd5e1", "width": 1}},
            cliponaxis=False,
        )
    )
    figure.update_layout(height=300)
    return _framed(figure, say("pieces"), legend=False)


def lines_chart(
    x: Sequence[object],
    lines: Mapping[str, Sequence[float | None]],
    y_title: str,
    *,
    x_title: str = "",
    marked: int | None = None,
    zero: bool = True,
) -> go.Figure:
    """Named lines over one axis; the place `marked` gets a dotted line."""
    figure = go.Figure()
    for place, (name, values) in enumerate(lines.items()):
        colour, width = (INK, 1.5) if place == 0 else (COLOURS[(place - 1) % len(COLOURS)], 2.5)
        figure.add_scatter(x=list(x[: len(values)]), y=list(values), name=name, line={"color": colour, "width": width})
    if marked is not None:
        figure.add_vline(x=x[marked], line={"color": "#94a3b8", "dash": "dot", "width": 1})
    figure.update_xaxes(title=x_title or None)
    _framed(figure, y_title)
    if not zero:
        figure.update_yaxes(rangemode="normal")
    return figure


def curve(times: Sequence[object], lines: Mapping[str, Sequence[float | None]]) -> go.Figure:
    """A small picture of the last minutes, from 0 up."""
    figure = go.Figure()
    for place, (name, values) in enumerate(lines.items()):
        colour = COLOURS[place % len(COLOURS)]
        figure.add_scatter(x=list(times), y=list(values), name=name, line={"color": colour, "width": 2})
    figure.update_layout(height=170)
    _framed(figure, "", legend=len(lines) > 1)
    figure.update_xaxes(tickformat="%H:%M:%S", nticks=4, tickangle=0)
    figure.update_yaxes(rangemode="tozero", nticks=5)
    most = max((value for values in lines.values() for value in values if value), default=0)
    if not most:  # else an axis around 0 would reach below it
        figure.update_yaxes(range=[0, 1])
    return figure


def contributions(values: dict[str, float]) -> go.Figure:
    """One bar a name: what raised a score and what lowered it, largest on top."""
    ordered = sorted(values.items(), key=lambda pair: abs(pair[1]))
    figure = go.Figure(
        go.Bar(
            x=[value for _, value in ordered],
            y=[name for name, _ in ordered],
            orientation="h",
            marker_color=[TEAL if value >= 0 else AMBER for _, value in ordered],
        )
    )
    figure.update_layout(height=80 + 34 * len(ordered))
    return _framed(figure, "", legend=False)


def _bands(figure: go.Figure, points: Sequence[ForecastPoint]) -> None:
    days = [point.ds for point in points]
    for low, high, percent, shade in _BANDS:
        figure.add_scatter(
            x=days + days[::-1],
            y=[point.quantiles[high] for point in points] + [point.quantiles[low] for point in points][::-1],
            fill="toself",
            fillcolor=f"rgba(15,118,110,{shade})",
            line={"width": 0},
            hoverinfo="skip",
            name=say("interval", p=percent),
        )


def _sold(figure: go.Figure, points: Sequence[HistoryPoint], name: str | None = None) -> None:
    if points or name is None:
        figure.add_scatter(
            x=[point.ds for point in points],
            y=[point.y for point in points],
            line={"color": INK, "width": 1.5, "dash": "solid" if name is None else "dot"},
            name=name or say("history"),
        )


def _expected(figure: go.Figure, points: Sequence[ForecastPoint], name: str, colour: str) -> None:
    figure.add_scatter(
        x=[point.ds for point in points],
        y=[point.mean for point in points],
        line={"color": colour, "width": 2.5},
        mode="lines" if len(points) > 1 else "lines+markers",
        name=name,
    )


def _lowest(values: Sequence[float | None]) -> int | None:
    known = [(value, place) for place, value in enumerate(values) if value is not None]
    return min(known)[1] if known else None


def _framed(figure: go.Figure, y_title: str, *, legend: bool = True) -> go.Figure:
    figure.update_layout(
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        showlegend=legend,
        legend={"orientation": "h", "y": 1.08, "x": 0},
        plot_bgcolor="rgba(0,0,0,0)",
        paper_bgcolor="rgba(0,0,0,0)",
        hovermode="x unified" if legend else "closest",
        yaxis_title=y_title,
    )
    figure.update_xaxes(gridcolor=_GRID)
    figure.update_yaxes(gridcolor=_GRID, rangemode="tozero" if legend else "normal")
    return figure
