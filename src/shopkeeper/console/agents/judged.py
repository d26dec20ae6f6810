"""Which scenarios ask an agent, and whether it may steer them: its newest verdict, and judging it anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.frame import clock
from shopkeeper.console.models.trying import tried
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say

_COLOURS = {"PROMOTE": "green", "HOLD": "orange", "REJECT": "red"}


def show(shop: ShopkeeperClient, agent: Mapping[str, Any], scenarios: Sequence[Mapping[str, Any]]) -> None:
    """Also the verdicts of scenarios that have asked it once."""
    verdicts = {str(one["scenario"]): one for one in agent["verdicts"]}
    asks = {str(one["name"]): one["agent"] for one in scenarios}
    st.markdown(f"**{say('asked_by_scenarios')}**", help=say("asked_by_help"))
    if not asks:
        st.caption(say("asked_by_none"))
    for name in dict.fromkeys([*asks, *verdicts]):
        with st.container(border=True):
            _scenario(shop, str(agent["agent_id"]), name, asks.get(name), verdicts.get(name))


def _scenario(
    shop: ShopkeeperClient,
    agent_id: str,
    name: str,
    asked: Mapping[str, Any] | None,
    verdict: Mapping[str, Any] | None,
) -> None:
    st.markdown(f"**{plain(name)}** · {plain(_asked(asked))}")
    if verdict is None:
        st.caption(say("never_judged"))
    else:
        _verdict(verdict)
    if asked is not None and st.button(say("judge_agent", name=plain(name)), key=f"{agent_id}_{name}_judge"):
        found: dict[str, Any] = {}
        if tried(lambda: found.update(shop.judge_agent(agent_id, name))):
            asking.tell("agent", say("agent_judged", name=plain(name), verdict=in_words(str(found["verdict"]))))
            st.rerun()


def _asked(asked: Mapping[str, Any] | None) -> str:
    if asked is None:
        return say("asks_no_more")
    mode = say("agent_steers") if asked.get("mode") == "steer" else say("agent_in_shadow")
    names = ", ".join(str(one["name"]) for one in asked.get("actions", ()))
    return say("asks_so", mode=mode, share=f"{float(asked.get('share', 0.1)):.0%}", names=names)


def _verdict(found: Mapping[str, Any]) -> None:
    verdict = str(found["verdict"])
    reasons = "\n".join(f"- {plain(str(reason))}" for reason in found["reasons"])
    st.markdown(f":{_COLOURS.get(verdict, 'gray')}-badge[{in_words(verdict)}]\n\n{reasons}")
    tiles = st.columns(3)
    tiles[0].metric(say("clicks_with_it"), f"{found['value']:.2f}", help=say("clicks_with_it_help"))
    tiles[1].metric(say("clicks_as_it_was"), f"{found['logged']:.2f}")
    tiles[2].metric(say("gain_sure"), f"{found['gain_low']:+.2f} … {found['gain_high']:+.2f}")
    told = say("judged_from", visits=f"{found['visits']:,}", effective=f"{found['effective']:,.0f}",
               at=clock(found["judged_at"]))  # fmt: skip
    st.caption(plain(told))


def in_words(verdict: str) -> str:
    """Whether it may steer."""
    words = {"PROMOTE": say("may_steer"), "HOLD": say("may_steer_unknown"), "REJECT": say("may_not_steer")}
    return words.get(verdict, verdict)
