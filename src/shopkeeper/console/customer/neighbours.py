"""Who and what a customer is joined to in the graph, drawn around them: the stronger, the nearer."""

from __future__ import annotations

import math
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts
from shopkeeper.console.names import item_names
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound

_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient, user_id: str) -> None:
    number = int(st.slider(say("neighbours"), 5, 60, 25, key="neighbours_n"))
    try:
        found = shop.graph_neighbors("user", user_id, limit=number)
    except NotFound as error:
        st.info(plain(error.message))
        return
    if not found:
        st.info(say("no_neighbours"))
        return
    names = item_names(shop, [one["node"] for one in found if one["type"] in ("product", "app", "item")])
    points = _placed(found, names)
    st.plotly_chart(charts.network(user_id, points), width="stretch", config=_PLAIN, key="neighbours")
    st.dataframe(
        [
            {
                say("target"): names.get(one["node"], one["node"]),
                say("kind"): one["type"],
                say("relation"): one["relation"],
                say("weight"): one["weight"],
                say("time"): str(one["time"] or "–")[:19].replace("T", " "),
            }
            for one in found
        ],
        hide_index=True,
        width="stretch",
    )


def _placed(found: list[dict[str, Any]], names: dict[str, str]) -> list[charts.Neighbour]:
    """Around a circle, those of one kind beside one another; near means a large weight."""
    ordered = sorted(found, key=lambda one: (one["type"], one["relation"], -float(one["weight"])))
    most = max(float(one["weight"]) for one in ordered)
    points = []
    for place, one in enumerate(ordered):
        angle = 2 * math.pi * place / len(ordered)
        far = 1.0 - 0.55 * math.sqrt(float(one["weight"]) / most)
        label = names.get(one["node"], one["node"])
        points.append(
            charts.Neighbour(label, one["type"], one["relation"], far * math.cos(angle), far * math.sin(angle))
        )
    return points
