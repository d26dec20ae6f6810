"""Why an item is in the slate, in a sentence and as data. The reason is what spoke most for it, not a decoration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.candidates import Candidates
from shopkeeper.recommend.channels import BASKET, GRAPH, SIMILAR, SPACE, Channel
from shopkeeper.recommend.due import Due
from shopkeeper.recommend.history import History

OFTEN = 3
_SILENT = frozenset({"again", "context", "due", "meaning", "new", "popularity", "query", "trending", GRAPH})
"""Channels in which no item speaks for another."""
_LIKE = frozenset({"content", SIMILAR})
_SOUGHT = frozenset({"context", "meaning", "query"})
_TASTE = frozenset({GRAPH, "als"})
_SOON = 0.8
"""Share of the usual interval after which it is told that an item is due."""
_BROKEN = 6.0
"""So many intervals after which nobody can be said to buy it in that rhythm."""


@dataclass(frozen=True)
class Reason:
    """`kind`: again, due, matches, because, like, goes_with, new, alike, popular or fits; `item`: row of the one that
    speaks for it, or -1; `times` that it was bought, `days` between two purchases, 0: not told."""

    kind: str
    text: str
    item: int = -1
    times: int = 0
    days: float = 0.0

    def facts(self, ids: Sequence[str]) -> dict[str, Any]:
        facts: dict[str, Any] = {"kind": self.kind}
        if self.item >= 0:
            facts["item_id"] = ids[self.item]
        if self.times:
            facts["times"] = self.times
        if self.days:
            facts["days"] = round(self.days, 1)
        return facts


def reasons(
    candidates: Candidates,
    places: NDArray[np.int64],
    history: History,
    channels: Mapping[str, Channel],
    names: Sequence[str],
    *,
    anchored: bool,
) -> list[Reason]:
    """One for each of `places` (positions in the candidates). `names` are the items' names by row."""
    lines = {} if anchored else dict(zip(history.items.tolist(), history.lines.tolist(), strict=True))
    due = channels.get("due")
    rhythm = _rhythm(due) if isinstance(due, Due) else {}
    rows = candidates.items[places].tolist()
    named = [frozenset(candidates.channels_of(place)) for place in places.tolist()]
    new = [at for at, row in enumerate(rows) if not lines.get(row, 0)]
    spoken = _spoken(candidates, places, new, named, channels, history)
    result = []
    for at, row in enumerate(rows):
        times = lines.get(row, 0)
        if times:
            result.append(_again(times, rhythm.get(row) if "due" in named[at] else None))
        elif named[at] & _SOUGHT:
            result.append(Reason("matches", "matches what you look for"))
        elif at in spoken:
            channel, voter = spoken[at]
            result.append(_because(channel, int(history.items[voter]), int(history.lines[voter]), names, anchored))
        else:
            result.append(_known_to_all(named[at]))
    return result


def _spoken(
    candidates: Candidates,
    places: NDArray[np.int64],
    wanted: Sequence[int],
    named: Sequence[frozenset[str]],
    channels: Mapping[str, Channel],
    history: History,
) -> dict[int, tuple[str, int]]:
    """For a position in `places` the channel that speaks loudest and the position in the history it speaks by. Of those
    that speak by items, each is asked only for what it says loudest."""
    speaking = [(at, name) for at, name in enumerate(candidates.channels) if name in channels and name not in _SILENT]
    asked: dict[str, list[int]] = {}
    for at in wanted if len(history) else ():
        strength = candidates.strength[places[at]]
        loud = [(float(strength[column]), name) for column, name in speaking if name in named[at]]
        if loud:
            asked.setdefault(max(loud)[1], []).append(at)
    found: dict[int, tuple[str, int]] = {}
    for name, at_of in asked.items():
        voters = channels[name].because(history, candidates.items[places[at_of]]).tolist()
        found.update((at, (name, voter)) for at, voter in zip(at_of, voters, strict=True) if voter >= 0)
    return found


def _rhythm(due: Due) -> dict[int, tuple[float, float]]:
    """(days between two purchases, days since the last) by item row."""
    items, _, days, age = due.known
    return dict(zip(items.tolist(), zip(days.tolist(), age.tolist(), strict=True), strict=True))


def _again(times: int, rhythm: tuple[float, float] | None) -> Reason:
    if rhythm is not None and _SOON * rhythm[0] <= rhythm[1] <= _BROKEN * rhythm[0]:
        days, age = rhythm
        text = f"you buy this about every {_days(days)}, last {_days(age)} ago"
        return Reason("due", text, times=times, days=days)
    if times >= OFTEN:
        return Reason("again", f"you buy this often ({times} times)", times=times)
    return Reason("again", "you bought this before", times=times)


def _because(channel: str, item: int, lines: int, names: Sequence[str], anchored: bool) -> Reason:
    name = names[item]
    if channel in _LIKE:
        return Reason("like", f"similar to {name}", item)
    if anchored or channel == BASKET:
        return Reason("goes_with", f"often bought together with {name}", item)
    if lines == 0:
        return Reason("because", f"because you looked at {name}", item)
    return Reason("because", f"because you bought {name}", item)


def _known_to_all(named: frozenset[str]) -> Reason:
    if "new" in named:
        return Reason("new", "new in the shop")
    if named & _TASTE or any(name.startswith(SPACE) for name in named):
        return Reason("alike", "taken by customers with a taste like yours")
    if "trending" in named:
        return Reason("popular", "popular this week")
    if "popularity" in named:
        return Reason("popular", "popular in this shop")
    return Reason("fits", "fits what you bought")


def _days(days: float) -> str:
    whole = max(round(days), 1)
    return "1 day" if whole == 1 else f"{whole} days"
