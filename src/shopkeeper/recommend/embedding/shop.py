"""The shop's own log as edges: who bought what, and who did something with whom."""

from __future__ import annotations

from typing import Any

import numpy as np

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.recommend.embedding.edges import Edges, edges_of_orders
from shopkeeper.recommend.recall.family import HOLDOUT_DAYS, cutoff_of
from shopkeeper.recommend.shoplog import ShopLog, refused_profiling
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.vocabulary import Vocabularies
from shopkeeper.stores.whole_log import read_log


def edges_of_shop(context: TrainingContext, report: Report) -> tuple[Edges, Edges, dict[str, Any]]:
    """(edges before the last week, what was bought for the first time in it, facts), without those who do not agree to
    be profiled: vectors of users stand in the version. Raises Invalid (`no_data`)."""
    log = read_log(context, report)
    names = log.names
    refused = np.array(sorted(_refused(context, names)), dtype=np.int32)
    items = tuple(names.items.ids(range(len(names.items))))
    may = ~(np.isin(log.events.user, refused) | np.isin(log.events.other, refused))
    shop = ShopLog(log.events.take(may), items, names.event_types)
    orders = shop.orders()
    users = tuple(names.users.ids(range(len(names.users))))
    cutoff = cutoff_of(orders, HOLDOUT_DAYS)
    known = edges_of_orders(orders.between(None, cutoff), users)
    later = edges_of_orders(orders.between(cutoff, None).pairs(), users)
    told = shop.events.take((shop.events.time < cutoff) & (shop.events.user >= 0) & (shop.events.other >= 0))
    if len(told):
        known = Edges(
            known.ids,
            np.concatenate([known.source, told.user]),
            np.concatenate([known.target, told.other]),
            np.concatenate([_weights(known), np.ones(len(told), dtype=np.float32)]),
            known.users,
            known.items,
        )
    facts = {
        "rows": len(known),
        "from": rfc3339(int(orders.time[0])),
        "to": rfc3339(cutoff),
        "holdout_days": HOLDOUT_DAYS,
        "refused": len(refused),
        "fingerprint": shop.fingerprint(),
    }
    return known, _new(known, later), facts


def _refused(context: TrainingContext, names: Vocabularies) -> frozenset[int]:
    db = open_database(context.sql_url, read_only=True)
    try:
        return refused_profiling(db, names, context.now)
    finally:
        db.close()


def _weights(edges: Edges) -> Any:
    return np.ones(len(edges), dtype=np.float32) if edges.weight is None else edges.weight


def _new(known: Edges, later: Edges) -> Edges:
    n = len(known.ids)
    before = known.source.astype(np.int64) * n + known.target
    return later.take(~np.isin(later.source.astype(np.int64) * n + later.target, before))
