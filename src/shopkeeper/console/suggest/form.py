"""The fields of a scenario as a person edits them, and back as the server takes them. It checks; this does not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.suggest import asking_agent
from shopkeeper.console.suggest.question import listed
from shopkeeper.console.suggest.typed import parsed, rows
from shopkeeper.console.words import say

_CHANNELS = ("again", "due", "new", "together", "trending", "content", "context", "query", "meaning", "similar",
             "basket", "graph")  # fmt: skip
"""Those that need no model of their own; models of the shop come beside them, and any other name can be in use."""
_OBJECTIVES = ("relevance", "revenue", "popularity", "novelty", "freshness", "clearance", "stock")
_STAGES = ("total", "recall", "rank", "rerank", "explore", "explain")
_NOBODY = ""


def edited(shop: ShopkeeperClient, now: Mapping[str, Any], key: str) -> dict[str, Any]:
    """The scenario `now` with what was changed in the form, ready to be put."""
    about = st.text_input(say("description"), now["help"], key=f"{key}_help")
    recall, rules = st.columns([1, 1], gap="large")
    with recall:
        said: dict[str, Any] = {"recall": _recall(shop, now["recall"], key)}
    with rules:
        said["filters"] = _filters(now["filters"], key)
        said["boosts"] = _boosts(now["boosts"], key)
    said |= _order(shop, now, key)
    with st.expander(say("explore_slots"), icon=":material/casino:", expanded=bool(now["explore"])):
        said["explore"] = _explore(shop, now["explore"], key)
    agent = now.get("agent", {})
    with st.expander(say("asks_agent"), icon=":material/smart_toy:", expanded=bool(agent)):
        said["agent"] = asking_agent.asked(shop, agent, key)
    return {"help": about, **said}


def _recall(shop: ShopkeeperClient, now: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    st.markdown(f"**{say('recall')}**", help=say("recall_help"))
    used = [each["channel"] for each in now]
    names = list(dict.fromkeys([*used, *_CHANNELS, *_recall_models(shop)]))
    return rows(
        now,
        ("channel", "quota", "weight"),
        f"{key}_recall",
        channel=st.column_config.SelectboxColumn(say("channel"), options=names, required=True),
        quota=st.column_config.NumberColumn(say("quota"), default=60, step=1, help=say("quota_help")),
        weight=st.column_config.NumberColumn(say("weight"), default=1.0, help=say("channel_weight_help")),
    )


def _recall_models(shop: ShopkeeperClient) -> list[str]:
    return [model.name for model in shop.models(task="recall") if model.scope == "all"]


def _filters(now: list[str], key: str) -> list[str]:
    text = st.text_area(say("filters"), "\n".join(now), key=f"{key}_filters", help=say("filters_help"), height=150)
    return [line.strip() for line in text.splitlines() if line.strip()]


def _boosts(now: list[dict[str, Any]], key: str) -> list[dict[str, Any]]:
    st.markdown(f"**{say('boosts')}**", help=say("boosts_help"))
    return rows(
        now,
        ("rule", "factor"),
        f"{key}_boosts",
        rule=st.column_config.TextColumn(say("rule"), required=True, width="large"),
        factor=st.column_config.NumberColumn(say("factor"), default=1.5, step=0.1),
    )


def _order(shop: ShopkeeperClient, now: Mapping[str, Any], key: str) -> dict[str, Any]:
    one, two, three, four = st.columns([2, 1, 1, 1], vertical_alignment="bottom")
    models = [model.name for model in shop.models() if model.scope == "all" and model.task in ("ranking", "multitask")]
    own = now["ranker"] or _NOBODY
    rankers = list(dict.fromkeys([own, "home_ranker", *models, _NOBODY]))
    ranker = one.selectbox(
        say("ranker"), rankers, format_func=lambda name: name or say("no_ranker"), key=f"{key}_ranker",
        accept_new_options=True, help=say("ranker_help"),
    )  # fmt: skip
    candidates = two.number_input(say("candidates"), value=now["candidates"], step=10, key=f"{key}_candidates")
    diversity = three.number_input(
        say("diversity"), value=float(now["diversity"]), step=0.1, key=f"{key}_diversity", help=say("diversity_help")
    )
    ttl = four.number_input(
        say("kept_for"), value=float(now["ttl_s"]), step=60.0, key=f"{key}_ttl", help=say("kept_for_help")
    )
    anchored = st.toggle(say("anchored"), now["anchored"], key=f"{key}_anchored", help=say("anchored_help"))
    left, right = st.columns(2, gap="large")
    with left:
        st.markdown(f"**{say('objectives')}**", help=say("objectives_help"))
        objectives = _weights(now["objectives"], _OBJECTIVES, say("objective"), say("weight"), f"{key}_objectives")
    with right:
        st.markdown(f"**{say('deadlines')}**", help=say("deadlines_help"))
        deadlines = _weights(now["deadlines"], _STAGES, say("stage"), "ms", f"{key}_deadlines")
    return {
        "ranker": ranker or None, "candidates": int(candidates), "diversity": float(diversity), "ttl_s": float(ttl),
        "anchored": anchored, "objectives": objectives, "deadlines": deadlines,
    }  # fmt: skip


def _explore(shop: ShopkeeperClient, now: Mapping[str, Any], key: str) -> dict[str, Any]:
    one, two, three, four, five = st.columns([2, 1, 1, 1, 2])
    policies = list(dict.fromkeys([*filter(None, [now.get("policy")]), *(p["name"] for p in shop.bandit_policies())]))
    policy = one.selectbox(
        say("policy"), [_NOBODY, *policies], index=1 if now else 0, key=f"{key}_policy",
        format_func=lambda name: name or say("explores_not"),
    )  # fmt: skip
    share = two.number_input(
        say("share"), value=float(now.get("share", 0.1)), step=0.05, key=f"{key}_share", help=say("explore_share_help")
    )
    pool = three.number_input(say("pool"), value=int(now.get("pool", 20)), step=1, key=f"{key}_pool")
    floor = four.number_input(
        say("floor"), value=float(now.get("floor", 0.1)), step=0.05, key=f"{key}_floor", help=say("floor_help")
    )
    places = ", ".join(str(slot + 1) for slot in now.get("slots", []))
    slots = listed(five.text_input(say("slots"), places, key=f"{key}_slots", help=say("slots_help")))
    reads, own, kept = st.columns([3, 3, 1])
    context = listed(reads.text_input(say("policy_reads"), ", ".join(now.get("context", [])), key=f"{key}_context"))
    params = own.text_input(say("policy_params"), json.dumps(now.get("params", {})), key=f"{key}_params")
    held_out = kept.number_input(
        say("kept_to_measure"), value=float(now.get("held_out", 0.0)), step=0.05, key=f"{key}_held_out",
        help=say("kept_to_measure_help"),
    )  # fmt: skip
    if not policy:
        return {}
    return {
        **now, "policy": policy, "share": float(share), "pool": int(pool), "floor": float(floor),
        "slots": [int(slot) - 1 if slot.isdecimal() else slot for slot in slots], "context": context,
        "params": parsed(params), "held_out": float(held_out),
    }  # fmt: skip


def _weights(
    now: Mapping[str, float], names: Sequence[str], title: str, number: str, key: str
) -> dict[str, float | None]:
    found = rows(
        [{"name": name, "number": value} for name, value in now.items()],
        ("name", "number"),
        key,
        name=st.column_config.SelectboxColumn(title, options=list(dict.fromkeys([*now, *names])), required=True),
        number=st.column_config.NumberColumn(number, default=1.0),
    )
    return {row["name"]: row["number"] for row in found}
