"""Making an agent: the fields of the door, those that count for its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.agents.measuring import SESSION
from shopkeeper.console.fields import described, fields
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest.question import listed
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Unavailable

_DOOR = "/api/v1/qlearning/agents"
_FIRST = ("agent_type", "state_size", "action_size", "gamma", "learning_rate", "seed")
_EXPLORING = ("states", "epsilon", "epsilon_decay", "epsilon_min", "buffer_size", "batch_size")
_OF_TABLES = ("replays", "bins", "low", "high", "initial_value")
_OF_NETS = ("target_every",)
_SURPRISE = ("priority_alpha", "priority_beta")
_HIDDEN = "64, 64"


def show(shop: ShopkeeperClient, made: str) -> None:
    """The id of the agent that was made is kept in the session under `made`."""
    rules = described(shop, _DOOR)
    st.caption(say("make_agent_note"))
    form = fields("agent", rules, _FIRST, given=SESSION)
    if st.toggle(say("finer"), key="agent_finer"):
        form |= _finer(rules, tabular=form["agent_type"] == "tabular")
    if st.button(say("make_agent"), type="primary", key="agent_make"):
        try:
            found = shop.create_agent(**form)
        except Unavailable:
            raise
        except ShopkeeperError as error:
            st.error(plain(error.message))
            return
        st.session_state[made] = found["agent_id"]
        asking.tell("agent", say("agent_is_made", id=plain(found["agent_id"])))
        st.rerun()


def _finer(rules: Mapping[str, Mapping[str, Any]], *, tabular: bool) -> dict[str, Any]:
    form = fields("agent", rules, (*_EXPLORING, *(_OF_TABLES if tabular else _OF_NETS)), given=SESSION)
    if not tabular:
        layers = listed(st.text_input(say("hidden_layers"), _HIDDEN, key="agent_hidden", help=say("hidden_help")))
        form["hidden"] = [int(one) if one.isdecimal() else one for one in layers]
    form |= fields("agent", rules, ("prioritized",), columns=1)
    if form.get("prioritized"):
        form |= fields("agent", rules, _SURPRISE)
    return form
