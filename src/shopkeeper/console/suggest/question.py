"""What a slate on trial is asked beside who and where: what the page is about, and what may appear."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.words import say
from shopkeeper.core.records import RecFilters

_READS_WORDS = frozenset({"query", "meaning", "context"})
_BETWEEN = re.compile(r"[\s,;]+")


def about(scenarios: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Items of the page, and words that are looked for: asked only where one of the scenarios reads them."""
    channels = {each["channel"] for one in scenarios for each in one["recall"]}
    context: dict[str, Any] = {}
    items, words = st.columns(2)
    if any(one["anchored"] for one in scenarios):
        ids = listed(items.text_input(say("page_items"), key="trial_items", help=say("ids_help")))
        if len(ids) == 1:
            context["item_id"] = ids[0]
        if ids:
            context["item_ids"] = ids
    if channels & _READS_WORDS:
        query = words.text_input(say("looked_for"), key="trial_query").strip()
        if query:
            context["query"] = query
    return context


def narrowed(shop: ShopkeeperClient) -> RecFilters | None:
    """Filters of this question alone; None: none."""
    with st.expander(say("only_such"), icon=":material/filter_alt:"):
        left, low, high, out = st.columns([3, 1, 1, 2])
        categories = left.multiselect(
            say("category"), _categories(shop), key="trial_categories", accept_new_options=True,
            placeholder=say("any"),
        )  # fmt: skip
        least = low.number_input(say("price_from"), 0.0, value=None, key="trial_price_min", placeholder=say("any"))
        most = high.number_input(say("price_to"), 0.0, value=None, key="trial_price_max", placeholder=say("any"))
        excluded = listed(out.text_input(say("without_items"), key="trial_excluded", help=say("ids_help")))
    if not categories and least is None and most is None and not excluded:
        return None
    return RecFilters(categories=categories or None, price_min=least, price_max=most, exclude_items=excluded)


def listed(text: str) -> list[str]:
    """Ids with commas or blanks between them."""
    return [part for part in _BETWEEN.split(text) if part]


def _categories(shop: ShopkeeperClient) -> list[str]:
    """Those of the first thousand items; any other can be typed."""
    if "trial_known_categories" not in st.session_state:
        found = {item.category for item in shop.items(limit=1000).items if item.category}
        st.session_state["trial_known_categories"] = sorted(found)
    known: list[str] = st.session_state["trial_known_categories"]
    return known
