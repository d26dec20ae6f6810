"""The parts of one user's fused score: what the rules say, what was bought, and the activity.

Each part can stand at the user's own value or at that of the average customer of the training. All sums of parts are
the user's inputs when every part is the user's, and the average customer's when none is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.records import Rule
from shopkeeper.profiles.families import FAMILIES, family_of
from shopkeeper.profiles.fusion.inputs import summarised
from shopkeeper.profiles.fusion.model import FusionInputs, FusionModel
from shopkeeper.rules.vectors import Numbers

_OTHER, _NONE = "other items", "no items"


@dataclass(frozen=True)
class RuleSide:
    """R rules with a weight, in F families: `family` (R,) of each, `weight` and `matched` (R,), `rate` (R,) how often
    each matched in training; a rule that is younger than the model has rate 0."""

    names: tuple[str, ...]
    families: tuple[str, ...]
    family: NDArray[np.int64]
    weight: Numbers
    matched: NDArray[np.bool_]
    rate: Numbers

    @classmethod
    def of(
        cls,
        rules: Sequence[Rule],
        reads: Sequence[frozenset[str]],
        matched: NDArray[np.bool_],
        model: FusionModel,
    ) -> RuleSide:
        """`reads`: the fields of each rule's condition. Rules of weight 0 are left out: they add nothing."""
        weighty = [at for at, rule in enumerate(rules) if rule.weight != 0]
        found = [family_of(reads[at]) for at in weighty]
        families = tuple(family for family in FAMILIES if family in found)
        place = {family: at for at, family in enumerate(families)}
        return cls(
            names=tuple(rules[at].name for at in weighty),
            families=families,
            family=np.array([place[family] for family in found], dtype=np.int64),
            weight=np.array([rules[at].weight for at in weighty], dtype=np.float64),
            matched=matched[weighty].astype(np.bool_),
            rate=np.array([model.rule_rates.get(rules[at].name, 0.0) for at in weighty], dtype=np.float64),
        )

    def summary(self, members: Numbers) -> Numbers:
        """(m, F) of 0 and 1 -> (m, len(SUMMARY)): the rules of the families that are in; the others match nobody."""
        strength = members[:, :, None] * self.strength()
        ends = strength[:, :, 0].max(axis=1, initial=0.0), strength[:, :, 1].min(axis=1, initial=0.0)
        possible = float(np.abs(self.weight).sum())
        return summarised(members @ self.sums(), np.stack(ends, axis=1), len(self.weight), possible)

    @property
    def gains(self) -> Numbers:
        """(R,) what each adds to the rule score, less what it adds to the average customer's."""
        return self.weight * (self.matched - self.rate)

    @property
    def average(self) -> float:
        """The rule score of the average customer, by the rules of today."""
        return float(self.weight @ self.rate)

    def by_family(self, of_rules: Numbers) -> Numbers:
        """(R,) -> sums (F,)."""
        found: Numbers = np.bincount(self.family, of_rules, len(self.families)).astype(np.float64)
        return found

    def sums(self) -> Numbers:
        """(F, 4) of the matched weights: all, positive, negative, and how many."""
        own = self.weight * self.matched
        parts = (own, np.maximum(own, 0.0), np.minimum(own, 0.0), self.matched.astype(np.float64))
        return np.stack([self.by_family(part) for part in parts], axis=1)

    def strength(self) -> Numbers:
        """(F, 2): the greatest and the least matched weight of each family, 0 where there is none."""
        own = self.weight * self.matched
        found = np.zeros((len(self.families), 2))
        np.maximum.at(found[:, 0], self.family, own)
        np.minimum.at(found[:, 1], self.family, own)
        return found

    def shares(self) -> Numbers:
        """(F,) of what the average customer matches, by weight without sign; adds up to 1."""
        typical = self.by_family(np.abs(self.weight) * self.rate)
        return _portions(typical if typical.any() else self.by_family(np.abs(self.weight)))


@dataclass(frozen=True)
class Basket:
    """The m items that stand in the user's embedding: `names` to show, `category` of each or None, `weight` (m,), and
    `vectors` float64 (m, d)."""

    names: tuple[str, ...]
    category: tuple[str | None, ...]
    weight: Numbers
    vectors: Numbers


@dataclass(frozen=True)
class Players:
    """A user against the average customer. `own` is what the model is given for the user (one row).

    `fields` (a,) names the profile field that each activity number is made of.
    """

    model: FusionModel
    own: FusionInputs
    rules: RuleSide
    basket: Basket
    fields: tuple[str, ...]

    @property
    def base(self) -> FusionInputs:
        """The average customer under the rules of today."""
        mean = self.model.baseline
        summary = mean.rules if self.rules.families else np.zeros_like(mean.rules)
        return FusionInputs(np.array([self.rules.average]), summary, mean.embedding, mean.activity, mean.seen)

    def item_shares(self) -> Numbers:
        """(m or 1,) of the embedding by weight; adds up to 1. Without items one part holds all of it."""
        return _portions(self.basket.weight) if len(self.basket.weight) else np.ones(1)

    def item_parts(self) -> Numbers:
        """(m or 1, d): each item's part of the user's embedding. The last digit that float32 cuts off is shared out, so
        that the parts add up to what the model is given."""
        shares = self.item_shares()
        own = self.own.embedding[0].astype(np.float64)
        parts = (
            self.basket.weight[:, None] * self.basket.vectors if len(self.basket.weight) else np.zeros((1, len(own)))
        )
        whole: Numbers = parts + shares[:, None] * (own - parts.sum(axis=0))
        return whole

    def item_groups(self, most: int) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """(names, the group of each part): the categories that weigh most, then all other items; at most `most`."""
        if not len(self.basket.weight):
            return (_OTHER if self.own.seen[0] else _NONE,), np.zeros(1, dtype=np.int64)
        kept = self._heaviest(most)
        place: dict[str | None, int] = {category: at for at, category in enumerate(kept)}
        group = np.array([place.get(category, len(kept)) for category in self.basket.category], dtype=np.int64)
        names = tuple(f"bought:{category}" for category in kept)
        return (*names, _OTHER) if (group == len(kept)).any() else names, group

    def _heaviest(self, most: int) -> list[str]:
        """The categories that get a group of their own."""
        weight: dict[str, float] = {}
        for category, share in zip(self.basket.category, self.item_shares(), strict=True):
            if category is not None:
                weight[category] = weight.get(category, 0.0) + float(share)
        ranked = sorted(weight, key=lambda category: (-weight[category], category))
        fits = len(ranked) <= most and None not in self.basket.category
        return ranked if fits else ranked[: most - 1]


def _portions(values: Numbers) -> Numbers:
    total = values.sum()
    return values / total if total else np.full(len(values), 1.0 / max(len(values), 1))
