"""Everybody's profile as of a past moment, as trainings of the smaller profile models read it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import rfc3339
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report, TrainingContext
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.fields import schema_of
from shopkeeper.profiles.fusion.past import refused_of
from shopkeeper.profiles.sources import Many
from shopkeeper.profiles.surroundings import Surroundings
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.stores.sql import open_database
from shopkeeper.stores.whole_log import WholeLog, fingerprint, read_log


class Histories:
    """The shop's log and who may be learned from. `end`: the time (us) of the last event."""

    def __init__(self, log: WholeLog, zone: ZoneInfo, refused: NDArray[np.int64]) -> None:
        self._log = log
        self.zone = zone
        self._refused = refused
        self.start, self.end = int(log.events.time[0]), int(log.events.time[-1])

    @classmethod
    def read(cls, context: TrainingContext, report: Report) -> Histories:
        """Raises Invalid when the source is not the shop's log, or nothing has happened."""
        kind = context.source.get("kind", "shop")
        if kind != "shop":
            raise Invalid(
                f"profile models learn from the shop's own events, not from source kind {kind!r}", field="kind"
            )
        log = read_log(context, report)
        if not len(log.events):
            raise Invalid("the shop has no events yet; import some (shopkeeper import orders.csv)", code="no_data")
        db = open_database(context.sql_url, read_only=True)
        try:
            refused = refused_of(db, log.names, context.now)
        finally:
            db.close()
        return cls(log, ZoneInfo(context.zone), np.array(sorted(refused), dtype=np.int64))

    def at(self, moment: int) -> ProfileTable:
        """Everybody who had come by then, up to that moment (us)."""
        events = self._log.events
        state = FeatureState(self.zone, self._log.names.event_types, features=())
        state.apply(events.take(slice(0, int(np.searchsorted(events.time, moment, side="right")))))
        n = state.n_users
        fields = schema_of([], surroundings=Surroundings(state))
        return ProfileTable(fields, Many.everybody(state, moment, n), [None] * n)

    def allowed(self, n: int) -> NDArray[np.bool_]:
        """bool (n,) by row: all but those who refused profiling."""
        out = np.ones(n, dtype=np.bool_)
        out[self._refused[self._refused < n]] = False
        return out

    def facts(self, rows: int, cutoff: int) -> Mapping[str, Any]:
        return {
            "rows": rows,
            "from": rfc3339(self.start),
            "to": rfc3339(cutoff),
            "holdout_to": rfc3339(self.end),
            "fingerprint": fingerprint(self._log.events),
        }
