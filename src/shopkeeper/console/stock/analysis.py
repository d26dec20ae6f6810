"""The analysis of a prediction in sentences."""

from __future__ import annotations

from typing import Any

from shopkeeper.console.words import say


def lines(found: dict[str, Any], days: int) -> list[str]:
    """What is expected in all, how sales went, and where they go."""
    numbers, past, ahead = found["statistics"], found["past_trend"], found["trend"]
    total, before = f"{numbers['total']:,.0f}", numbers.get("total_before")
    told = [
        say("total_is", total=total, n=days)
        if before is None
        else say("totals_are", total=total, n=days, before=f"{before:,.0f}")
    ]
    if past is not None:
        told.append(say("past_is", trend=_trend(past), level=_level(past["level"])))
    return [*told, say("ahead_is", trend=_trend(ahead))]


def _trend(trend: dict[str, Any]) -> str:
    slope = f"{abs(trend['slope']):.2g}"
    if trend["type"] == "flat":
        return say("trend_flat")
    return say("trend_up", slope=slope) if trend["type"] == "up" else say("trend_down", slope=slope)


def _level(level: str) -> str:
    return {"low": say("level_low"), "medium": say("level_medium"), "high": say("level_high")}[level]
