"""How far off forecasts would have been: algorithms learn what was known on earlier days, and are measured by what
was sold since."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts, forms, watching
from shopkeeper.console.algorithms import algorithms
from shopkeeper.console.plain import plain
from shopkeeper.console.words import say
from shopkeeper.core.errors import ShopkeeperError, Unavailable
from shopkeeper.core.records import Job
from shopkeeper.core.scopes import Scope

_JOB = "backtest_job"
_FIRST = ("seasonal_naive", "autoets", "lightgbm")
"""Asked unless others are chosen, where they are; as the command line does."""
_YARDSTICK = "seasonal_naive"
_MOST, _MOST_DAYS, _MOST_AHEAD = 10, 20, 365
_PLAIN = {"displayModeBar": False}
_MEASURES = {"wape": "WAPE", "pinball": "pinball", "mase": "MASE", "bias": "bias", "coverage_80": "80 %"}


def show(shop: ShopkeeperClient, scope: Scope, horizon: int) -> None:
    st.caption(say("backtest_note"))
    known = [one.name for one in algorithms(shop) if one.task == "forecast" and one.available]
    chosen = st.multiselect(
        say("algorithms"), known, [name for name in _FIRST if name in known], max_selections=_MOST,
        key="backtest_models",
    )  # fmt: skip
    often, apart, anew = st.columns([1, 1, 2], vertical_alignment="bottom")
    windows = int(often.number_input(say("backtest_days"), 1, _MOST_DAYS, 4, key="backtest_windows"))
    step = apart.number_input(
        say("backtest_step"), 1, _MOST_AHEAD, None, placeholder=say("as_horizon"), key="backtest_step"
    )
    refit = anew.toggle(say("backtest_refit"), key="backtest_refit", help=say("backtest_refit_help"))
    params = st.text_area(
        say("backtest_params"), placeholder='{"lightgbm": {"rounds": 50}}', height=68, key="backtest_params"
    )
    if st.button(say("look_back"), type="primary", disabled=not chosen, key="backtest_begin"):
        try:
            job = shop.backtest(
                chosen, scope=str(scope), windows=windows, horizon=horizon, step=None if step is None else int(step),
                refit=refit, params=forms.together({}, params),
            )  # fmt: skip
        except Unavailable:
            raise
        except ShopkeeperError as error:
            st.error(plain(error.message))
        else:
            st.session_state[_JOB] = job.job_id
    watching.watch(_JOB, ended=_ended)


def _ended(_shop: ShopkeeperClient, job: Job) -> None:
    found: dict[str, Any] = job.result or {}
    days, models, ranked = found["cutoffs"], found["models"], found["leaderboard"]
    asked = say("backtest_asked", n=len(days), first=days[0], last=days[-1], ahead=found["horizon"])
    st.markdown(f"{asked} {_closest(ranked)}")
    rows = [_row(one) for one in ranked]
    rows += [
        {say("algorithm"): name, say("seconds"): one["seconds"], say("note"): one["error"]}
        for name, one in models.items()
        if "error" in one
    ]
    st.dataframe(rows, hide_index=True, width="stretch")
    st.caption(say("backtest_read"))
    parts = {one["model"]: models[one["model"]]["by_step"] for one in ranked}
    if any(len(of) > 1 for of in parts.values()):
        st.plotly_chart(_by_part(parts), width="stretch", config=_PLAIN, key="backtest_parts")


def _closest(ranked: Sequence[dict[str, Any]]) -> str:
    """Nothing where nothing was sold on those days: no share of it is told."""
    measured = [one for one in ranked if one["wape"] is not None and one["naive_wape"] is not None]
    if not measured:
        return say("backtest_nothing")
    best = min(measured, key=lambda one: float(one["wape"]))
    return say(
        "backtest_closest", name=plain(best["model"]), off=f"{100 * best['wape']:.0f}",
        naive=f"{100 * best['naive_wape']:.0f}",
    )  # fmt: skip


def _row(one: dict[str, Any]) -> dict[str, Any]:
    measured, usual = one["wape"], one["naive_wape"]
    beats = measured is not None and usual is not None and measured < usual
    verdict = "" if one["model"] == _YARDSTICK else say("beats") if beats else say("beats_not")
    return {
        say("algorithm"): one["model"],
        **{title: _rounded(one[measure]) for measure, title in _MEASURES.items()},
        say("naive_wape"): _rounded(usual),
        say("seconds"): one["seconds"],
        say("note"): verdict,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(float(value), 3)


def _by_part(parts: dict[str, list[dict[str, Any]]]) -> Any:
    """The error from tomorrow to the last day ahead; seasonal naive's, on the same days, as the line to be below."""
    first = next(iter(parts.values()))
    x = [str(part["first"]) if part["first"] == part["last"] else f"{part['first']}–{part['last']}" for part in first]
    lines = {say("naive_wape"): [part["naive_wape"] for part in first]}
    lines |= {name: [part["wape"] for part in of] for name, of in parts.items() if name != _YARDSTICK}
    figure = charts.lines_chart(x, lines, "WAPE", x_title=say("horizon"))
    figure.update_xaxes(type="category")
    figure.update_layout(height=300)
    return figure
