"""How the shop stands: what it serves, what it still lacks, how its loops run."""

from __future__ import annotations

from typing import Any

from shopkeeper.bootstrap import Shop
from shopkeeper.core.clock import rfc3339
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
    serving = {version.model for version in served(shop)}
    # The sample model only shows how to ask: a shop is ready without it, as without what is optional.
    first = tuple(one.model for one in shop.first_models() if not (one.sample or one.optional))
    required = names_in(shop.settings.enabled_models) or first
    missing = [model for model in required if model not in serving]
    if missing:
        reasons.append(f"not trained yet: {', '.join(missing)}")
    return reasons


def ingestion(shop: Shop) -> dict[str, Any]:
    """The live stream and the log behind it."""
    live = shop.live
    newest = shop.log.recent(limit=1)
    return {
        "running": live is not None and not live.state.ended,
        "pending_events": shop.log.last_seq - shop.following.position,
        "cached_users": len(shop.vocab.users),
        "events": shop.log.last_seq,
        "users": len(shop.vocab.users),
        "items": len(shop.vocab.items),
        "last_event_at": newest[0].time if newest else None,
        "started_at": rfc3339(shop.started_at) if shop.started_at else None,
        "shop_time": rfc3339(shop.clock.now()),
    }


def incremental_loop(shop: Shop) -> dict[str, Any]:
    """The followers of the log: what keeps profiles, windows and sales up to date."""
    return {
        "running": shop.started_at is not None,
        "started_at": rfc3339(shop.started_at) if shop.started_at else None,
        "stopped_at": None,
        "processed_batches": None,
        "processed_events": shop.following.position,
        "last_batch_at": None,
    }
