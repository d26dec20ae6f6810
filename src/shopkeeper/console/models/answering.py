"""Who answers a model's requests: shares of versions, and a shadow that is asked and not heard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.holding import held, let_go
from shopkeeper.console.models.chosen import named
from shopkeeper.console.models.chosen import version as choose
from shopkeeper.console.models.trying import tried
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import ModelInfo, Version

_MOST = 10
_GONE = "removed"
_HELD = "traffic"


def left() -> None:
    """Another side is looked at: what was read of who answers is read anew next time."""
    let_go(_HELD)


def show(shop: ShopkeeperClient, model: ModelInfo) -> None:
    asking.notice("models")
    versions = [one for one in shop.versions(model.name, scope=model.scope) if one.status != _GONE]
    split, shadow = st.columns([3, 2], gap="large")
    with split, told():
        _split(shop, model, versions)
    with shadow, told():
        _shadow(shop, model, versions)


def _split(shop: ShopkeeperClient, model: ModelInfo, versions: Sequence[Version]) -> None:
    st.markdown(f"**{say('traffic')}**")
    newest, there = shop.tagged_traffic(model.name, scope=model.scope)
    tag, now = held(_HELD, f"{model.name} {model.scope}", (newest, there), newest)
    weights = {int(one["version"]): float(one["weight"]) for one in now["variants"]}
    st.dataframe(_rows(there), hide_index=True, width="stretch")
    if there["stack"]:
        st.caption(say("stack_used"))
    by_number = {one.version: one for one in versions}
    key = f"traffic_{model.name}_{model.scope}_{tag}"
    chosen = st.multiselect(
        say("who_answers"), list(by_number), [number for number in weights if number in by_number],
        format_func=lambda number: named(by_number.get(number)), max_selections=_MOST, key=f"{key}_who",
    )  # fmt: skip
    shares = _shares(chosen, weights, key)
    modes = {"sticky": say("mode_sticky"), "random": say("mode_random"), "ensemble": say("mode_ensemble")}
    how, safe = st.columns([3, 2], vertical_alignment="bottom")
    mode = how.selectbox(
        say("shared_by"), list(modes), list(modes).index(now["mode"]), format_func=modes.__getitem__, key=f"{key}_mode"
    )
    guarded = safe.toggle(say("auto_rollback"), bool(now["auto_rollback"]), key=f"{key}_safe",
                          help=say("auto_rollback_help"))  # fmt: skip
    same = (mode, chosen) == (now["mode"], list(weights))  # what was learned is of these versions in this order

    def share() -> None:
        shop.set_traffic(
            model.name, shares, mode=str(mode), auto_rollback=guarded, stack=now["stack"] if same else None,
            scope=model.scope, if_match=tag,
        )  # fmt: skip
        let_go(_HELD)
        asking.tell("models", say("shared_now", model=plain(model.name)))

    if st.button(say("share_so"), type="primary", disabled=not chosen, key=f"{key}_save"):
        if now["stack"] and not same:
            asking.confirm(say("stack_goes"), share)
        elif tried(share):
            st.rerun()


def _rows(now: dict[str, Any]) -> list[dict[str, Any]]:
    """Of a stack also what each version counts for."""
    learned = now["stack"]["coefficients"] if now["stack"] else []
    return [
        {say("version"): f"v{one['version']}", say("share"): f"{one['weight']:.0%}"}
        | ({say("stack_weight"): round(learned[place], 3)} if learned else {})
        | {say("answered"): one["served"]}
        for place, one in enumerate(now["variants"])
    ]


def _shares(chosen: Sequence[int], now: dict[int, float], key: str) -> dict[int, float]:
    """Of one version everything; of two a slider says what the second gets; of more there is one each."""
    if len(chosen) == 1:
        return {chosen[0]: 1.0}
    if len(chosen) == 2:
        usual = round(100 * now.get(chosen[1], 0.1))
        second = st.slider(say("share_of", version=chosen[1]), 0, 100, usual, format="%d %%", key=f"{key}_{chosen}")
        return {chosen[0]: 100 - second, chosen[1]: second}
    return {
        number: st.slider(
            say("share_of", version=number), 0, 100, round(100 * now.get(number, 0.1)), format="%d %%",
            key=f"{key}_{chosen}_{number}",
        )
        for number in chosen
    }  # fmt: skip


def _shadow(shop: ShopkeeperClient, model: ModelInfo, versions: Sequence[Version]) -> None:
    st.markdown(f"**{say('shadow')}**", help=say("shadow_help"))
    try:
        found = shop.shadow(model.name, scope=model.scope)
    except NotFound:
        _begin_shadow(shop, model, versions)
        return
    agreed = found["agreement"]
    told_of = {
        say("version"): f"v{found['version']}",
        say("share"): f"{found['share']:.0%}",
        say("asked"): str(found["requests"]),
        say("agreed"): "–" if agreed is None else f"{agreed:.1%}",
        say("errors"): str(found["errors"]),
        **{f"{name} (ms)": str(value) for name, value in found["latency"].items()},
    }
    st.dataframe([{say("field"): name, say("value"): value} for name, value in told_of.items()],
                 hide_index=True, width="stretch")  # fmt: skip
    if st.button(say("end_shadow"), key="shadow_end"):
        shop.end_shadow(model.name, scope=model.scope)
        st.rerun()


def _begin_shadow(shop: ShopkeeperClient, model: ModelInfo, versions: Sequence[Version]) -> None:
    st.caption(say("no_shadow"))
    others = [one for one in versions if "champion" not in one.aliases]
    if not others:
        st.info(say("only_one_version"))
        return
    one = choose(say("version"), others, f"shadow_{model.name}_{model.scope}")
    share = st.slider(say("share_asked"), 1, 100, 100, format="%d %%", key="shadow_share")
    if one is not None and st.button(say("begin_shadow"), key="shadow_begin"):
        number = one.version
        if tried(lambda: shop.set_shadow(model.name, number, share / 100, scope=model.scope)):
            st.rerun()
