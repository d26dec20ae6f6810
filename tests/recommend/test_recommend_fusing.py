"""Fusing by a compiled loop, fusing by numpy, and fusing as it is told are one and the same."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pytest

from shopkeeper.recommend.candidates import TOLD, Candidates, Quota, fuse
from shopkeeper.recommend.fusing import FUSE
from shopkeeper.recommend.quicker import LOOPS, quicken
from shopkeeper.recommend.recall.model import ordered
from shopkeeper.recommend.recall.neighbours import TALLY, Neighbours

CHANNELS = ("again", "als", "ease", "item_knn", "popularity", "trending", "of a stranger")
f32 = np.float32


@pytest.fixture(autouse=True)
def loops() -> Iterator[None]:
    quicken().join()
    assert all(loop.form is not None for loop in LOOPS)
    yield
    for loop in LOOPS:
        loop.form = None  # tests after these ones find it as it was


def as_told(
    scores: Mapping[str, np.ndarray], quotas: Sequence[Quota], allowed: np.ndarray | None, most: int
) -> list[tuple[int, np.float32, np.float32, dict[str, np.float32], set[str]]]:
    """(item, fused, told, strength, who named it) of each candidate, by the words of `fuse` and `Candidates`."""
    lists, whole = {}, {}
    for name, values in scores.items():
        whole[name] = sorted(np.flatnonzero(values > 0).tolist(), key=lambda i, values=values: (-values[i], i))
        fits = [i for i, value in enumerate(values) if value > 0 and (allowed is None or allowed[i])]
        lists[name] = sorted(fits, key=lambda i, values=values: (-values[i], i))
    wanted = {each.channel: each for each in quotas}
    told = {each.channel: each for each in TOLD}
    inside = sorted({i for name in lists if name in wanted for i in lists[name][: wanted[name].quota]})

    def sum_of(item: int, by: Mapping[str, Quota], of: Mapping[str, list[int]]) -> np.float32:
        total = f32(0)
        for name, listed in of.items():
            if name in by and item in listed[: by[name].quota]:
                total = f32(total + f32(by[name].weight) * f32(1 / (20 + 1 + listed.index(item))))
        return total

    result = []
    for item in inside:
        strength = {
            name: f32(values[item] / values.max()) if lists[name] else f32(0) for name, values in scores.items()
        }
        who = {name for name in lists if name in wanted and item in lists[name][: wanted[name].quota]}
        result.append((item, sum_of(item, wanted, lists), sum_of(item, told, whole), strength, who))
    return sorted(result, key=lambda one: (-one[1], one[0]))[:most]


def world(seed: int) -> tuple[dict[str, np.ndarray], list[Quota], np.ndarray | None, int]:
    """Channels with many equal scores, none at all, or numbers below 0; quotas of 0 and beyond all items."""
    random = np.random.default_rng(seed)
    n = int(random.choice([1, 2, 7, 30, 150]))
    scores = {}
    for name in random.permutation(CHANNELS)[: random.integers(1, len(CHANNELS) + 1)].tolist():
        values = random.random(n) - random.choice([0, 0.3, 1.1])
        values = values.round(1) if random.random() < 0.5 else values
        values[random.random(n) < random.choice([0, 0.5, 0.9])] = 0
        scores[name] = values.astype(np.float32)
    quotas = [
        Quota(name, int(random.choice([0, 1, 5, 80, 300])), float(random.choice([0.25, 1.0, 3.0])))
        for name in CHANNELS
        if random.random() < 0.8
    ]
    allowed = random.random(n) < 0.7 if random.random() < 0.7 else None
    return scores, quotas, allowed, int(random.choice([1, 10, 500]))


def by_numpy(*given: object) -> Candidates:
    form, FUSE.form = FUSE.form, None
    try:
        return fuse(*given)
    finally:
        FUSE.form = form


@pytest.mark.parametrize("seed", range(60))
def test_all_three_ways_give_the_same(seed: int) -> None:
    given = world(seed)
    quick, plain, told = fuse(*given), by_numpy(*given), as_told(*given)
    orders = {name: ordered(values) for name, values in given[0].items() if name in ("popularity", "trending")}
    for found in (quick, plain, by_numpy(*given, orders), fuse(*given, orders)):
        assert found.channels == tuple(given[0])
        assert found.items.tolist() == [one[0] for one in told]
        assert found.fused.tolist() == [one[1] for one in told]
        assert found.told.tolist() == [one[2] for one in told]
        for place, (_, _, _, strength, who) in enumerate(told):
            assert found.strength[place].tolist() == [strength[name] for name in found.channels]
            assert set(found.channels_of(place)) == who
    for name in ("items", "strength", "named", "fused", "told"):
        assert getattr(quick, name).dtype == getattr(plain, name).dtype
        assert getattr(quick, name).shape == getattr(plain, name).shape


def test_scores_of_other_types_or_that_nobody_may_write_to_are_fused_too() -> None:
    kept = np.array([0, 3, 2, 2], dtype=np.float32)
    kept.flags.writeable = False
    mask = np.ones(4, dtype=np.bool_)
    mask.flags.writeable = False
    quotas = (Quota("ease", 3), Quota("als", 2))
    assert fuse({"ease": kept}, quotas, mask, 9).items.tolist() == [1, 2, 3]
    precise = {"ease": kept, "als": np.array([0, 0, 1e-300, 1])}
    assert fuse(precise, quotas, mask, 9).items.tolist() == by_numpy(precise, quotas, mask, 9).items.tolist()


def test_nothing_to_fuse() -> None:
    none = {"ease": np.zeros(0, dtype=np.float32)}
    for scores in ({}, none, {"ease": np.zeros(5, dtype=np.float32)}):
        for found in (fuse(scores, (Quota("ease", 3),), None, 9), by_numpy(scores, (Quota("ease", 3),), None, 9)):
            assert len(found) == 0
            assert found.strength.shape == (0, len(scores))


@pytest.mark.parametrize("seed", range(8))
def test_votes_are_counted_in_a_loop_to_the_last_bit(seed: int) -> None:
    random = np.random.default_rng(seed)
    table = random.normal(size=(40, 40)).astype(np.float32)
    table[random.random(table.shape) < 0.6] = 0
    np.fill_diagonal(table, 0)
    model = Neighbours.from_table(table, tuple(map(str, range(40))), k=12, half_life_days=None)
    for m in (0, 1, 9):
        items = random.permutation(40)[:m].astype(np.int32)
        weights = random.random(m).astype(np.float32)
        quick = model.scores(items, weights)
        form, TALLY.form = TALLY.form, None
        try:
            plain = model.scores(items, weights)
        finally:
            TALLY.form = form
        assert quick.dtype == plain.dtype == np.float32
        assert quick.tolist() == plain.tolist()
