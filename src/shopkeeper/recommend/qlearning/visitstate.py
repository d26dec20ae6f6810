"""What a shop sees of a visit, as an agent reads it: one code for the simulator's sessions and a shop's slates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from shopkeeper.recommend.qlearning.steps import Floats, Ints

STATE: Final = 16
MOST_ACTIONS: Final = 4


@dataclass(frozen=True)
class Seen:
    """Of m visits, each (m,) but `by_action` (m, MOST_ACTIONS): the `slates` so far, the clicks (`hits`) on the last,
    different items clicked on in all (`clicks`), slates since a click (`quiet`), whether the person is `known`, the
    action of the `last` slate (-1: none yet), clicks on slates of each action; `stale`, the share of a slate that the
    visit had seen before; `before`, different items that the person was known by before the visit; `share` of all items
    that the visit has seen."""

    slates: Ints
    hits: Floats
    clicks: Floats
    quiet: Floats
    known: Floats
    last: Ints
    by_action: Floats
    stale: Floats
    before: Floats
    share: Floats


def states(seen: Seen) -> Floats:
    """(m, STATE), each number from 0 to 1."""
    state = np.zeros((len(seen.slates), STATE))
    state[:, 0] = np.minimum(seen.slates / 8, 1.0)
    state[:, 1] = np.minimum(seen.hits / 3, 1.0)
    state[:, 2] = np.minimum(seen.clicks / 8, 1.0)
    state[:, 3] = np.minimum(seen.quiet / 3, 1.0)
    state[:, 4] = seen.known
    met = seen.last >= 0
    state[np.flatnonzero(met), 5 + seen.last[met]] = 1.0
    state[:, 9:13] = np.minimum(seen.by_action / 4, 1.0)
    state[:, 13] = seen.stale
    state[:, 14] = np.minimum(seen.before / 12, 1.0)
    state[:, 15] = np.minimum(seen.share, 1.0)
    return state
