"""Why the score is what it is: from the usual customer step by step to this one, and every rule with what it saw."""

from __future__ import annotations

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts
from shopkeeper.console.plain import plain
from shopkeeper.console.words import language, say
from shopkeeper.core.records import Explanation, RuleTrace

_PLAIN = {"displayModeBar": False}


def show(shop: ShopkeeperClient, user_id: str) -> None:
    found = shop.explain(user_id, lang="zh" if language() == "zh" else "en")
    picture, words = st.columns([3, 2], gap="large")
    with picture:
        figure = charts.score_steps(found.base_value, found.shap_values, found.final_score, _ends(found))
        st.plotly_chart(figure, width="stretch", config=_PLAIN, key="why_steps")
        st.caption(say("steps_note"))
    with words:
        st.markdown("\n".join(f"- {plain(sentence)}" for sentence in found.sentences))
    st.markdown(f"**{say('rules')}** · {say('rules_count', matched=found.rules_matched, total=found.rules_total)}")
    for rule in found.rule_details:
        _rule(rule)


def _ends(found: Explanation) -> tuple[str, str]:
    return say("usual_customer"), f"{say('score')} ({found.probability:.0%})"


def _rule(rule: RuleTrace) -> None:
    mark = ":green[✓]" if rule.matched else ":gray[–]"
    change = f"  \n:gray[{say('change', how=plain(rule.what_would_change))}]" if rule.what_would_change else ""
    st.markdown(f"{mark} **{plain(rule.name)}** ({rule.weight:+g}): {plain(rule.why)}{change}")
