"""What the shop holds, and how whole it is."""

from __future__ import annotations

from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.frame import clock
from shopkeeper.console.words import say

_MB = 1e6


def show(shop: ShopkeeperClient) -> None:
    sets = shop.datasets()
    st.dataframe([_row(one) for one in sets], hide_index=True, width="stretch")
    for one in sets:
        if one["quality"] and one["rows"]:
            _quality(one)


def _row(one: dict[str, Any]) -> dict[str, Any]:
    return {
        say("name"): one["name"],
        say("rows"): one["rows"],
        say("megabytes"): "–" if one["bytes"] is None else f"{one['bytes'] / _MB:,.1f}",
        say("first_time"): clock(one["from"]),
        say("last_time"): clock(one["to"]),
    }


def _quality(one: dict[str, Any]) -> None:
    """Shares of the rows, as the server counts them."""
    names = {"with_user": say("with_customer"), "without_user": say("without_customer")}
    st.markdown(f"**{say('quality')}** · {one['name']}")
    for column, (name, count) in zip(st.columns(4), list(one["quality"].items())[:4], strict=False):
        share = f"{count / one['rows']:.1%}"
        column.metric(names.get(name, name), f"{count:,}", share, delta_color="off", delta_arrow="off")
