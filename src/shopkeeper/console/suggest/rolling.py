"""More and more of the users get a variant: shares by hand, a roll-out step by step, and the way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import asking, stairs
from shopkeeper.console.frame import clock
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.experiments import Experiment, Rolling

Do = Callable[[Callable[[], Experiment], str], None]
"""Does a step and says what was done, or why it was not."""
_PLAIN = {"displayModeBar": False}
_USUAL = "1, 10, 50, 100"


def shares(shop: ShopkeeperClient, one: Experiment, place: DeltaGenerator, do: Do) -> None:
    """How many users take part, and what part of them each variant has."""
    with place.popover(say("shares"), width="stretch"):
        key = f"{one.experiment_id}_{one.version}"
        part = st.number_input(
            say("share_percent"), value=round(100 * one.part, 4), step=None, format="%g", key=f"{key}_part",
            help=say("share_percent_help"),
        )  # fmt: skip
        weights = {
            each.name: float(
                st.number_input(
                    f"{plain(each.name)} (%)", value=round(100 * one.weights.get(each.name, 0.0), 4), step=None,
                    format="%g", key=f"{key}_{place_of}_weight",
                )
            )
            for place_of, each in enumerate(one.variants)
        }  # fmt: skip
        st.caption(say("weights_note"))
        if st.button(say("share_so"), type="primary", key=f"{key}_share"):
            changed = any(abs(value / 100 - one.weights.get(name, 0.0)) > 1e-6 for name, value in weights.items())
            wider = abs(float(part) / 100 - one.part) > 1e-6
            do(
                lambda: shop.share_experiment(
                    one.experiment_id,
                    share=float(part) / 100 if wider else None,
                    weights=weights if changed else None,
                    if_version=one.version,
                ),
                say("experiment_shared", name=plain(one.name)),
            )


def begin(shop: ShopkeeperClient, one: Experiment, place: DeltaGenerator, do: Do) -> None:
    with place.popover(say("roll_out"), width="stretch"):
        key = f"{one.experiment_id}_roll"
        st.caption(say("roll_out_note"))
        names = [each.name for each in one.variants]
        variant = st.selectbox(say("variant"), names, len(names) - 1, key=f"{key}_variant")
        steps = st.text_input(say("steps_people"), _USUAL, key=f"{key}_steps", help=say("steps_people_help"))
        hours = st.number_input(say("hours_a_step"), value=24.0, step=None, format="%g", key=f"{key}_hours")
        if st.button(say("begin"), type="primary", key=f"{key}_begin"):
            do(
                lambda: shop.roll_out_experiment(
                    one.experiment_id,
                    str(variant),
                    steps=stairs.read(steps),
                    step_hours=float(hours),
                    if_version=one.version,
                ),
                say("roll_out_begun", variant=plain(str(variant))),
            )


def way(shop: ShopkeeperClient, one: Experiment, do: Do) -> None:
    """The steps of a roll-out that is under way; of one that is over, the way back."""
    if one.rolling is not None:
        _under_way(shop, one, one.rolling, do)
    if one.rolled_out and st.button(say("undo_roll_out"), key=f"{one.experiment_id}_back", icon=":material/undo:"):
        question = say("undo_roll_out_sure", name=plain(one.name))
        asking.confirm(question, lambda: _taken_back(shop, one))


def _under_way(shop: ShopkeeperClient, one: Experiment, rolling: Rolling, do: Do) -> None:
    picture, words = st.columns([2, 1], gap="large", vertical_alignment="center")
    now = one.weights.get(rolling.variant)
    picture.plotly_chart(
        stairs.picture(rolling.steps, now), width="stretch", config=_PLAIN, key=f"{one.experiment_id}_stairs"
    )
    last = rolling.at + 1 >= len(rolling.steps)
    due = clock(datetime.fromtimestamp(rolling.next_at / 1e6, UTC).isoformat())
    share = f"{now or 0:.0%}"
    with words:
        st.markdown(say("rolls_out", variant=plain(rolling.variant), share=share))
        st.caption(say("last_step_due", due=due) if last else say("next_step_due", due=due))
        if st.button(say("everybody_now") if last else say("next_step_now"), key=f"{one.experiment_id}_next"):
            if last:
                question = say("everybody_sure", variant=plain(rolling.variant))
                asking.confirm(question, lambda: _everybody(shop, one))
            else:
                do(lambda: shop.step_experiment(one.experiment_id), say("stepped", variant=plain(rolling.variant)))


def _everybody(shop: ShopkeeperClient, one: Experiment) -> None:
    shop.step_experiment(one.experiment_id)
    asking.tell("experiment", say("experiment_stopped", name=plain(one.name)))


def _taken_back(shop: ShopkeeperClient, one: Experiment) -> None:
    shop.roll_back_experiment(one.experiment_id, if_version=one.version)
    asking.tell("experiment", say("roll_out_undone", name=plain(one.name)))
