"""One customer: who they are, why the score says so, and what to show them now."""

from __future__ import annotations

import re
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts
from shopkeeper.console.connection import client, told
from shopkeeper.console.words import language, say
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Explanation, RuleTrace


def page() -> None:
    with told():
        shop = client()
        user_id = st.text_input(say("find_customer"), value=_somebody(shop), key="user_id").strip()
        if not user_id:
            return
        try:
            profile = shop.profile(user_id)
        except NotFound:
            st.info(say("no_customer", id=user_id))
            return
        left, right = st.columns([5, 6], gap="large")
        with left:
            if profile["scores"] is None:
                st.subheader(f"{say('profile')} · {profile['user_id']}")
                st.info(say("private"))
            else:
                _profile(profile, shop.explain(user_id, lang="zh" if language() == "zh" else "en"))
        with right, told():
            _slate(shop, user_id)


def _somebody(shop: ShopkeeperClient) -> str:
    """The customer of the newest event that has one: something to look at when the page opens."""
    if "somebody" not in st.session_state:
        recent = (event.user_id for event in shop.events(limit=50).items)
        st.session_state["somebody"] = next((user for user in recent if user), "")
    return str(st.session_state["somebody"])


def _profile(profile: dict[str, Any], explanation: Explanation) -> None:
    st.subheader(f"{say('profile')} · {profile['user_id']}")
    segments = [entry if isinstance(entry, str) else entry["segment"] for entry in profile.get("segments", [])]
    st.markdown(" ".join(f":blue-badge[{name}]" for name in segments) or f":gray-badge[{say('no_segments')}]")
    score, chance = st.columns(2)
    score.metric(say("score"), f"{explanation.final_score:+.2f}")
    learned = explanation.game != "rules"
    chance.metric(say("will_order") if learned else say("probability"), f"{explanation.probability:.0%}")
    st.markdown(f"**{say('why')}**")
    if learned:
        st.markdown("\n".join(f"- {_plain(sentence)}" for sentence in explanation.sentences[1:]))
    moved = {name: value for name, value in explanation.shap_values.items() if value}
    if moved:
        st.plotly_chart(charts.contributions(moved), width="stretch", config={"displayModeBar": False})
    st.markdown(f"**{say('rules')}**")
    for rule in explanation.rule_details:
        _rule(rule)
    st.markdown(f"**{say('windows')}**")
    st.dataframe(_windows(profile.get("windows", {})), hide_index=True, width="stretch")
    st.markdown(f"**{say('attributes')}**")
    st.dataframe(_pairs(profile.get("attributes", {})), hide_index=True, width="stretch", height=240)


def _rule(rule: RuleTrace) -> None:
    mark = ":green[✓]" if rule.matched else ":gray[–]"
    change = f"  \n:gray[{say('change', how=_plain(rule.what_would_change))}]" if rule.what_would_change else ""
    st.markdown(f"{mark} **{rule.name}** ({rule.weight:+g}): {_plain(rule.why)}{change}")


def _plain(text: str) -> str:
    """A condition as text, not as Markdown."""
    return re.sub(r"([*_~`$\[\]<>])", r"\\\1", text)


def _windows(windows: dict[str, Any]) -> list[dict[str, Any]]:
    """One row a measure, one column a window: five columns fit where ten do not."""
    measured = {name: _measures(window) for name, window in windows.items() if "counts" in window}
    names = dict.fromkeys(name for window in measured.values() for name in window)
    return [{say("window"): name, **{at: window.get(name, 0) for at, window in measured.items()}} for name in names]


def _measures(window: dict[str, Any]) -> dict[str, float]:
    counts = {f"events: {name}": n for name, n in window["counts"].items()}
    return counts | {name: value for name, value in window.items() if isinstance(value, int | float)}


def _pairs(values: dict[str, Any]) -> list[dict[str, str]]:
    return [{" ": name, "  ": _short(value)} for name, value in values.items()]


def _short(value: Any) -> str:
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _slate(shop: ShopkeeperClient, user_id: str) -> None:
    st.subheader(say("slate"))
    scenario = st.selectbox(say("scenario"), ["home", "product", "content"], key="scenario")
    answer = shop.recommend(user_id, 10, scenario=scenario)
    if answer.degraded:
        st.warning(say("degraded"))
    for entry in answer.recommendations:
        name = entry.metadata.get("name") or entry.item_id
        chance = "" if entry.confidence is None else f" · {say('confidence')} {entry.confidence:.0%}"
        st.markdown(f"**{name}** `{entry.item_id}`{chance}  \n:gray[{entry.explanation}]")
    st.caption(say("slate_note", scenario=answer.scenario, ms=answer.latency_ms, version=answer.model_version or "–"))
