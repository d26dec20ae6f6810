"""One slate with what made it: reasons, channels, parts of each value, candidates a channel, time a stage."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from shopkeeper.console import charts
from shopkeeper.console.names import titled
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.records import RecItem, RecResponse

_PLAIN = {"displayModeBar": False}


def show(slate: RecResponse, other: RecResponse | None, *, key: str) -> None:
    """`other`: the slate beside it, where each item's place there is told."""
    if slate.degraded:
        st.warning(plain(slate.explanation or say("degraded")))
    debug = slate.debug_info or {}
    parts: list[Mapping[str, float]] = debug.get("items") or []
    _table(slate.recommendations, parts, None if other is None else ids(other))
    st.caption(plain(_told(slate, debug)))
    named, times = st.columns(2)
    if debug.get("named"):
        with named:
            st.caption(say("candidates_by_channel", n=debug.get("candidates", 0)))
            counts = dict(sorted(debug["named"].items(), key=lambda pair: -pair[1]))
            _bars({name: float(count) for name, count in counts.items()}, "%{x:d}", f"{key}_named")
    with times:
        st.caption(say("stages"))
        _bars(slate.stages, "%{x:.1f}", f"{key}_stages")


def _bars(values: Mapping[str, float], numbers: str, key: str) -> None:
    figure = charts.bars(values)
    figure.update_traces(texttemplate=numbers)
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key=key)


def ids(slate: RecResponse) -> list[str]:
    return [item.item_id for item in slate.recommendations]


def shared(one: RecResponse, other: RecResponse) -> int:
    """How many items stand in both."""
    return len(set(ids(one)) & set(ids(other)))


def _told(slate: RecResponse, debug: Mapping[str, Any]) -> str:
    told = [say("slate_note", scenario=slate.scenario, ms=slate.latency_ms, version=slate.model_version or "–")]
    explored = debug.get("explored")
    if explored:
        slots = ", ".join(str(slot + 1) for slot in explored["slots"])
        told.append(say("drawn_note", policy=explored["policy"], slots=slots, number=explored["snapshot"]))
    tried = [f"{one['name']}: {one['variant']}" for one in debug.get("experiments") or []]
    if tried:
        told.append(say("tried_note", what=", ".join(tried)))
    return " · ".join(told)


def _table(items: list[RecItem], parts: list[Mapping[str, float]], other: list[str] | None) -> None:
    if not items:
        st.info(say("nothing_to_show"))
        return
    rows = []
    for place, item in enumerate(items):
        made = parts[place] if place < len(parts) else {}
        rows.append(_row(place + 1, item, made, other))
    st.dataframe(
        rows,
        hide_index=True,
        width="stretch",
        height=min(38 * (len(items) + 1), 620),
        column_config={say("confidence"): st.column_config.ProgressColumn(format="percent", min_value=0, max_value=1)},
    )


def _row(place: int, item: RecItem, made: Mapping[str, float], other: list[str] | None) -> dict[str, Any]:
    row: dict[str, Any] = {"#": place}
    if other is not None:
        row[say("place_beside")] = other.index(item.item_id) + 1 if item.item_id in other else None
    row[say("product")] = titled(item.metadata.get("name"), item.item_id)
    row[say("reason")] = item.explanation
    row[say("confidence")] = item.confidence
    row[say("channels")] = ", ".join(item.metadata.get("channels", []))
    if "propensity" in item.metadata:
        row[say("chance_drawn")] = item.metadata["propensity"]
    return {**row, **_parts(made)}


def _parts(made: Mapping[str, float]) -> dict[str, float]:
    """What made the value, in the words of the page; objectives bear the names that scenarios give them."""
    words = {"value": say("value"), "factor": say("factor"), "likeness": say("likeness")}
    return {words.get(name, name): number for name, number in made.items()}
