"""Which model the page is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.words import say
from shopkeeper.core.records import ModelInfo, Version

_ALL = ""


def choose(shop: ShopkeeperClient) -> ModelInfo | None:
    """From a table of all models, or of those of one task."""
    everything = shop.models()
    tasks = [_ALL, *sorted({one.task for one in everything})]
    which, what = st.columns([1, 3])
    task = which.selectbox(say("task"), tasks, format_func=lambda task: task or say("any"), key="models_task")
    found = sorted(
        (one for one in everything if task in (_ALL, None, one.task)), key=lambda one: (one.task, one.name, one.scope)
    )
    if not found:
        st.info(say("no_models"))
        return None
    names = {(one.name, one.scope): one for one in found}
    chosen = what.selectbox(say("model"), list(names), format_func=title, key=f"models_chosen_{task}")
    rows = [_row(one) for one in found]
    st.dataframe(rows, hide_index=True, width="stretch", height=min(36 * (len(rows) + 1), 230))
    return names.get(chosen)


def title(pair: tuple[str, str]) -> str:
    return pair[0] if pair[1] == "all" else f"{pair[0]} · {pair[1]}"


def version(label: str, versions: Sequence[Version], key: str) -> Version | None:
    """One of several, by its number and names."""
    by_number = {one.version: one for one in versions}
    number = st.selectbox(label, list(by_number), format_func=lambda number: named(by_number.get(number)), key=key)
    return by_number.get(number)


def named(one: Version | None) -> str:
    if one is None:
        return "–"
    return f"v{one.version}" + (f" · {', '.join(one.aliases)}" if one.aliases else "")


def _row(one: ModelInfo) -> dict[str, Any]:
    aliases = dict(one.aliases)
    serving = aliases.pop("champion", None)
    return {
        say("task"): one.task,
        say("model"): one.name,
        say("scope"): one.scope,
        say("algorithm"): one.algorithm,
        say("champion"): "–" if serving is None else f"v{serving}",
        say("aliases"): ", ".join(f"{name} v{number}" for name, number in sorted(aliases.items())),
        say("versions"): one.versions,
    }
