"""What users were shown lately: the filter `seen` reads it. A bounded memory, not a log: that one is slatelog.py."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import HOUR
from shopkeeper.lifecycle.experiments.assigning import Chosen
from shopkeeper.recommend.made import Made

_SLATES = 16
_USERS = 20_000
SEEN_TYPES = ("view", "click", "impression")
"""Events of these types say too that a user saw an item."""
_NOTHING = np.empty(0, dtype=np.int32)


class LatelyShown:
    """The newest slates of the users who were answered last. Used on one thread."""

    def __init__(self, *, users: int = _USERS, slates: int = _SLATES) -> None:
        self._users = users
        self._slates = slates
        self._of: OrderedDict[int, deque[tuple[int, NDArray[np.int32]]]] = OrderedDict()

    def note(self, user: int, rows: NDArray[np.int32], at: int) -> None:
        """Item rows were shown to a user's row at a time (us). Nobody known (-1): nothing is kept."""
        if user < 0 or not len(rows):
            return
        kept = self._of.pop(user, None)
        if kept is None:
            kept = deque(maxlen=self._slates)
        kept.append((at, rows))
        self._of[user] = kept
        while len(self._of) > self._users:
            self._of.popitem(last=False)

    def rows(self, user: int, now: int, hours: float) -> NDArray[np.int32]:
        """Item rows that were shown to the user within the last hours, each perhaps more than once."""
        since = now - int(hours * HOUR)
        found = [rows for at, rows in self._of.get(user, ()) if at > since]
        return np.concatenate(found) if found else _NOTHING

    def forget(self, user: int) -> None:
        self._of.pop(user, None)


class Log(Protocol):
    """Where slates are noted as they are answered: the slate log."""

    def note(self, made: Made) -> None: ...

    def served(self, slate_id: str, times: int = 1) -> None: ...


class Remembering:
    """A log of slates that lets what was shown be remembered too."""

    def __init__(
        self, log: Log, shown: LatelyShown, expose: Callable[[tuple[Chosen, ...]], None] = lambda _: None
    ) -> None:
        """`expose` is told of variants of experiments that somebody was answered by."""
        self._log = log
        self._shown = shown
        self._expose = expose

    def note(self, made: Made) -> None:
        """A slate is answered for the first time."""
        if made.tried:
            self._expose(made.tried)
        self._log.note(made)
        self._shown.note(made.user, made.rows, made.made_at)

    def served(self, slate_id: str, times: int = 1) -> None:
        self._log.served(slate_id, times)
