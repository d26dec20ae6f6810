"""Who answers a model's requests: shares of versions, and a shadow that is asked and not heard."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking
from shopkeeper.console.connection import told
from shopkeeper.console.models.chosen import named
from shopkeeper.console.models.chosen import version as choose
from shopkeeper.console.models.trying import tried
from shopkeeper.console.words import say
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import ModelInfo, Version

_MOST = 10
_GONE = "removed"


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
    now = shop.traffic(model.name, scope=model.scope)
    weights = {int(one["version"]): float(one["weight"]) for one in now["variants"]}
    st.dataframe(
        [{say("version"): f"v{one['version']}", say("share"): f"{one['weight']:.0%}", say("answered"): one["served"]}
         for one in now["variants"]],
        hide_index=True, width="stretch",
    )  # fmt: skip
    by_number = {one.version: one for one in versions}
    key = f"traffic_{model.name}_{model.scope}_" + "_".join(f"{n}.{w:.3f}" for n, w in sorted(weights.items()))
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
    if st.button(say("share_so"), type="primary", disabled=not chosen, key=f"{key}_save") and tried(
        lambda: shop.set_traffic(model.name, shares, mode=str(mode), auto_rollback=guarded, scope=model.scope)
    ):
        asking.tell("models", say("shared_now", model=model.name))
        st.rerun()


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
