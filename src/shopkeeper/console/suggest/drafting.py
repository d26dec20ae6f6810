"""A plan of an experiment, new or changed: what is tried against what is, by which metric, on whom."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest import participants, sizing, trials
from shopkeeper.console.words import say
from shopkeeper.core.errors import Invalid, ShopkeeperError
from shopkeeper.core.experiments import Experiment, Guard

METRICS = ("conversion", "orders", "revenue", "click_rate", "reward")


def show(shop: ShopkeeperClient, one: Experiment | None = None) -> None:
    """The form and, beside it, how many people it needs. `one`: the draft that is said anew."""
    plan, size = st.columns([3, 2], gap="large")
    with plan, told():
        _plan(shop, one)
    with size, told():
        sizing.show(shop)


def _plan(shop: ShopkeeperClient, one: Experiment | None) -> None:
    key = "draft" if one is None else f"draft_{one.experiment_id}_{one.version}"
    name = st.text_input(say("name"), "" if one is None else one.name, key=f"{key}_name").strip()
    target, variants = trials.fields(shop, key, one)
    metric, better = st.columns(2)
    share, least, days = st.columns(3)
    known = list(METRICS) if one is None or one.metric in METRICS else [*METRICS, one.metric]
    goal = metric.selectbox(
        say("metric"), known, 0 if one is None else known.index(one.metric), key=f"{key}_metric",
        accept_new_options=True, help=say("metric_help"),
    )  # fmt: skip
    said: dict[str, Any] = {
        "name": name,
        "target": target,
        "metric": goal,
        "better": _direction(better, f"{key}_better", "up" if one is None else one.better),
        "share": float(share.number_input(
            say("share_of_users"), value=1.0 if one is None else one.share, step=0.1, key=f"{key}_share")),
        "min_sample": int(least.number_input(
            say("least_people"), value=1000 if one is None else one.min_sample, step=100, key=f"{key}_sample")),
        "max_days": float(days.number_input(
            say("days"), value=30.0 if one is None else one.max_days, step=1.0, key=f"{key}_days")),
        "guards": _guards(key, one),
    }  # fmt: skip
    with st.expander(say("more_of_it"), icon=":material/tune:"):
        said |= _deciding(key, one)
        who = participants.fields(key, one, [str(each["name"]) for each in variants])
    ready = bool(name and target)
    if st.button(say("make_draft") if one is None else say("save"), type="primary", disabled=not ready,
                 key=f"{key}_make"):  # fmt: skip
        _made(shop, one, {**said, **who}, variants)


def _direction(place: Any, key: str, now: str) -> str:
    words = {"up": say("more_is_better"), "down": say("less_is_better")}
    chosen = place.selectbox(say("better"), list(words), list(words).index(now), format_func=words.__getitem__, key=key)
    return str(chosen)


def _guards(key: str, one: Experiment | None) -> list[dict[str, Any]]:
    """Metrics that must not get worse, each with its direction and how much worse it may be."""
    given = [each if isinstance(each, Guard) else Guard(metric=each) for each in ([] if one is None else one.guards)]
    before = {each.metric: each for each in given}
    names = list(dict.fromkeys([*METRICS, *before]))
    chosen = st.multiselect(
        say("guards"), names, list(before), key=f"{key}_guards", help=say("guards_help"), accept_new_options=True
    )
    found = []
    for metric in chosen:
        now = before.get(metric, Guard(metric=metric))
        title, better, tolerance = st.columns([2, 2, 2], vertical_alignment="bottom")
        title.markdown(plain(metric))
        direction = _direction(better, f"{key}_guard_{metric}_better", now.better)
        worse = tolerance.number_input(
            say("tolerance_percent"), value=100 * now.tolerance, step=1.0, format="%g", key=f"{key}_guard_{metric}_by",
            help=say("tolerance_help"),
        )  # fmt: skip
        found.append({"metric": metric, "better": direction, "tolerance": round(float(worse) / 100, 6)})
    return found


def _deciding(key: str, one: Experiment | None) -> dict[str, Any]:
    """When it is decided and how sure that is."""
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    before_place, early_place = st.columns([1, 2], vertical_alignment="bottom")
    ways = {"sequential": say("decide_any_day"), "fixed": say("decide_at_end")}
    decide = left.selectbox(
        say("decide"), list(ways), list(ways).index("sequential" if one is None else one.decide),
        format_func=ways.__getitem__, key=f"{key}_decide", help=say("decide_help"),
    )  # fmt: skip
    sure = middle.number_input(
        say("sureness"), value=0.95 if one is None else one.confidence, step=0.01, key=f"{key}_confidence",
        help=say("sureness_help"),
    )  # fmt: skip
    effect = right.number_input(
        say("change_worth_finding"), value=0.05 if one is None else one.effect, step=0.01, key=f"{key}_effect"
    )
    before = before_place.number_input(
        say("days_before"), value=0.0 if one is None else one.before_days, step=1.0, format="%g", key=f"{key}_before",
        help=say("days_before_help"),
    )  # fmt: skip
    early = early_place.toggle(say("ends_early"), one is not None and one.ends_early, key=f"{key}_early")
    return {
        "decide": decide, "confidence": float(sure), "effect": float(effect), "before_days": float(before),
        "ends_early": early,
    }  # fmt: skip


def _made(shop: ShopkeeperClient, one: Experiment | None, said: dict[str, Any], variants: list[dict[str, Any]]) -> None:
    try:
        plan = {**said, "variants": [{**each, "config": _config(each)} for each in variants]}
        if one is None:
            made = shop.create_experiment(plan)
            st.session_state["experiment_made"] = made.experiment_id
        else:
            made = shop.change_experiment(one.experiment_id, plan, if_version=one.version)
    except ShopkeeperError as error:
        st.error(say("lost_race") if error.code == "stale" else plain(error.message))
        return
    asking.tell("experiment", say("draft_made", name=plain(made.name)))
    st.rerun()


def _config(variant: dict[str, Any]) -> Any:
    """What was typed as JSON. Raises Invalid."""
    config = variant["config"]
    if not isinstance(config, str):
        return config
    try:
        return json.loads(config) if config.strip() else {}
    except ValueError as error:
        name = str(variant["name"])
        raise Invalid(say("config_no_json", name=name, why=error), code="bad_config", field="config") from error
