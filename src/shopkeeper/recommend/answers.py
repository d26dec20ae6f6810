"""From a slate to what is answered: its items as the API shows them, who ranked it, how long it lasts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from shopkeeper.core.records import RecItem
from shopkeeper.lifecycle.experiments.assigning import Chosen
from shopkeeper.recommend.acting.acted import Acted
from shopkeeper.recommend.draft import Slate
from shopkeeper.recommend.eligible import Shelf
from shopkeeper.telemetry import metrics

DEGRADED_S = 1.0


def items_of(slate: Slate, shelf: Shelf) -> list[RecItem]:
    """The items that are shown, best first."""
    candidates, explored = slate.candidates, slate.explored
    result = []
    for at, (place, reason) in enumerate(zip(slate.places.tolist(), slate.reasons, strict=True)):
        row = int(candidates.items[place])
        chance = None if slate.probability is None else float(slate.probability[place])
        metadata = {
            "name": shelf.names[row],
            "category": shelf.category[row],
            "price": price_of(shelf, row),
            "channels": candidates.channels_of(place),
            "reason": reason.facts(shelf.ids),
        }
        if explored is not None and (propensity := explored.propensity(at)) is not None:
            metadata["propensity"] = propensity
        result.append(
            RecItem(
                item_id=shelf.ids[row],
                score=float(candidates.fused[place]) if chance is None else chance,
                confidence=chance,
                explanation=reason.text,
                metadata=metadata,
            )
        )
    return result


def price_of(shelf: Shelf, row: int) -> float | None:
    price = float(shelf.price[row])
    return None if math.isnan(price) else round(price, 4)


def lasts(ttl_s: float, fallbacks: Sequence[str]) -> float:
    """Seconds that a slate may be answered again: a moment when something failed or was late, for that may be over; as
    long as any other when models are missing, whose coming is told."""
    missing = all(fallback.endswith(": no model serves") for fallback in fallbacks)
    return ttl_s if missing else min(ttl_s, DEGRADED_S)


def ranked_by(slate: Slate) -> str:
    """`home_ranker:3`, or the recall models when nothing ranked."""
    if slate.seen is not None:
        return f"{slate.seen.model}:{slate.seen.version}"
    return "+".join(f"{name}:{version}" for name, version in slate.versions.items()) or "live"


def debug_of(slate: Slate) -> dict[str, Any]:
    return {
        "candidates": len(slate.candidates),
        "versions": slate.versions,
        "fallbacks": slate.fallbacks,
        "named": slate.candidates.counts(),
        "items": slate.told,
        "explored": None if slate.explored is None else slate.explored.facts(),
    }


def name_variants(tried: Sequence[Chosen], items: Sequence[RecItem], debug: dict[str, Any] | None) -> None:
    """Which variants of which experiments an answer is."""
    names = {one.draw.experiment_id: one.name for one in tried}
    for item in items:
        item.metadata["experiments"] = names
    if debug is not None:
        debug["experiments"] = [
            {"experiment_id": one.draw.experiment_id, "name": one.draw.name, "variant": one.name} for one in tried
        ]


def name_action(acted: Acted, items: Sequence[RecItem], debug: dict[str, Any] | None) -> None:
    """Which of an agent's actions an answer is."""
    shown = acted.shown
    for item in items:
        item.metadata["agent"] = shown
    if debug is not None:
        debug["agent"] = acted.facts()


def count(scenario_name: str, seconds: float, slate: Slate) -> None:
    metrics.recommend_requests_total.labels(scenario_name, "degraded" if slate.fallbacks else "ok").inc()
    metrics.recommend_seconds.labels(scenario_name).observe(seconds)
    for fallback in slate.fallbacks:
        metrics.recommend_degraded_total.labels(fallback.partition(":")[0]).inc()
