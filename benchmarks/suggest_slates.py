"""Milliseconds of a slate in process, by stage, with the models that a shop trains for itself."""

from __future__ import annotations

import asyncio
import random
import statistics
import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper import plugins
from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import SECOND, ReplayClock
from shopkeeper.core.records import RecRequest

CUSTOMERS = 500
ROUNDS = 3
_SCENARIOS = ("home", "content")


async def slate_tables(shop: Shop) -> list[dict[str, Any]]:
    """Trains in jobs of the shop, then asks on the thread that owns its state. The shop is closed in the end."""
    try:
        await shop.start()
        for one in shop.first_models():
            if not one.sample and plugins.algorithm(one.algorithm).family in ("recall", "ranking"):
                await _trained(shop, one.model, one.algorithm)
        shop.recommend.warm()
        known = shop.vocab.users.ids(range(len(shop.vocab.users)))
        customers = random.Random(42).sample(known, CUSTOMERS)
        return [_table(shop, scenario, customers) for scenario in _SCENARIOS]
    finally:
        await shop.stop()


async def _trained(shop: Shop, model: str, algorithm: str) -> None:
    job = await asyncio.to_thread(shop.jobs.wait, shop.releases.train(model, algorithm).job_id)
    if not (job.result or {}).get("promoted"):
        raise SystemExit(f"the training of {model} ended {job.status}: {job.result or job.error}")


def _table(shop: Shop, scenario: str, customers: list[str]) -> dict[str, Any]:
    rounds = [_round(shop, scenario, customers) for _ in range(ROUNDS)]
    degraded = sum(int(one.pop("degraded").sum()) for one in rounds)

    def median(stage: str, share: float) -> float:
        return statistics.median(float(np.quantile(one[stage], share)) for one in rounds)

    rows = [[stage, median(stage, 0.5), median(stage, 0.99)] for stage in rounds[0]]
    print(scenario, rows, flush=True)
    return {
        "title": f"Milliseconds of a slate, scenario {scenario} ({degraded} of {len(customers) * ROUNDS:,} fell back)",
        "columns": ["stage", "P50 ms", "P99 ms"],
        "rows": rows,
    }


def _round(shop: Shop, scenario: str, customers: list[str]) -> dict[str, NDArray[np.float64]]:
    """Milliseconds (customers,) by stage, and whether each slate fell back."""
    assert isinstance(shop.clock, ReplayClock)
    taken: dict[str, list[float]] = {}
    for customer in customers:
        shop.clock.skip_to(shop.clock.now() + SECOND)
        wall, processor = time.perf_counter(), time.thread_time()
        answer = shop.recommend.recommend(RecRequest(user_id=customer, scenario=scenario))
        whole = {
            "whole answer": (time.perf_counter() - wall) * 1000,
            "whole answer, processor time": (time.thread_time() - processor) * 1000,
            "degraded": float(answer.degraded),
        }
        for stage, milliseconds in {**answer.stages, **whole}.items():
            taken.setdefault(stage, []).append(milliseconds)
    return {stage: np.array(values) for stage, values in taken.items()}
