"""How the shop stands: what it serves, what it still lacks, how its loops run."""

from __future__ import annotations

from typing import Any

from shopkeeper.api.addressed import answers
from shopkeeper.bootstrap import Shop
from shopkeeper.core.records import Version
from shopkeeper.lifecycle.pinning import names_in

_BEHIND = 10_000


def served(shop: Shop) -> list[Version]:
    """The versions that are loaded and answer, by model."""
    return sorted((one.version for one in shop.serving.loaded()), key=lambda version: (version.model, version.scope))


def lacking(shop: Shop) -> list[str]:
    """Why the shop is not ready; empty when it is."""
    reasons = list(shop.unpinned)
    if shop.following.position < shop.log.last_seq - _BEHIND:
        reasons.append(f"{shop.log.last_seq - shop.following.position} events are not read yet")
    # The sample model only shows how to ask: a shop is ready without it, as without what is optional.
    first = tuple(one.model for one in shop.first_models() if not (one.sample or one.optional))
    serving = {version.model for version in served(shop)}
    required = names_in(shop.settings.enabled_models) or first
    missing = [model for model in required if model not in serving and not answers(shop, model)]
    if missing:
        reasons.append(f"not trained yet: {', '.join(missing)}")
    return reasons


def ingestion(shop: Shop) -> dict[str, Any]:
    """The live stream and the log behind it."""
    return shop.operations.intake.state()


def incremental_loop(shop: Shop) -> dict[str, Any]:
    """What keeps the vectors of the graph up to date, event by event."""
    return shop.operations.loop_state()
