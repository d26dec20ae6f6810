"""Figures about a forecast and its history: trend, volatility, statistics, day over day, what moved it; and words."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

from shopkeeper.core.records import Analysis, DayChange, Factor, SalesExplanation, Trend
from shopkeeper.forecast.outlook import Floats, Outlook

RECENT = 90
"""Days of the history that its trend is taken of."""
SURE = 0.05
CALM, WILD = 0.3, 0.7
_FACTORS = 3


def analysed(history: Floats, said: Outlook, factors: SalesExplanation | None) -> Analysis:
    """`history` (d,) pieces a day, `said` the forecast of one series that follows it, `factors` what moved it."""
    ahead: Floats = np.asarray(said.mean[0], dtype=np.float64)
    past = np.asarray(history, dtype=np.float64)[-RECENT:]
    trend = trend_of(ahead)
    past_trend = trend_of(past) if len(past) else None
    numbers = _statistics(ahead, past)
    moved = [] if factors is None else _strongest(factors)
    text = _text(len(ahead), trend, past_trend, numbers, moved)
    return Analysis(
        trend=trend,
        past_trend=past_trend,
        statistics=numbers,
        day_over_day=_changes(ahead, past),
        factors=moved,
        text=text,
    )


def trend_of(y: Floats) -> Trend:
    """The straight line of least squares through y (d,), d >= 1."""
    mean, spread = float(y.mean()), float(y.std())
    volatility = spread / mean if mean > 0 else 0.0
    slope, r2, p_value = _line(y)
    kind: Literal["up", "down", "flat"] = "flat"
    if p_value is not None and p_value < SURE:
        kind = "up" if slope > 0 else "down"
    return Trend(
        slope=slope,
        type=kind,
        r2=r2,
        p_value=p_value,
        volatility=volatility,
        level="low" if volatility < CALM else "medium" if volatility < WILD else "high",
    )


def _line(y: Floats) -> tuple[float, float, float | None]:
    """Slope, r2 and the two-sided p of slope = 0 by Student's t; p is None where a line has no error to speak of."""
    d = len(y)
    if d < 2:
        return 0.0, 0.0, None
    x = np.arange(d) - (d - 1) / 2
    off = y - y.mean()
    spread, along = float(off @ off), float(x @ x)
    if spread <= 1e-18 * max(float(y @ y), 1e-300):
        return 0.0, 0.0, None if d < 3 else 1.0
    slope = float(x @ off) / along
    r2 = min(slope * slope * along / spread, 1.0)
    return slope, r2, None if d < 3 else _p_value(r2, d - 2)


def _p_value(r2: float, freedom: int) -> float:
    from scipy.special import stdtr

    if r2 >= 1.0:
        return 0.0
    return float(2 * stdtr(freedom, -math.sqrt(r2 * freedom / (1 - r2))))


def _statistics(ahead: Floats, past: Floats) -> dict[str, float | None]:
    before = past[-len(ahead) :]
    history_mean = float(past.mean()) if len(past) else None
    same_span = len(before) == len(ahead)
    return {
        "mean": float(ahead.mean()),
        "median": float(np.median(ahead)),
        "sd": float(ahead.std()),
        "min": float(ahead.min()),
        "max": float(ahead.max()),
        "total": float(ahead.sum()),
        "history_mean": history_mean,
        "total_before": float(before.sum()) if same_span else None,
    }


def _changes(ahead: Floats, past: Floats) -> list[DayChange]:
    before = np.concatenate([past[-1:], ahead[:-1]])
    first = len(ahead) - len(before)
    pairs = zip(before, ahead[first:], strict=True)
    return [
        DayChange(
            ahead=first + step + 1,
            change=float(now - then),
            percent=float((now - then) / then * 100) if then > 0 else None,
        )
        for step, (then, now) in enumerate(pairs)
    ]


def _strongest(factors: SalesExplanation) -> list[Factor]:
    moved = [(name, factors.values[name]) for name in factors.names if factors.values[name]]
    moved.sort(key=lambda pair: -abs(pair[1]))
    return [Factor(name=name, units=units) for name, units in moved[:_FACTORS]]


def _text(days: int, trend: Trend, past: Trend | None, numbers: dict[str, float | None], moved: list[Factor]) -> str:
    total, before = numbers["total"], numbers["total_before"]
    said = [f"{total:,.0f} pieces expected in {_days(days)}"]
    if before is not None:
        said[0] += f", {before:,.0f} sold in the {_days(days)} before"
    said[0] += "."
    if past is not None:
        said.append(f"Sales of late are {_WAYS[past.type]} and vary {_VARY[past.level]} from day to day.")
    ahead = f"The forecast is {_WAYS[trend.type]}"
    said.append(ahead + (f" by {abs(trend.slope):.2g} pieces a day." if trend.type != "flat" else "."))
    if moved:
        parts = [f"{factor.name} {factor.units:+,.1f}" for factor in moved]
        said.append(f"What moves it most, in pieces: {', '.join(parts)}.")
    return " ".join(said)


def _days(days: int) -> str:
    return "1 day" if days == 1 else f"{days} days"


_WAYS = {"up": "rising", "down": "falling", "flat": "neither rising nor falling"}
_VARY = {"low": "little", "medium": "a good deal", "high": "strongly"}
