"""The fused score of one user as a game of named groups: rule families, groups of items, terms of activity."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from shopkeeper.profiles.families import TERMS, term_of
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, sigmoid
from shopkeeper.profiles.players import Players
from shopkeeper.rules.vectors import Numbers

MOST_PLAYERS = 12
MOST_ITEM_GROUPS = 5

Members: TypeAlias = NDArray[np.bool_]
"""Coalitions (m, players)."""


@dataclass(frozen=True)
class Game:
    """`item_group` is the group of each item (m or 1,), `term` that of each activity number (a,)."""

    names: tuple[str, ...]
    players: Players
    n_families: int
    n_items: int
    item_group: NDArray[np.int64]
    term: NDArray[np.int64]

    @classmethod
    def of(cls, players: Players) -> Game:
        """At most `MOST_PLAYERS`."""
        terms = [term_of(field) for field in players.fields]
        present = tuple(term for term in TERMS if term in terms)
        families = tuple(f"rules:{family}" for family in players.rules.families)
        room = MOST_PLAYERS - len(families) - len(present)
        items, group = players.item_groups(min(MOST_ITEM_GROUPS, room))
        names = (*families, *items, *(f"activity:{term}" for term in present))
        at = np.array([present.index(term) for term in terms], dtype=np.int64)
        return cls(names, players, len(families), len(items), group, at)

    def worth(self, members: Members) -> Numbers:
        """The score (m,) of each coalition, gate included.

        The gate's net begins with a sum, to which each of the three kinds of players adds its own part: it is worked
        out once for each different part of a coalition, which takes a third of the time of asking the model.
        """
        model = self.players.model
        (family, rules_at), (item, items_at), (term, terms_at) = map(_distinct, self._split(members))
        score, summary = self._rules(family)
        embedding, seen = self._items(item)
        activity = self._activity(term)
        to_rules, to_items, to_activity = np.split(model.net.hidden, [len(SUMMARY), len(SUMMARY) + model.dims])
        hidden = (summary @ to_rules)[rules_at]
        hidden += (embedding @ to_items)[items_at]
        hidden += (activity @ to_activity + model.net.hidden_bias)[terms_at]
        said = np.maximum(hidden, 0.0, out=hidden) @ model.net.out + model.net.out_bias
        gate = 1.0 - sigmoid(-said) * (seen / (seen + model.kappa))[items_at]
        f_nn = (embedding @ model.w_embedding)[items_at] + (activity @ model.w_activity + model.bias)[terms_at]
        return gate * model.f_rule(score)[rules_at] + (1.0 - gate) * f_nn

    def asked(self, members: Members) -> Numbers:
        """The same by the model itself, in one call."""
        family, item, term = self._split(members)
        score, summary = self._rules(family)
        embedding, seen = self._items(item)
        # Not float32, as what is gathered for a user is: a coalition's parts would no longer add up.
        inputs = FusionInputs(score, summary, embedding, self._activity(term), seen)  # type: ignore[arg-type]
        return self.players.model.fuse(inputs).score

    def two(self, members: Members) -> Numbers:
        """The game of two: all rules as one player, all else as the other."""
        return self.worth(np.repeat(members, [self.n_families, len(self.names) - self.n_families], axis=1))

    # -- what a coalition stands at --------------------------------------------------------------------------

    def _split(self, members: Members) -> list[Members]:
        return np.split(members, [self.n_families, self.n_families + self.n_items], axis=1)

    def _rules(self, family: Members) -> tuple[Numbers, Numbers]:
        """Rule score (m,) and summary (m, len(SUMMARY))."""
        rules, base, there = self.players.rules, self.players.base, family.astype(np.float64)
        absent = 1.0 - there @ rules.shares()
        score = base.score + there @ rules.by_family(rules.gains)
        return score, rules.summary(there) + absent[:, None] * base.rules

    def _items(self, item: Members) -> tuple[Numbers, Numbers]:
        """Embedding (m, d) and seen (m,)."""
        players, own, base = self.players, self.players.own, self.players.base
        parts = np.zeros((self.n_items, players.model.dims))
        np.add.at(parts, self.item_group, players.item_parts())
        there = item @ np.bincount(self.item_group, players.item_shares(), self.n_items)
        absent = 1.0 - there
        return item @ parts + absent[:, None] * base.embedding, there * own.seen + absent * base.seen

    def _activity(self, term: Members) -> Numbers:
        """(m, a)."""
        own, base = self.players.own.activity, self.players.base.activity
        return np.where(term[:, self.term], own, base).astype(np.float64)


def _distinct(members: Members) -> tuple[Members, NDArray[np.intp]]:
    """The different rows, and the place among them of each row (m,)."""
    codes = members @ (1 << np.arange(members.shape[1]))
    _, first, place = np.unique(codes, return_index=True, return_inverse=True)
    return members[first], place
