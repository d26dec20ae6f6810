"""Pictures: plain data in, a Plotly figure out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import NamedTuple

import plotly.graph_objects as go

from shopkeeper.console.plain import drawn
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
    return answer_chart(forecast.history, forecast.forecast, came)


def answer_chart(
    history: Sequence[HistoryPoint], ahead: Sequence[ForecastPoint], came: Sequence[HistoryPoint] = ()
) -> go.Figure:
    """The same of the days alone."""
    figure = go.Figure()
    _bands(figure, ahead)
    _sold(figure, history)
    _expected(figure, ahead, say("forecast"), TEAL)
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
        _expected(figure, one.forecast, drawn(name), COLOURS[place % len(COLOURS)])
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
    parts = {names.get(name, name): explanation.values[name] for name in explanation.names}
    return _steps(explanation.base_value, parts, explanation.total, ends, least=0.05, digits=1, title=say("pieces"))


def score_steps(base: float, values: Mapping[str, float], score: float, ends: tuple[str, str]) -> go.Figure:
    """From the usual customer's score to this one's, the largest step first."""
    ordered = dict(sorted(values.items(), key=lambda pair: -abs(pair[1])))
    return _steps(base, ordered, score, ends, least=0.005, digits=2, title=say("score"))


def _steps(
    base: float,
    parts: Mapping[str, float],
    total: float,
    ends: tuple[str, str],
    *,
    least: float,
    digits: int,
    title: str,
) -> go.Figure:
    """A waterfall: parts below `least` are left out of the picture, not of the sum."""
    shown = {drawn(name): value for name, value in parts.items() if abs(value) >= least}
    figure = go.Figure(
        go.Waterfall(
            orientation="h",
            y=[ends[0], *shown, ends[1]],
            x=[base, *shown.values(), total],
            measure=["absolute", *("relative" for _ in shown), "total"],
            text=[f"{base:,.{digits}f}", *(f"{step:+,.{digits}f}" for step in shown.values()), f"{total:,.{digits}f}"],
            increasing={"marker": {"color": TEAL}},
            decreasing={"marker": {"color": AMBER}},
            totals={"marker": {"color": INK}},
            connector={"line": {"color": "#94a3b8", "width": 1}},
            textposition="outside",
            cliponaxis=False,
        )
    )
    figure.update_layout(height=90 + 32 * (len(shown) + 2))
    _framed(figure, "", legend=False)
    figure.update_xaxes(title=title, range=_with_room([0.0, *accumulate(shown.values(), initial=base), total]))
    figure.update_yaxes(autorange="reversed")
    return figure


def _with_room(levels: Sequence[float]) -> list[float]:
    """The range of an axis with room beside the bars for the numbers that stand there."""
    low, high = min(levels), max(levels)
    room = 0.15 * (high - low or 1.0)
    return [low - room if low < 0 else low, high + room if high > 0 else high]


_OUTSIDE, _LINE, _APART = 1.1, 0.065, 0.03
"""The circle on which names stand around a picture of neighbours, the height of a name, and how far those of both
sides stay from the middle."""


class Neighbour(NamedTuple):
    """A node around the one that a picture is of, at a place from -1 to 1."""

    label: str
    kind: str
    relation: str
    x: float
    y: float


def network(centre: str, around: Sequence[Neighbour]) -> go.Figure:
    """Nodes joined to the one in the middle, a colour a kind of relation."""
    figure = go.Figure()
    for place, relation in enumerate(dict.fromkeys(one.relation for one in around)):
        own = [one for one in around if one.relation == relation]
        colour = COLOURS[place % len(COLOURS)]
        ends = [end for one in own for end in ((0.0, 0.0), (one.x, one.y), (None, None))]
        figure.add_scatter(
            x=[x for x, _ in ends], y=[y for _, y in ends], mode="lines", line={"color": colour, "width": 1},
            opacity=0.4, hoverinfo="skip", showlegend=False,
        )  # fmt: skip
        figure.add_scatter(
            x=[one.x for one in own], y=[one.y for one in own], mode="markers",
            hovertext=[drawn(f"{one.label} ({one.kind})") for one in own], hoverinfo="text",
            marker={"size": 11, "color": colour}, name=drawn(relation),
        )  # fmt: skip
    _named(figure, around)
    figure.add_scatter(
        x=[0], y=[0], mode="markers+text", text=[drawn(_shortened(centre))], textposition="bottom center",
        hovertext=[drawn(centre)], hoverinfo="text", marker={"size": 20, "color": INK}, showlegend=False,
    )  # fmt: skip
    figure.update_layout(height=620)
    _framed(figure, "")
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(visible=False, range=[-1.75, 1.75])
    figure.update_yaxes(visible=False, range=[-1.2, 1.2], rangemode="normal")
    return figure


def _named(figure: go.Figure, around: Sequence[Neighbour]) -> None:
    """The names stand outside the circle, each led to by a dotted line."""
    places = name_places(around)
    ends = [end for one, (x, y) in zip(around, places, strict=True) for end in ((one.x, one.y), (x, y), (None, None))]
    figure.add_scatter(
        x=[x for x, _ in ends], y=[y for _, y in ends], mode="lines", opacity=0.4, hoverinfo="skip", showlegend=False,
        line={"color": INK, "width": 1, "dash": "dot"},
    )  # fmt: skip
    figure.add_scatter(
        x=[x for x, _ in places], y=[y for _, y in places], mode="text", textfont={"size": 11}, showlegend=False,
        text=[drawn(_shortened(one.label)) for one in around], hovertext=[drawn(one.label) for one in around],
        textposition=["middle right" if one.x >= 0 else "middle left" for one in around], hoverinfo="text",
    )  # fmt: skip


def name_places(around: Sequence[Neighbour]) -> list[tuple[float, float]]:
    """Where the name of each begins, on a circle around all: in its direction, moved down where the one above it on
    its side would be met, and never so far that those below have no room."""
    places = [(0.0, 0.0)] * len(around)
    for side in (1, -1):
        own = [place for place, one in enumerate(around) if (one.x >= 0) == (side > 0)]
        own.sort(key=lambda place: -_height(around[place]))
        above = math.inf
        for below, place in zip(range(len(own) - 1, -1, -1), own, strict=True):
            above = max(min(_height(around[place]), above - _LINE), _LINE * below - _OUTSIDE)
            places[place] = (side * math.sqrt(max(_OUTSIDE**2 - above**2, _APART**2)), above)
    return places


def _height(one: Neighbour) -> float:
    """Of the place on the outer circle in its direction."""
    return _OUTSIDE * one.y / (math.hypot(one.x, one.y) or 1.0)


def _shortened(text: str, most: int = 26) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def counts_by_day(counts: Mapping[tuple[str, str], int], kinds: Sequence[str]) -> go.Figure:
    """How many events of which kind on which day, (day, kind) -> number; bars that stand on one another."""
    figure = go.Figure()
    for place, kind in enumerate(kinds):
        days = sorted(day for day, of in counts if of == kind)
        figure.add_bar(
            x=days, y=[counts[day, kind] for day in days], name=drawn(kind), marker_color=COLOURS[place % len(COLOURS)]
        )
    figure.update_layout(height=240, barmode="stack")
    return _framed(figure, say("events_short"))


def bars(values: Mapping[str, float]) -> go.Figure:
    """One bar a name, in the order given, from the top."""
    names = list(values)[::-1]
    figure = go.Figure(
        go.Bar(
            x=[values[name] for name in names],
            y=[drawn(name) for name in names],
            orientation="h",
            marker_color=TEAL,
            texttemplate="%{x:.2f}",
        )
    )
    figure.update_layout(height=60 + 34 * len(names))
    return _framed(figure, "", legend=False)


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
        figure.add_scatter(
            x=list(x[: len(values)]), y=list(values), name=drawn(name), line={"color": colour, "width": width}
        )
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
