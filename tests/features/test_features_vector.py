"""Named features as a matrix, and a stranger's feature among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import pytest
from feature_world import LONDON, T0, batch, event, rows_of, shop

from shopkeeper.checks.features import CHECKS, Types
from shopkeeper.core.clock import DAY
from shopkeeper.core.errors import NotFound
from shopkeeper.features.base import Ask, grown
from shopkeeper.features.registry import standard
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet


class Likes:
    """Writes: likes by item."""

    def __init__(self, kinds, /):
        self.kinds, self.by_item = kinds, np.zeros(0, dtype=np.int32)

    def apply(self, events, _state, /):
        liked = events.item[(events.type == self.kinds.row("like")) & (events.item >= 0)]
        if len(liked):
            self.by_item = grown(self.by_item, int(liked.max()) + 1)
            np.add.at(self.by_item, liked, 1)


@dataclass(frozen=True)
class ItemLikes:
    """A shop's own feature: one class that events write, one that a request reads."""

    name: str = "item_likes"
    group: str = "aggregated"
    of: str = "item"
    unit: str = "likes"
    default: float = 0.0
    version: int = 1
    help: str = "likes of the item, all time"
    needs: ClassVar = (Likes,)

    def read(self, ask):
        return ask.gather(ask.state.part(Likes).by_item, 0.0)


@dataclass(frozen=True)
class Broken(ItemLikes):
    name: str = "broken"
    default: float = 4.0

    def read(self, ask):
        return np.array([1.0, np.nan, np.inf], dtype=np.float32)[: len(ask.items)]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_strangers_feature_passes_the_same_checks(check):
    check(ItemLikes())


def test_columns_stand_in_the_order_of_the_names():
    state = shop(event("order", 0, 1, 0, price=3.0))
    chosen = FeatureSet(["item_price", "pair_bought_before", "user_orders_all"])
    assert chosen.names == ("item_price", "pair_bought_before", "user_orders_all")
    matrix = chosen.matrix(Ask(0, T0 + DAY, rows_of([0, 1, 77]), state))
    assert matrix.tolist() == [[0, 0, 1], [3, 1, 1], [0, 0, 1]]
    assert matrix.dtype == np.float32
    assert matrix.flags.c_contiguous


def test_all_registered_features_are_the_default():
    assert FeatureSet().names == tuple(standard())
    assert FeatureSet().matrix(Ask(-1, T0, rows_of([]), shop())).shape == (0, len(standard()))


def test_an_unknown_name_is_refused_with_what_there_is():
    with pytest.raises(NotFound, match=r"no feature 'item_prize'.*item_price"):
        FeatureSet(["item_prize"])


def test_what_is_not_finite_takes_the_default_and_is_counted():
    state = FeatureState(LONDON, Types(), features=[Broken()])
    ask = Ask(0, T0, rows_of([0, 1, 2]), state)
    own = FeatureSet.of([Broken()])
    assert own.matrix(ask).ravel().tolist() == [1, 4, 4]
    assert own.missing == 2
    assert FeatureSet.of([Broken()], defaults={"broken": 9.0}).matrix(ask).ravel().tolist() == [1, 9, 9]


def test_a_broken_feature_is_caught_by_the_checks():
    failed = []
    for check in CHECKS:
        try:
            check(Broken())
        except (AssertionError, ValueError):
            failed.append(check.__name__)
    assert "check_shape_and_finite" in failed
    assert "check_default_for_unknown_user" in failed


def test_a_feature_that_depends_on_the_order_of_arrival_is_caught_by_the_checks():
    @dataclass(frozen=True)
    class LastSeen:
        """What arrived last wins, whatever its time."""

        name: str = "item_last_seen"
        needs: ClassVar = (LastArrived,)
        group: str = "aggregated"
        of: str = "item"
        unit: str = "row"
        default: float = 0.0
        version: int = 1
        help: str = "the item seen last"

        def read(self, ask):
            return np.full(len(ask.items), ask.state.part(LastArrived).item, dtype=np.float32)

    late = next(check for check in CHECKS if check.__name__ == "check_late_events_end_in_the_same_state")
    with pytest.raises(AssertionError):
        late(LastSeen())


class LastArrived:
    def __init__(self, _kinds):
        self.item = 0

    def apply(self, events, _state):
        self.item = int(events.item[-1])


def test_applying_by_hand_is_what_the_stranger_reads():
    state = FeatureState(LONDON, Types(), features=[ItemLikes()])
    state.apply(batch(event("like", 0, 2, 0), event("like", 1, 2, 1), event("view", 1, 1, 2)))
    assert FeatureSet.of([ItemLikes()]).matrix(Ask(0, T0, rows_of([1, 2]), state)).ravel().tolist() == [0, 2]
