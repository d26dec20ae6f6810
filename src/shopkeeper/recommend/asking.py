"""Who answers when a channel is asked: from a name and a question to the channel, and what it knows its answer by."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.channels import GRAPH, LIVE, SPACE, SPACES, Again, Channel, Trending
from shopkeeper.recommend.nearest import Nearest


@dataclass(frozen=True)
class Question:
    """`user` row, -1: nobody known. `anchored`: about a page or a basket, whose items are the history, and not about
    the user. `context` as the request gave it."""

    user: int
    anchored: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A channel for one question, and the versions of the models that it answers by."""

    channel: Channel
    versions: Mapping[str, int] = field(default_factory=dict)


class Channels:
    """All channels of a shop. Used on the thread that owns the feature state."""

    def __init__(self, state: FeatureState, binder: Binder, spaces: Mapping[str, VectorSpace] | None = None) -> None:
        """`spaces` of users and items, by their names."""
        self._binder = binder
        self._spaces = spaces or {}
        self._live: dict[str, Asked] = {"again": Asked(Again()), "trending": Asked(Trending(state))}

    def find(self, name: str, question: Question) -> Asked | None:
        """None: the channel has nothing to say to such a question. Raises Unavailable when its model does not serve."""
        if name in LIVE:
            return self._live[name]
        if name == GRAPH or name.startswith(SPACE):
            return self._space(SPACES.get(name, name.removeprefix(SPACE)), question)
        bound = self._binder.channel(name)
        if bound is None:
            raise Unavailable("no model serves")
        return Asked(bound[0], {name: bound[1].version})

    def _space(self, name: str, question: Question) -> Asked | None:
        """A shop does well without, so a missing space is no failure; a page or a basket is nobody's taste."""
        space = self._spaces.get(name)
        version = None if space is None else space.version
        if space is None or version is None or question.user < 0 or question.anchored:
            return None
        model, _, number = version.rpartition("/")
        return Asked(Nearest(space, question.user), {model: int(number)})


def check_channel(name: str, models: Collection[str]) -> None:
    """Is there such a channel? `models` are the names under which recall models are trained here, served or not.

    Raises Invalid (`unknown_channel`), naming what there is; the caller adds where it stood.
    """
    if name in LIVE or name == GRAPH or name in models or (name.startswith(SPACE) and len(name) > len(SPACE)):
        return
    there = [*LIVE, GRAPH, f"{SPACE}NAME", *sorted(models)]
    raise Invalid(f"no channel {name[:64]!r}; there are: {', '.join(there)}", code="unknown_channel")
