"""What an agent would do: how often each action is the best one, and state by state where there are few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts
from shopkeeper.console.words import say

_FEW = 60
_LOOKED_AT = 1000
_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient, agent: Mapping[str, Any], scenarios: Sequence[Mapping[str, Any]]) -> None:
    found = shop.agent_policy(str(agent["agent_id"]), limit=_LOOKED_AT)
    st.markdown(f"**{say('what_it_does')}**")
    if not found["policy"] or not agent["updates"]:
        st.caption(say("nothing_learned_yet"))
        return
    names = _names(int(agent["config"]["action_size"]), scenarios)
    looked, total = len(found["policy"]), int(found["total"])
    st.caption(say("best_in_states", n=f"{looked:,}", total=f"{total:,}"))
    counts = Counter(found["policy"])
    shown = [action for action in range(len(names)) if counts[action] or len(names) <= 8]
    figure = charts.bars({names[action]: float(counts[action]) for action in shown})
    figure.update_traces(texttemplate="%{x:d}")
    figure.update_yaxes(type="category")  # a name that is a number is a name
    st.plotly_chart(figure, width="stretch", config=_PLAIN, key=f"policy_{agent['agent_id']}")
    if total <= _FEW:
        st.dataframe(_rows(found, names), hide_index=True, width="stretch", height=280)


def _names(size: int, scenarios: Sequence[Mapping[str, Any]]) -> list[str]:
    """Of each action its number and, where all who ask call it the same, its name."""
    called = {tuple(str(one["name"]) for one in each["agent"].get("actions", ())) for each in scenarios}
    names = next(iter(called)) if len(called) == 1 else ()
    return [f"{action} · {names[action]}" if action < len(names) else str(action) for action in range(size)]


def _rows(found: Mapping[str, Any], names: Sequence[str]) -> list[dict[str, Any]]:
    values = found["q_table"] or [[]] * len(found["policy"])
    return [
        {
            say("best_action"): names[action],
            **{name: round(float(value), 3) for name, value in zip(names, worth, strict=False)},
            say("state_numbers"): " ".join(f"{number:.3g}" for number in state),
        }
        for state, action, worth in zip(found["states"], found["policy"], values, strict=True)
    ]
