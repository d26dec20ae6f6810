"""The versions of a model: how good each is, where it comes from, and which one serves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, gates
from shopkeeper.console.connection import told
from shopkeeper.console.frame import clock
from shopkeeper.console.models import anew
from shopkeeper.console.models.chosen import version as choose
from shopkeeper.console.models.trying import past_the_gate
from shopkeeper.console.words import say
from shopkeeper.core.records import ModelInfo, Version

_MOST_MEASURES = 4


def show(shop: ShopkeeperClient, model: ModelInfo) -> None:
    versions = shop.versions(model.name, scope=model.scope)
    names = _shown_measures(versions)
    rows = [_row(one, names) for one in versions]
    st.dataframe(rows, hide_index=True, width="stretch", height=min(36 * (len(rows) + 1), 260))
    asking.notice("models")
    left, right = st.columns([3, 2], gap="large")
    with left, told():
        one = choose(say("version"), versions, f"models_version_{model.name}_{model.scope}")
        if one is None:
            return
        _moves(shop, model, one)
        gates.show(one.gate)
        champion = next((each.metrics for each in versions if "champion" in each.aliases and each is not one), None)
        gates.measures(one.metrics, champion, one.gate)
        anew.show(shop, one, versions)
    with right, told():
        _lineage(one)


def _moves(shop: ShopkeeperClient, model: ModelInfo, one: Version) -> None:
    """What may be done with the version; the reason that is given is kept with the change."""
    key = f"models_{model.name}_{model.scope}_{one.version}"
    reason = st.text_input(say("why_change"), key=f"{key}_reason", help=say("why_change_help"))
    promote, back = st.columns(2)
    serves = "champion" in one.aliases
    ready = one.status == "ready"
    asked = promote.button(
        say("promote"), type="primary", disabled=serves or not ready, key=f"{key}_up", width="stretch"
    )
    if asked and past_the_gate(lambda force: _promoted(shop, one, reason, force=force)):
        st.rerun()
    previous = model.aliases.get("previous")
    if back.button(say("roll_back"), disabled=previous is None, key=f"{key}_back", width="stretch"):
        question = say("roll_back_sure", model=model.name, now=model.aliases.get("champion", "–"), then=previous)
        asking.confirm(question, lambda: _rolled_back(shop, model, reason))


def _promoted(shop: ShopkeeperClient, one: Version, reason: str, *, force: bool) -> None:
    moved = shop.promote(one.model, one.version, force=force, reason=reason, scope=one.scope)
    asking.tell("models", say("now_serves", model=one.model, version=moved["new_version"]))


def _rolled_back(shop: ShopkeeperClient, model: ModelInfo, reason: str) -> None:
    moved = shop.rollback(model.name, reason=reason, scope=model.scope)
    asking.tell("models", say("now_serves", model=model.name, version=moved["new_version"]))


def _lineage(one: Version) -> None:
    """Job, rows, parameters, features and files."""
    about = {
        say("trained_by"): one.job_id or "–",
        say("made_by"): one.created_by or "–",
        say("time"): clock(None if one.created_at is None else one.created_at.isoformat()),
        say("algorithm"): one.algorithm,
        **({say("rows"): f"{one.data['rows']:,}"} if isinstance(one.data.get("rows"), int) else {}),
        **({say("went_on_from"): f"v{one.data['start_from']}"} if one.data.get("start_from") else {}),
        say("program"): one.code_version or "–",
    }
    rows = [{say("field"): name, say("value"): value} for name, value in about.items()]
    st.dataframe(rows, hide_index=True, width="stretch")
    for title, value in ((say("model_params"), one.params), (say("model_rows"), one.data)):
        with st.expander(title):
            st.json(value, expanded=1)
    with st.expander(say("features_n", n=len(one.feature_names))):
        st.code("\n".join(one.feature_names) or "–", language=None)
    with st.expander(say("files_n", n=len(one.files))):
        files = [{say("name"): file.name, say("bytes"): file.bytes, "SHA-256": file.sha256} for file in one.files]
        st.dataframe(files, hide_index=True, width="stretch")


def _shown_measures(versions: Sequence[Version]) -> list[str]:
    """Those that the gate judged by."""
    judged = [name for one in versions for name in gates.judged_by(one.gate) if name in one.metrics]
    return list(dict.fromkeys(judged))[:_MOST_MEASURES]


def _row(one: Version, names: Sequence[str]) -> dict[str, Any]:
    return {
        say("version"): f"v{one.version}" + (" ★" if "champion" in one.aliases else ""),
        say("aliases"): ", ".join(one.aliases),
        say("algorithm"): one.algorithm,
        **{name: _rounded(one.metrics.get(name)) for name in names},
        say("gate_said"): gates.verdict(one.gate),
        say("state"): one.status,
        say("time"): clock(None if one.created_at is None else one.created_at.isoformat()),
        say("made_by"): one.created_by,
    }


def _rounded(value: Any) -> float | None:
    return round(float(value), 4) if isinstance(value, int | float) else None
