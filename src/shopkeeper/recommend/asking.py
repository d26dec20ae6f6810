"""Who answers when a channel is asked: from a name and a question to the channel, and what it knows its answer by."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid, Unavailable
from shopkeeper.core.protocols import VectorSpace
from shopkeeper.features.state import FeatureState
from shopkeeper.recommend.blend import Blend
from shopkeeper.recommend.bound import Binder
from shopkeeper.recommend.channels import (
    BASKET,
    BLENDED,
    DESCRIBED,
    GRAPH,
    LIVE,
    MEANING,
    OPTIONAL,
    SIMILAR,
    SPACE,
    SPACES,
    Again,
    Channel,
    Trending,
)
from shopkeeper.recommend.content import ContentIndex
from shopkeeper.recommend.described import QUERY, Content, Query, Sought
from shopkeeper.recommend.due import Due
from shopkeeper.recommend.history import given_items
from shopkeeper.recommend.meaning import MODEL, Meaning
from shopkeeper.recommend.nearest import Nearest
from shopkeeper.recommend.newcomers import New
from shopkeeper.recommend.together import Together

CART_SPAN = DAY
_CART = "cart"
_MOST_IN_CART = 20
_PARTS = {
    SIMILAR: (("content", 1.0), ("item_knn", 1.0), ("ease", 0.5), ("together", 0.5)),
    BASKET: (("ease", 1.0), ("item_knn", 1.0), ("together", 1.0), ("content", 0.25)),
}


@dataclass(frozen=True)
class Question:
    """`user` row, -1: nobody known. `anchored`: about a page or a basket, whose items are the history, and not about
    the user. `context` as the request gave it; `now` us."""

    user: int
    now: int
    anchored: bool = False
    context: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Asked:
    """A channel for one question, and the versions of the models that it answers by."""

    channel: Channel
    versions: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Told:
    """What records say. Those of items: an `index` of their words, and when they were `made`, us by row int64 (n,).
    `users`: the attributes of a user's record, by row, as they are now."""

    index: ContentIndex
    made: Callable[[], NDArray[np.int64]] | None = None
    users: Callable[[int], Mapping[str, Any]] | None = None


class Channels:
    """All channels of a shop. Used on the thread that owns the feature state."""

    def __init__(
        self,
        state: FeatureState,
        binder: Binder,
        spaces: Mapping[str, VectorSpace] | None = None,
        told: Told | None = None,
    ) -> None:
        """`spaces` of users and items by their names; without `told` no channel knows what is said of items."""
        self._state = state
        self._binder = binder
        self._spaces = spaces or {}
        self._index = None if told is None else told.index
        self._said_of = None if told is None else told.users
        self._always: dict[str, Asked] = {
            "again": Asked(Again()),
            "trending": Asked(Trending(state)),
            "together": Asked(Together(state)),
            "new": Asked(New(state, None if told is None else told.made)),
        }
        if self._index is not None:
            self._always["content"] = Asked(Content(self._index))

    def find(self, name: str, question: Question) -> Asked | None:
        """None: the channel has nothing to say to such a question. Raises Unavailable when its model does not serve."""
        if name in self._always:
            return self._always[name]
        if name == "due":
            personal = question.user >= 0 and not question.anchored
            return Asked(Due(self._state, question.user)) if personal else None
        if name in DESCRIBED:
            sought, index = Sought.of(question.context), self._index
            if index is None or sought is None or (name == QUERY and not sought.text):
                return None
            return Asked(Query(index, self._state, sought))
        if name == MEANING:
            return self._meaning(question)
        if name in BLENDED:
            return self._blend(name, question)
        if name == GRAPH or name.startswith(SPACE):
            return self._space(SPACES.get(name, name.removeprefix(SPACE)), question)
        bound = self._binder.channel(name)
        if bound is None:
            if name in OPTIONAL:
                return None
            raise Unavailable("no model serves")
        channel = bound[0]
        if self._said_of is not None and question.user >= 0 and not question.anchored:
            channel = channel.of(self._said_of(question.user))
        return Asked(channel, {name: bound[1].version})

    def _meaning(self, question: Question) -> Asked | None:
        """Only for a text that is looked for, and in a shop that has learned what texts mean."""
        sought = Sought.of(question.context)
        if self._index is None or sought is None or not sought.text:
            return None
        found = self._binder.meanings(MODEL, self._index.shelf)
        return None if found is None else Asked(Meaning(found[0], sought.text), {MODEL: found[1].version})

    def _space(self, name: str, question: Question) -> Asked | None:
        """A shop does well without, so a missing space is no failure; a page or a basket is nobody's taste."""
        space = self._spaces.get(name)
        if space is None:
            return self._model_space(name)
        version = space.version
        if version is None or question.user < 0 or question.anchored:
            return None
        model, _, number = version.rpartition("/")
        return Asked(Nearest(space, question.user), {model: int(number)})

    def _model_space(self, name: str) -> Asked | None:
        """The item vectors of a model that serves: whoever took something lies in the middle of it."""
        found = self._binder.vectors(name)
        return None if found is None else Asked(found[0], {name: found[1].version})

    def _blend(self, name: str, question: Question) -> Asked | None:
        """What is missing of its parts is left out; without any there is no such channel."""
        items = None
        if name == BASKET and not question.anchored:
            cart = self._cart(question)
            if not len(cart):
                return None
            items = given_items(cart)
        parts: list[tuple[Channel, float]] = []
        versions: dict[str, int] = {}
        for part, weight in _PARTS[name]:
            try:
                asked = self.find(part, question)
            except Unavailable:
                continue
            if asked is not None:
                parts.append((asked.channel, weight))
                versions.update(asked.versions)
        most = 1 if name == SIMILAR and not question.anchored else _MOST_IN_CART
        return Asked(Blend(parts, most, items), versions) if parts else None

    def _cart(self, question: Question) -> NDArray[np.int32]:
        """What the user put into the cart within a day and has not ordered since, newest first."""
        row = self._state.kinds.row(_CART)
        if row is None or question.user < 0:
            return _NO_ITEMS
        past = self._state.past(question.user, question.now)
        start = past.start(CART_SPAN)
        items, times = past.rows["item"][start:], past.times[start:]
        put = (past.rows["type"][start:] == row) & (items >= 0)
        bought_at, bought = past.orders
        since = bought_at >= (times[0] if len(times) else 0)
        bought_at, bought = bought_at[since], bought["item"][since]
        kept: dict[int, None] = {}
        for item, time in zip(items[put][::-1].tolist(), times[put][::-1].tolist(), strict=True):
            if not bool(((bought == item) & (bought_at >= time)).any()):
                kept[item] = None
        return np.array(list(kept)[:_MOST_IN_CART], dtype=np.int32)


def channel_names(models: Collection[str]) -> list[str]:
    """All that a scenario may name. `models` are the names under which recall models are trained here, served or not;
    beside them `space:NAME` is a space of vectors."""
    return [*LIVE, *DESCRIBED, MEANING, *BLENDED, GRAPH, *sorted(set(models))]


def check_channel(name: str, models: Collection[str]) -> None:
    """Is there such a channel? `models` as in `channel_names`.

    Raises Invalid (`unknown_channel`), naming what there is; the caller adds where it stood.
    """
    there = channel_names(models)
    if name not in there and not (name.startswith(SPACE) and len(name) > len(SPACE)):
        there.append(f"{SPACE}NAME")
        raise Invalid(f"no channel {name[:64]!r}; there are: {', '.join(there)}", code="unknown_channel")


_NO_ITEMS = np.empty(0, dtype=np.int32)
