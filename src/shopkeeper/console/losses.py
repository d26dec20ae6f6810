"""What a training told after each epoch, as a picture: while it runs from one look to the next, afterwards whole."""

from __future__ import annotations

from typing import TypeAlias

import streamlit as st

from shopkeeper.client import ShopkeeperClient
from shopkeeper.console import charts
from shopkeeper.console.words import say
from shopkeeper.core.records import FINISHED, Job

Points: TypeAlias = dict[int, dict[str, float]]
_KEPT = 20
_FEW = 12


def show(shop: ShopkeeperClient, job: Job) -> None:
    """Nothing where the algorithm has no epochs, or told no figure."""
    points = by_epoch(shop, job)
    epochs = sorted(points)
    told = list(dict.fromkeys(name for epoch in epochs for name in points[epoch]))
    losses = [name for name in told if name in ("loss", "val_loss")]
    names = losses or [name for name in told if name != "learning_rate"]
    if not names:
        return
    titles = {"loss": say("learned_from"), "val_loss": say("held_out")}
    lines = {titles.get(name, name): [points[epoch].get(name) for epoch in epochs] for name in names}
    title = say("loss") if names[0] in titles else names[0]
    figure = charts.lines_chart(epochs, lines, title, x_title=say("epoch"), zero=False)
    if len(epochs) <= _FEW:  # no half epochs
        figure.update_xaxes(dtick=1)
    st.plotly_chart(figure, width="stretch", height=260, config={"displayModeBar": False}, key=f"losses_{job.job_id}")


def by_epoch(shop: ShopkeeperClient, job: Job) -> Points:
    """What was told after each epoch. The stream of a finished job ends by itself, so it is read once; that of a
    running one does not."""
    held: dict[str, tuple[bool, Points]] = st.session_state.setdefault("losses", {})
    whole, points = held.get(job.job_id, (False, {}))
    if job.status in FINISHED and not whole:
        told = (event.data for event in shop.job_events(job.job_id) if event.type == "epoch")
        points = {int(one["epoch"]): dict(one["metrics"]) for one in told}
        whole = True
    elif job.progress.epoch is not None and not whole:
        points = {**points, job.progress.epoch: dict(job.progress.metrics)}
    held.pop(job.job_id, None)
    held[job.job_id] = (whole, points)
    while len(held) > _KEPT:
        held.pop(next(iter(held)))
    return points
