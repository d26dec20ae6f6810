"""Which agent a scenario asks, between which actions, to note its choice or to follow it. The server checks it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.agents.called import called
from shopkeeper.console.suggest.typed import parsed, rows
from shopkeeper.console.words import say

_NOBODY = ""
_MOST = 200
_SHARE = 0.1
_EXAMPLE = {"objectives": {"relevance": 1, "novelty": 0.5}}


def asked(shop: ShopkeeperClient, now: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The scenario's field `agent` as it stands in the form; {}: nobody is asked."""
    known = {str(one["agent_id"]): one for one in shop.agents(limit=_MOST).items}
    own = str(now.get("agent_id", _NOBODY))
    ids = list(dict.fromkeys([_NOBODY, own, *known]))
    one, two, three = st.columns([4, 2, 1])
    who = one.selectbox(
        say("which_agent"), ids, ids.index(own), key=f"{key}_agent", help=say("which_agent_help"),
        format_func=lambda id: _titled(id, known),
    )  # fmt: skip
    if not who:
        st.caption(say("asks_agent_note") if known else say("no_agents_to_ask"))
        return {}
    modes = {"shadow": say("agent_shadow"), "steer": say("agent_steer")}
    first = list(modes).index(now.get("mode", "shadow"))
    mode = two.selectbox(
        say("agent_mode"), list(modes), first, format_func=modes.__getitem__, key=f"{key}_agent_mode",
        help=say("agent_mode_help"),
    )  # fmt: skip
    share = three.number_input(
        say("share"), value=float(now.get("share", _SHARE)), step=0.05, key=f"{key}_agent_share",
        help=say("agent_share_help"),
    )  # fmt: skip
    return {"agent_id": who, "mode": mode, "share": float(share), "actions": _actions(now, key)}


def _actions(now: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    st.markdown(f"**{say('actions')}**", help=say("actions_help"))
    given = now.get("actions") or [{"name": say("as_it_is")}, {"name": say("new"), "config": _EXAMPLE}]
    found = rows(
        [{"name": one["name"], "config": _text(one.get("config"))} for one in given],
        ("name", "config"),
        f"{key}_actions",
        name=st.column_config.TextColumn(say("name"), required=True),
        config=st.column_config.TextColumn(say("other_fields"), width="large"),
    )
    return [{"name": row["name"], "config": parsed(row["config"] or "")} for row in found]


def _text(config: Mapping[str, Any] | None) -> str:
    return json.dumps(config, ensure_ascii=False) if config else ""


def _titled(agent_id: str, known: Mapping[str, Mapping[str, Any]]) -> str:
    if not agent_id:
        return say("asks_nobody")
    return called(known[agent_id]) if agent_id in known else say("agent_gone", id=agent_id)
