"""What was served, with what became of it, as an online learner takes it in and as its versions are measured."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.core.clock import SECOND
from shopkeeper.core.learning import OnlineSettings
from shopkeeper.learning.tabular import Schema
from shopkeeper.recommend.online.learner import Outcomes
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.rewards.joining import Outcome, Shown, join
from shopkeeper.recommend.rewards.numbers import finite
from shopkeeper.recommend.rewards.signals import SIGNALS, Signal, worth
from shopkeeper.recommend.rewards.trust import judged
from shopkeeper.stores import online
from shopkeeper.stores.served_vectors import ServedVectors
from shopkeeper.stores.vocabulary import Vocabularies

DISTRUSTED = 0.5
"""Below that a visitor or a signal counts as distrusted in what is told, and is not measured on."""


@dataclass(frozen=True)
class Known:
    """A slate whose time is over: `weight` (m,) of its items, 0 for what is not believed at all."""

    served: ServedVectors
    outcome: Outcome
    weight: NDArray[np.float64]

    @property
    def believed(self) -> bool:
        return bool((self.weight >= DISTRUSTED).all())


def known(
    connection: Connection, names: Vocabularies, slates: Sequence[ServedVectors], settings: OnlineSettings
) -> list[Known]:
    """What became of slates, in their order. The same slates give the same, whoever asks and when, once their time is
    over."""
    if not slates:
        return []
    signals = _signals(connection, names, slates, settings.window_s)
    shown = [Shown(one.slate_id, _row(one.user_row), one.made_at, one.items) for one in slates]
    trust = judged(signals, shown) if settings.trust else None
    weights = None if trust is None else trust.weights.tolist()
    joined = join(shown, signals, settings.window_s, trust=weights)
    visitors = {} if trust is None else trust.visitors
    return [
        Known(served, one, np.where(one.taken, one.trust, visitors.get(one.shown.user, 1.0)))
        for served, one in zip(slates, joined.outcomes, strict=True)
    ]


def outcomes(found: Sequence[Known], schema: Schema, settings: OnlineSettings) -> Outcomes:
    """One for each item that was shown, as a model with that schema reads it; slates in order."""
    rows = [Outcomes.none(len(schema.names)), *(_outcomes(one, schema, settings) for one in found)]
    return Outcomes(*(np.concatenate([getattr(one, name) for one in rows]) for name in _COLUMNS))


def is_held(slate_id: str, share: float) -> bool:
    """Whether a slate is kept to measure on: by its id, so that never changes. Not by the sum that says which slates
    are logged (`servedlog.py`): of those all or none would be."""
    digest = hashlib.blake2b(slate_id.encode(), digest_size=4, person=b"held out").digest()
    return int.from_bytes(digest) < share * 2**32


def _outcomes(one: Known, schema: Schema, settings: OnlineSettings) -> Outcomes:
    taken = one.outcome.taken.astype(np.float32)
    label = taken if settings.target == "taken" else np.clip(one.outcome.reward, 0.0, 1.0).astype(np.float32)
    plain = RankRows(Schema.of_numbers(one.served.names), one.served.values, taken, np.ones_like(taken))
    users = np.full(len(taken), _row(one.served.user_row), dtype=np.int32)
    return Outcomes(plain.seen_by(schema), label, one.weight.astype(np.float32), users)


def _signals(
    connection: Connection, names: Vocabularies, slates: Sequence[ServedVectors], window_s: float
) -> list[Signal]:
    kinds = {row: kind for kind in SIGNALS if (row := names.event_types.row(kind)) is not None}
    users = sorted({one.user_row for one in slates if one.user_row is not None})
    made = [one.made_at for one in slates]
    until = max(made) + round(window_s * SECOND)
    strangers = any(one.user_row is None for one in slates)
    found = []
    for one in online.told(connection, list(kinds), users, min(made), until, strangers=strangers):
        signal = _signal(one, kinds[one.type_row])
        if signal is not None:
            found.append(signal)
    return found


def _signal(one: online.Told, kind: str) -> Signal | None:
    value = worth(kind, one.value, one.context)
    if value is None:
        return None
    named, seconds = one.context.get("request_id"), one.context.get("feedback_value")
    return Signal(
        event_id=one.event_id,
        kind=kind,
        user=_row(one.user_row),
        item=one.item_row,
        time=one.time,
        worth=value,
        seconds=finite(seconds) if kind == "dwell" else None,
        request_id=named if isinstance(named, str) else None,
    )


def _row(row: int | None) -> int:
    return -1 if row is None else row


_COLUMNS = ("values", "label", "weight", "users")
