"""A new experiment: what is tried against what is, by which metric, on how many people that needs."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest.question import listed
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError

_METRICS = ("conversion", "orders", "revenue", "click_rate", "reward")
_EXAMPLE = '{"objectives": {"relevance": 1, "novelty": 0.3}}'
_MODEL = '{"version": 2}'


def show(shop: ShopkeeperClient) -> None:
    plan, size = st.columns([3, 2], gap="large")
    with plan, told():
        _plan(shop)
    with size, told():
        _size(shop)


def _plan(shop: ShopkeeperClient) -> None:
    name = st.text_input(say("name"), key="draft_name").strip()
    kind, what = st.columns([1, 2], vertical_alignment="bottom")
    of = kind.segmented_control(
        say("tried"), ["scenario", "model"], default="scenario", key="draft_of",
        format_func=lambda one: say("scenario") if one == "scenario" else say("model"),
    )  # fmt: skip
    model = of == "model"
    names = [each.name for each in shop.models() if each.scope == "all"] if model else _scenarios(shop)
    target = what.selectbox(say("model") if model else say("scenario"), names, key=f"draft_{of}")
    st.caption(say("variants_note"))
    variants = []
    for place in range(2):
        title, fields = st.columns([1, 2])
        called = title.text_input(
            say("control") if place == 0 else say("variant"), ["as it is", "new"][place], key=f"draft_{place}_name"
        )
        example = (['{"version": 1}', _MODEL] if model else ["{}", _EXAMPLE])[place]
        text = fields.text_input(say("other_fields"), example, key=f"draft_{of}_{place}_config")
        variants.append((called.strip(), text))
    metric, share, least, days = st.columns([2, 1, 1, 1])
    goal = metric.selectbox(say("metric"), _METRICS, key="draft_metric", accept_new_options=True)
    part = share.number_input(say("share_of_users"), value=1.0, step=0.1, key="draft_share")
    sample = least.number_input(say("least_people"), value=1000, step=100, key="draft_sample")
    span = days.number_input(say("days"), value=30.0, step=1.0, key="draft_days")
    guards = listed(st.text_input(say("guards"), "", key="draft_guards", help=say("guards_help")))
    if st.button(say("make_draft"), type="primary", disabled=not (name and target), key="draft_make"):
        said = {
            "name": name, "target": {"model" if model else "scenario": target}, "metric": goal, "share": float(part),
            "min_sample": int(sample), "max_days": float(span), "guards": guards,
        }  # fmt: skip
        _make(shop, said, variants)


def _scenarios(shop: ShopkeeperClient) -> list[str]:
    return [str(one["name"]) for one in shop.scenarios()]


def _make(shop: ShopkeeperClient, said: dict[str, Any], variants: list[tuple[str, str]]) -> None:
    plans = []
    for called, text in variants:
        try:
            plans.append({"name": called, "config": json.loads(text) if text.strip() else {}})
        except ValueError as error:
            st.error(say("config_no_json", name=plain(called), why=plain(str(error))))
            return
    try:
        made = shop.create_experiment({**said, "variants": plans})
    except ShopkeeperError as error:
        st.error(plain(error.message))
        return
    st.session_state["experiment_made"] = made.experiment_id
    asking.tell("experiment", say("draft_made", name=plain(made.name)))
    st.rerun()


def _size(shop: ShopkeeperClient) -> None:
    """People in each variant, before anything is begun."""
    st.markdown(f"**{say('how_many_people')}**")
    base = st.number_input(say("rate_now"), 0.001, 0.999, 0.05, step=0.01, format="%.3f", key="size_base")
    effect = st.number_input(say("change_worth_finding"), 0.01, 10.0, 0.1, step=0.05, key="size_effect")
    needed = shop.sample_size(float(base), float(effect))
    st.metric(say("people_a_variant"), f"{needed:,}", help=say("people_help"))
