"""Slates on trial: one question, answered by one variant or by two side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console.connection import told
from shopkeeper.console.plain import plain
from shopkeeper.console.suggest import answer
from shopkeeper.console.suggest.question import about, narrowed
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError
from shopkeeper.core.records import RecFilters, RecRequest, RecResponse

_USUAL = "home"
_AS_SAID = ""
_ANSWERS = "trial_answers"


@dataclass(frozen=True)
class Variant:
    """A scenario, and a ranker other than its own: `model`, `model@candidate`, `model/3`; None: its own."""

    scenario: str
    model: str | None
    diversity: float | None

    @property
    def title(self) -> str:
        mixed = None if self.diversity is None else f"{say('diversity')} {self.diversity:.2f}"
        return " · ".join(part for part in (self.scenario, self.model, mixed) if part)


def show(shop: ShopkeeperClient) -> None:
    scenarios = {str(one["name"]): one for one in shop.scenarios()}
    rankers = _rankers(shop)
    who, number, two = st.columns([3, 1, 2], vertical_alignment="bottom")
    if "trial_user" not in st.session_state:
        st.session_state["trial_user"] = next((one.user_id for one in shop.events(limit=50).items if one.user_id), "")
    user_id = who.text_input(say("customer_id"), key="trial_user").strip()
    n = int(number.number_input(say("how_many"), 1, 100, 10, key="trial_n"))
    both = two.toggle(say("side_by_side"), key="trial_both")
    places = st.columns(2, gap="large") if both else [st.container()]
    variants = []
    for place, column in zip("ab", places, strict=False):
        with column:
            variants.append(_variant(place, scenarios, rankers))
    context = about([scenarios[one.scenario] for one in variants])
    filters = narrowed(shop)
    if st.button(say("suggest_now"), type="primary", disabled=not user_id, help=say("suggest_help")):
        with told():
            _ask(shop, variants, user_id, n, context, filters)
    _show()


def _rankers(shop: ShopkeeperClient) -> list[str]:
    """What may order the candidates: models by name, and what their aliases point at."""
    found = []
    for model in shop.models(task="ranking"):
        if model.scope == "all":
            found += [model.name, *(f"{model.name}@{alias}" for alias in model.aliases if alias != "champion")]
    return found


def _variant(place: str, scenarios: Mapping[str, Mapping[str, Any]], rankers: list[str]) -> Variant:
    names = list(scenarios)
    where, by, mixed = st.columns([2, 2, 1], vertical_alignment="bottom")
    first = names.index(_USUAL) if _USUAL in names else 0
    scenario = where.selectbox(say("scenario"), names, index=first, key=f"trial_{place}_scenario")
    chosen = by.selectbox(
        say("ranker"), [_AS_SAID, *rankers], format_func=lambda name: name or say("own_ranker"),
        key=f"trial_{place}_model", accept_new_options=True, help=say("ranker_help"),
    )  # fmt: skip
    own = float(scenarios[scenario]["diversity"])
    diversity = mixed.number_input(
        say("diversity"), 0.0, 1.0, own, step=0.1, key=f"trial_{place}_{scenario}_diversity", help=say("diversity_help")
    )
    st.caption(plain(str(scenarios[scenario]["help"])) or "–")
    return Variant(scenario, (chosen or "").strip() or None, None if diversity == own else float(diversity))


def _ask(
    shop: ShopkeeperClient,
    variants: list[Variant],
    user_id: str,
    n: int,
    context: dict[str, Any],
    filters: RecFilters | None,
) -> None:
    """Asked together; computed anew, so that what made them can be told."""
    asked = [
        RecRequest(
            user_id=user_id, n_recommendations=n, scenario=one.scenario, context=context, filters=filters,
            use_cache=False, debug=True, model=one.model, diversity_weight=one.diversity,
        )
        for one in variants
    ]  # fmt: skip
    st.session_state.pop(_ANSWERS, None)
    st.session_state[_ANSWERS] = list(zip(variants, shop.recommend_many(asked), strict=True))


def _show() -> None:
    answers: list[tuple[Variant, RecResponse | ShopkeeperError]] = st.session_state.get(_ANSWERS, [])
    if not answers:
        st.caption(say("nothing_asked"))
        return
    slates = [one for _, one in answers if isinstance(one, RecResponse)]
    if len(slates) == 2:
        st.markdown(f"**{say('in_both', n=answer.shared(*slates), most=max(len(answer.ids(one)) for one in slates))}**")
    columns = st.columns(len(answers), gap="large")
    for at, (column, (variant, one)) in enumerate(zip(columns, answers, strict=True)):
        with column:
            st.markdown(f"#### {plain(variant.title)}")
            if isinstance(one, ShopkeeperError):
                st.error(plain(f"{one.field}: {one.message}" if one.field else one.message))
                continue
            other = slates[1 - at] if len(slates) == 2 else None
            answer.show(one, other, key=f"trial_answer_{at}")
