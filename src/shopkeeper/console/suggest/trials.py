"""What an experiment tries: a scenario or a model, and its variants with their weights."""

from __future__ import annotations

import json
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.words import say
from shopkeeper.core.experiments import MOST_VARIANTS, Experiment, VariantPlan

_EXAMPLE = {"objectives": {"relevance": 1, "novelty": 0.3}}


def fields(shop: ShopkeeperClient, key: str, one: Experiment | None) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The target and the variants; a config is a dict, or the JSON that a person typed. {} where there is no target."""
    kind, what, many = st.columns([5, 6, 3], vertical_alignment="bottom")
    now = "model" if one is not None and one.target.model is not None else "scenario"
    of = kind.segmented_control(
        say("tried"), ["scenario", "model"], default=now, key=f"{key}_of",
        format_func=lambda one: say("scenario") if one == "scenario" else say("model"),
    )  # fmt: skip
    model = of == "model"
    targets = _models(shop) if model else [{"scenario": str(each["name"])} for each in shop.scenarios()]
    held = None if one is None else _target(one)
    chosen = what.selectbox(
        say("model") if model else say("scenario"), targets, targets.index(held) if held in targets else 0,
        format_func=_called, key=f"{key}_{of}",
    )  # fmt: skip
    given = [] if one is None else list(one.variants)
    number = many.number_input(say("how_many_variants"), 2, MOST_VARIANTS, len(given) or 2, step=1, key=f"{key}_number")
    st.caption(say("variants_note"))
    versions = _versions(shop, chosen) if model and chosen else []
    variants = [
        _variant(f"{key}_{of}", place, given[place] if place < len(given) and of == now else None, versions)
        for place in range(int(number))
    ]
    return dict(chosen or {}), variants


def _variant(key: str, place: int, given: VariantPlan | None, versions: list[int]) -> dict[str, Any]:
    title, weight, config = st.columns([5, 3, 12], vertical_alignment="bottom")
    usual = say("as_it_is") if place == 0 else say("new") if place == 1 else f"{say('new')} {place}"
    name = title.text_input(
        say("control") if place == 0 else say("variant"),
        usual if given is None else given.name,
        key=f"{key}_{place}_name",
    )
    part = weight.number_input(
        say("weight"), 0.0, value=1.0 if given is None else given.weight, step=None, format="%g",
        key=f"{key}_{place}_weight",
    )  # fmt: skip
    found = {"name": name.strip(), "weight": float(part)}
    if versions:
        held = None if given is None else given.config.get("version")
        at = versions.index(held) if held in versions else min(place, len(versions) - 1)
        number = config.selectbox(
            say("version"), versions, at, format_func=lambda one: f"v{one}", key=f"{key}_{place}_version"
        )
        return {**found, "config": {"version": number}}
    example = {} if place == 0 else _EXAMPLE
    text = json.dumps(example if given is None else given.config, ensure_ascii=False)
    return {**found, "config": config.text_input(say("other_fields"), text, key=f"{key}_{place}_config")}


def _models(shop: ShopkeeperClient) -> list[dict[str, str]]:
    return [{"model": one.name, "scope": one.scope} for one in shop.models()]


def _versions(shop: ShopkeeperClient, target: dict[str, str]) -> list[int]:
    """Oldest first, of those whose files are there."""
    found = shop.versions(target["model"], scope=target["scope"])
    return sorted(one.version for one in found if one.status == "ready")


def _target(one: Experiment) -> dict[str, str]:
    if one.target.scenario is not None:
        return {"scenario": one.target.scenario}
    return {"model": str(one.target.model), "scope": one.target.scope}


def _called(target: dict[str, str]) -> str:
    if "scenario" in target:
        return target["scenario"]
    return target["model"] if target["scope"] == "all" else f"{target['model']} · {target['scope']}"
