"""What drawn slots earned, from 0 to 1: feedback joined by the answer's id and the item, each kind counted once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection

from shopkeeper.recommend.rewards.joining import Outcome, Shown, join
from shopkeeper.recommend.rewards.numbers import finite
from shopkeeper.recommend.rewards.signals import SIGNALS, Signal, worth
from shopkeeper.recommend.rewards.trust import judged
from shopkeeper.stores import exploring
from shopkeeper.stores.vocabulary import UserVocabulary, Vocabulary

_TRUSTED = 0.5
"""Feedback that is trusted less than this counts for nothing."""


class Logged(Protocol):
    """A slate in a log: the `items` (rows) of which feedback counts, `last_seq` the log's newest event then."""

    @property
    def seq(self) -> int: ...
    @property
    def slate_id(self) -> str: ...
    @property
    def user_row(self) -> int | None: ...
    @property
    def user_id(self) -> str | None: ...
    @property
    def made_at(self) -> int: ...
    @property
    def last_seq(self) -> int: ...
    @property
    def items(self) -> NDArray[np.int32]: ...


class Earnings:
    """`allows` says whether the user of a row may be learned of; `window_s` is how long feedback counts, shop time."""

    def __init__(
        self, users: UserVocabulary, kinds: Vocabulary, *, allows: Callable[[int], bool], window_s: float
    ) -> None:
        self._users = users
        self._kinds = kinds
        self._allows = allows
        self._window_s = window_s

    def of(self, connection: Connection, rows: Sequence[Logged]) -> Mapping[int, NDArray[np.float64]]:
        """By number of the row (s,) in [0, 1]. Those whose person is gone, or does not agree any more, are left out."""
        return {seq: np.clip(one.reward, 0.0, 1.0) for seq, one in self.outcomes(connection, rows).items()}

    def outcomes(self, connection: Connection, rows: Sequence[Logged]) -> Mapping[int, Outcome]:
        """The same with all that is known of each item."""
        shown = [
            (row.seq, Shown(row.slate_id, user, row.made_at, row.items))
            for row in rows
            if (user := self._user_of(row)) is not None
        ]
        slates = [one for _, one in shown]
        since = min((row.last_seq for row in rows), default=0)
        signals = self._signals(connection, sorted({one.user for one in slates if one.user >= 0}), since)
        trusted = judged(signals, slates).weights >= _TRUSTED
        counting = [signal for signal, good in zip(signals, trusted.tolist(), strict=True) if good]
        outcomes = join(slates, counting, self._window_s).outcomes
        return {seq: outcome for (seq, _), outcome in zip(shown, outcomes, strict=True)}

    def _user_of(self, row: Logged) -> int | None:
        """The row of a person as they are known now, -1: still nobody; None: nothing of theirs is learned."""
        users = self._users
        if row.user_row is None:
            found = None if row.user_id is None else users.row(row.user_id)
            if found is None:
                return -1
        else:
            found = users.row(users.id(row.user_row))
        return found if found is not None and self._allows(found) else None

    def _signals(self, connection: Connection, users: Sequence[int], since: int) -> list[Signal]:
        types = {row: name for name in SIGNALS if (row := self._kinds.row(name)) is not None}
        signals = []
        for start in range(0, len(users), _AT_ONCE):
            some = users[start : start + _AT_ONCE]
            for told in exploring.told_of(connection, some, list(types), since):
                kind, request_id = types[told.type_row], told.context.get("request_id")
                value = worth(kind, told.value, told.context)
                if isinstance(request_id, str) and value is not None:
                    signals.append(
                        Signal(
                            event_id=told.event_id,
                            kind=kind,
                            user=told.user_row,
                            item=told.item_row,
                            time=told.time,
                            worth=value,
                            seconds=finite(told.context.get("feedback_value")) if kind == "dwell" else None,
                            request_id=request_id,
                        )
                    )
        return signals


_AT_ONCE = 500
