"""Questions about many users at one moment: what is kept of them is read together, each is then answered by itself.

An `Ask` from here and one made alone say exactly the same; the features do not know which of them they read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from shopkeeper.features.base import Ask
from shopkeeper.features.columns import Flat
from shopkeeper.features.history import UserHistories
from shopkeeper.features.kinds import Role
from shopkeeper.features.past import LENGTHS, SPANS, Known, Past
from shopkeeper.features.rings import LONGEST
from shopkeeper.features.rings import SPANS as WINDOWS
from shopkeeper.features.state import FeatureState
from shopkeeper.features.tiles import Tiles
from shopkeeper.features.windows import OrderLines, order_sums, sums_from

AT_ONCE = 50
"""So many users are read together: with more of them little is won."""
_NO_ITEMS = np.empty(0, dtype=np.int32)
Numbers = NDArray[np.int64]


def live_asks(state: FeatureState, users: Sequence[int], now: int) -> Iterator[Ask]:
    """As `Ask.live` without items, one for each user row, in order. Use each before the next events are applied."""
    rest = iter(users)
    while some := list(islice(rest, AT_ONCE)):
        yield from _together(state, some, now) if len(some) > 1 else [_alone(state, some[0], now)]


def _alone(state: FeatureState, user: int, now: int) -> Ask:
    return Ask.live(user, now, _NO_ITEMS, state)


def _together(state: FeatureState, users: list[int], now: int) -> list[Ask]:
    asks = [_alone(state, user, now) for user in users]
    pasts = _pasts(state, users, now + 1)
    for ask, past in zip(asks, pasts, strict=True):
        ask.past = past
    recent = [ask for ask, past in zip(asks, pasts, strict=True) if past.last_time > now - LONGEST]
    tiles, rows = state.part(Tiles), [ask.user for ask in recent]
    for window in WINDOWS:
        for ask, series in zip(recent, tiles.series_of_many(rows, now + 1, window, state), strict=True):
            ask.know(window, series)
    return asks


def _pasts(state: FeatureState, users: list[int], before: int) -> list[Past]:
    histories, kinds = state.part(UserHistories), state.kinds
    flat = Flat(histories, kinds, np.array(users, dtype=np.int64))
    seen = flat.time < before
    begin = flat.starts[:-1, None]
    ends = begin + _by_user(seen, flat)[:, None]
    starts = np.repeat(begin, len(SPANS), axis=1)
    for at, length in enumerate(LENGTHS[:-1]):
        starts[:, at] += _by_user(flat.time < before - length, flat)
    ordered, back = (np.flatnonzero(seen & (flat.role == role)) for role in (Role.ORDER, Role.RETURN))
    lines = OrderLines(
        flat.user[ordered], flat.time[ordered], flat.item[ordered], flat.quantity[ordered], flat.value[ordered]
    )
    sums = order_sums(lines, np.searchsorted(ordered, starts), np.searchsorted(ordered, ends))
    returned = sums_from(back, np.abs(flat.value[back]), starts, ends)
    told = np.stack([ends - starts, *sums, returned], axis=1).tolist()  # (users, 7, windows)
    last = np.full((len(users), len(kinds)), -1, dtype=np.int64)
    last[flat.user[seen], flat.type[seen]] = flat.time[seen]  # repeated positions are assigned in order
    order = kinds.row("order")
    last_orders = [-1] * len(users) if order is None or order >= len(kinds) else last[:, order].tolist()
    lasts, places = last.tolist(), (starts - begin).tolist()
    pasts = []
    for at, (user, a, b) in enumerate(zip(users, begin[:, 0].tolist(), ends[:, 0].tolist(), strict=True)):
        history = histories.get(user)
        if history is None:
            pasts.append(histories.past(user, before))
            continue
        known = Known(flat.type[a:b], flat.role[a:b], places[at], lasts[at], last_orders[at], told[at])
        pasts.append(Past(history.times[: b - a], history.rows[: b - a], history.folded, before, kinds, known))
    return pasts


def _by_user(where: NDArray[np.bool_], flat: Flat) -> Numbers:
    """How many events (users,) of each."""
    total = np.zeros(len(where) + 1, dtype=np.int64)
    np.cumsum(where, out=total[1:])
    counted: Numbers = total[flat.starts[1:]] - total[flat.starts[:-1]]
    return counted
