"""What a fusion model is given: the same code for a training row as of a past moment, one request, and everybody.

A user's embedding is a sum over the items that the user took: weight * item vector. An item's weight is
log(1 + mass) / length, its mass the sum over the user's events with it (order 1, other interest 1/4), each halved
every `half_life_days`; the length makes the squares of a user's weights add up to 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import Invalid
from shopkeeper.core.records import Rule
from shopkeeper.features.kinds import Role
from shopkeeper.features.state import FeatureState
from shopkeeper.profiles.conditions import Condition
from shopkeeper.profiles.fusion.activity import ACTIVITY, activity
from shopkeeper.profiles.fusion.model import SUMMARY, FusionInputs, FusionModel
from shopkeeper.profiles.table import ProfileTable
from shopkeeper.rules.columns import Columns
from shopkeeper.rules.vectors import Bools, Numbers

_LEAST = 1e-100
_MASS = np.zeros(4)
_MASS[Role.ORDER], _MASS[Role.INTEREST] = 1.0, 0.25


class ItemIds(Protocol):
    """The shop's items by row; it grows while the shop runs."""

    def __len__(self) -> int: ...

    def id(self, row: int, /) -> str: ...


class Places:
    """Rows of the shop -> positions in a model's own items. Used on one thread."""

    def __init__(self, item_ids: Sequence[str], shop: ItemIds) -> None:
        self._positions = {id: at for at, id in enumerate(item_ids)}
        self._shop = shop
        self._known = np.full(1, -1, dtype=np.int32)

    def of(self, rows: NDArray[np.int32]) -> NDArray[np.int32]:
        """(n,) -> (n,); -1 for an item that the model has no vector for, and for row -1: no item."""
        if len(self._known) <= len(self._shop):
            news = range(len(self._known) - 1, len(self._shop))
            found = [self._positions.get(self._shop.id(row), -1) for row in news]
            self._known = np.concatenate([self._known[:-1], np.array([*found, -1], dtype=np.int32)])
        return self._known[rows]  # the last place, that of row -1, is no item's


@dataclass(frozen=True)
class Frame:
    """How inputs are made: item vectors float32 (items, d) at the `places` of shop rows, and the activity's scale."""

    places: Places
    vectors: NDArray[np.float32]
    activity_mean: NDArray[np.float64]
    activity_scale: NDArray[np.float64]
    half_life_days: float


def frame_of(model: FusionModel, shop: ItemIds) -> Frame:
    """Binds a model to this shop. Raises Invalid when it is none of these, or trained with other activity numbers."""
    if not isinstance(model, FusionModel):
        raise Invalid(f"a {type(model).__name__} is no fusion model", code="wrong_model")
    if model.activity_names != ACTIVITY:
        raise Invalid("this fusion model was trained with other activity numbers; train it again", code="bad_artifact")
    return Frame(
        places=Places(model.item_ids, shop),
        vectors=model.item_vectors,
        activity_mean=model.activity_mean,
        activity_scale=model.activity_scale,
        half_life_days=model.half_life_days,
    )


@dataclass(frozen=True)
class Taken:
    """Distinct (user, item) pairs, by user then item: `place` of the user among those asked for (m,), `item` row of the
    shop (m,), `at` its position in the model (m,), `weight` (m,), and `seen` (n,) of each user asked for."""

    place: NDArray[np.int64]
    item: NDArray[np.int32]
    at: NDArray[np.int32]
    weight: NDArray[np.float64]
    seen: NDArray[np.float64]

    def embedding(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """float32 (n, d): each user's sum of weight * vector."""
        n = len(self.seen)
        if n == 1:
            one: NDArray[np.float32] = (self.weight @ vectors[self.at].astype(np.float64)).astype(np.float32)[None, :]
            return one
        from scipy import sparse

        mine = sparse.csr_matrix((self.weight, (self.place, self.at)), shape=(n, len(vectors)))
        many: NDArray[np.float32] = (mine @ vectors.astype(np.float64)).astype(np.float32)
        return many


@dataclass(frozen=True)
class Interest:
    """The events of n users that say something about taste: `place` of the user (m,), `item` row of the shop or -1
    (m,), `mass` (m,) and `age` in days (m,)."""

    n: int
    place: NDArray[np.int64]
    item: NDArray[np.int32]
    mass: NDArray[np.float64]
    age: NDArray[np.float64]

    @classmethod
    def of(cls, state: FeatureState, rows: NDArray[np.int64], now: int | NDArray[np.int64]) -> Interest:
        """Of the users at `rows` (n,) up to `now` (us): one moment, or one for each (n,)."""
        if len(rows) == 1:
            moment = int(now if isinstance(now, int) else now[0])
            past = state.past(int(rows[0]), moment)
            place = np.zeros(len(past.times), dtype=np.int64)
            return cls._of(1, place, past.rows["item"], past.roles, past.times, moment)
        flat = state.columns_of(rows, now).flat
        place = flat.user.astype(np.int64)
        return cls._of(len(rows), place, flat.item, flat.role, flat.time, now if isinstance(now, int) else now[place])

    @classmethod
    def _of(
        cls,
        n: int,
        place: NDArray[np.int64],
        item: NDArray[np.int32],
        role: NDArray[np.int8],
        time: NDArray[np.int64],
        now: int | NDArray[np.int64],
    ) -> Interest:
        mass = _MASS[role]
        kept = np.flatnonzero((mass > 0) & (time <= now))
        return cls(n, place[kept], item[kept], mass[kept], ((now - time) / DAY)[kept])

    def taken(self, places: Places, half_life_days: float) -> Taken:
        seen = np.bincount(self.place, self.mass, self.n).astype(np.float64)
        known = np.flatnonzero(places.of(self.item) >= 0)
        pair, which = np.unique((self.place[known] << 32) | self.item[known], return_inverse=True)
        halved = self.mass[known] * np.exp2(-self.age[known] / half_life_days)
        user, item = pair >> 32, (pair & 0xFFFFFFFF).astype(np.int32)
        weight = np.log1p(np.maximum(np.bincount(which, halved, len(pair)), _LEAST))
        weight = weight / np.sqrt(np.bincount(user, weight**2, self.n))[user]
        return Taken(user, item, places.of(item), weight, seen)


@dataclass(frozen=True)
class Facts:
    """What does not depend on a model: `score` (n,), `rules` (n, len(SUMMARY)), `activity` (n, len(ACTIVITY)) not yet
    standardised, all float64, and the interest of the same n users."""

    score: NDArray[np.float64]
    rules: NDArray[np.float64]
    activity: NDArray[np.float64]
    interest: Interest

    def inputs(self, frame: Frame) -> FusionInputs:
        taken = self.interest.taken(frame.places, frame.half_life_days)
        return FusionInputs(
            score=self.score,
            rules=self.rules,
            embedding=taken.embedding(frame.vectors),
            activity=((self.activity - frame.activity_mean) / frame.activity_scale).astype(np.float32),
            seen=taken.seen.astype(np.float32),
        )


def facts(
    table: ProfileTable, rules: Sequence[tuple[Rule, Condition]], state: FeatureState, rows: NDArray[np.int64]
) -> Facts:
    """Of the users whose rows are `rows` (n,), in the order of the table's n users, at the table's moment."""
    score, summary = rule_summary(rules, table.columns())
    return Facts(score, summary, activity(table), Interest.of(state, rows, table.source.now))


def gather(
    frame: Frame,
    table: ProfileTable,
    rules: Sequence[tuple[Rule, Condition]],
    state: FeatureState,
    rows: NDArray[np.int64],
) -> FusionInputs:
    """What the model of the frame is given for these users, see `facts`."""
    return facts(table, rules, state, rows).inputs(frame)


def gather_one(
    frame: Frame, table: ProfileTable, weights: Numbers, matched: Bools, state: FeatureState, row: int
) -> FusionInputs:
    """The same as `gather` for one user, of whom is known which rules match: `weights` and `matched` (rules,)."""
    score, summary = summary_of(weights, matched)
    interest = Interest.of(state, np.array([row], dtype=np.int64), table.source.now)
    return Facts(score, summary, activity(table), interest).inputs(frame)


def parts(frame: Frame, state: FeatureState, rows: NDArray[np.int64], now: int | NDArray[np.int64]) -> Taken:
    """What the users at `rows` (n,) took up to `now` (us), and with what weight it stands in their embedding."""
    return Interest.of(state, rows, now).taken(frame.places, frame.half_life_days)


def rule_summary(
    rules: Sequence[tuple[Rule, Condition]], columns: Columns
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """`(score (n,), summary (n, len(SUMMARY)))`. Its size does not depend on how many rules there are; rules of weight
    0 do not count. Weights may be large: all but shares go through sign(x) * log(1 + |x|)."""
    total, positive, negative, matched = (np.zeros(columns.n) for _ in range(4))
    strongest, weakest = np.zeros(columns.n), np.zeros(columns.n)
    counted, possible = 0, 0.0
    for rule, condition in rules:
        if rule.weight == 0:
            continue
        counted += 1
        possible += abs(rule.weight)
        value = np.where(condition.many(columns), rule.weight, 0.0)
        total += value
        positive += np.maximum(value, 0.0)
        negative += np.minimum(value, 0.0)
        matched += value != 0
        strongest, weakest = np.maximum(strongest, value), np.minimum(weakest, value)
    sums = np.stack([total, positive, negative, matched], axis=1)
    return total, summarised(sums, np.stack([strongest, weakest], axis=1), counted, possible)


def summary_of(weights: Numbers, matched: Bools) -> tuple[Numbers, Numbers]:
    """`rule_summary` of one user, `(score (1,), summary (1, len(SUMMARY)))`, from `weights` and `matched` (rules,)."""
    value = np.where(matched, weights, 0.0)
    positive, negative = np.maximum(value, 0.0), np.minimum(value, 0.0)
    sums = np.array([[value.sum(), positive.sum(), negative.sum(), np.count_nonzero(value)]], dtype=np.float64)
    strength = np.array([[positive.max(initial=0.0), negative.min(initial=0.0)]])
    return sums[:, 0], summarised(sums, strength, int(np.count_nonzero(weights)), float(np.abs(weights).sum()))


def matches(rules: Sequence[tuple[Rule, Condition]], columns: Columns) -> dict[str, int]:
    """How many of the n users each rule matches, by its name."""
    return {rule.name: int(np.count_nonzero(condition.many(columns))) for rule, condition in rules}


def summarised(
    sums: NDArray[np.float64], strength: NDArray[np.float64], counted: int, possible: float
) -> NDArray[np.float64]:
    """(n, len(SUMMARY)) from `sums` (n, 4): of all, positive and negative matched weights, and how many matched;
    `strength` (n, 2): the greatest and the least matched weight, 0 where there is none; of `counted` rules whose
    weights without their signs add up to `possible`."""
    positive, negative, matched = sums[:, 1], sums[:, 2], sums[:, 3]
    shares = matched / max(counted, 1), (positive - negative) / (possible or 1.0)
    summary = np.column_stack([_squeezed(sums), *shares, _squeezed(strength)])
    assert summary.shape[1] == len(SUMMARY)
    return summary


def _squeezed(values: NDArray[np.float64]) -> NDArray[np.float64]:
    squeezed: NDArray[np.float64] = np.sign(values) * np.log1p(np.abs(values))
    return squeezed
