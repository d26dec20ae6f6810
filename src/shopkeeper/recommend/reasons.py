"""Why an item is in the slate, in a sentence and as data. The reason is what spoke most for it, not a decoration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.recommend.candidates import Candidates
from shopkeeper.recommend.channels import GRAPH, Channel
from shopkeeper.recommend.history import History

OFTEN = 3
_NEIGHBOURS = ("ease", "item_knn")


@dataclass(frozen=True)
class Reason:
    """`kind`: again, because, goes_with, alike, popular or fits; `item`: row of the one that speaks for it, or -1."""

    kind: str
    text: str
    item: int = -1
    times: int = 0

    def facts(self, ids: Sequence[str]) -> dict[str, Any]:
        facts: dict[str, Any] = {"kind": self.kind}
        if self.item >= 0:
            facts["item_id"] = ids[self.item]
        if self.times:
            facts["times"] = self.times
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
    wanted = candidates.items[places].tolist()
    times = [lines.get(item, 0) for item in wanted]
    new = np.array([item for item, bought in zip(wanted, times, strict=True) if not bought], dtype=np.int32)
    voters = {
        name: dict(zip(new.tolist(), channels[name].because(history, new).tolist(), strict=True))
        for name in _NEIGHBOURS
        if name in channels and len(new)
    }
    result = []
    for place, item, bought in zip(places.tolist(), wanted, times, strict=True):
        voter = _strongest(candidates, place, {name: found.get(item, -1) for name, found in voters.items()})
        result.append(_reason(bought, voter, history, candidates, place, names, anchored))
    return result


def _strongest(candidates: Candidates, place: int, voters: Mapping[str, int]) -> int:
    """The voter of the neighbour channel that speaks loudest for the candidate, -1: none."""
    strength, at = candidates.strength[place], candidates.channels.index
    loud = [(float(strength[at(name)]), voter) for name, voter in voters.items() if voter >= 0]
    return max(loud)[1] if loud else -1


def _reason(
    times: int,
    voter: int,
    history: History,
    candidates: Candidates,
    place: int,
    names: Sequence[str],
    anchored: bool,
) -> Reason:
    if times >= OFTEN:
        return Reason("again", f"you buy this often ({times} times)", times=times)
    if times > 0:
        return Reason("again", "you bought this before", times=times)
    if voter >= 0:
        item = int(history.items[voter])
        name = names[item]
        if anchored:
            return Reason("goes_with", f"often bought together with {name}", item)
        if history.lines[voter] == 0:
            return Reason("because", f"because you looked at {name}", item)
        return Reason("because", f"because you bought {name}", item)
    channels = candidates.channels_of(place)
    if GRAPH in channels:
        return Reason("alike", "taken by customers with a taste like yours")
    if "trending" in channels:
        return Reason("popular", "popular this week")
    if "popularity" in channels:
        return Reason("popular", "popular in this shop")
    return Reason("fits", "fits what you bought")
