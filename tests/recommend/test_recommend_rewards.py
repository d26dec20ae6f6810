"""Late feedback is joined with what was shown, once; rewards of one scale; shaping changes no best policy."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.clock import DAY, HOUR, SECOND
from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.rewards.joining import Joined, Shown, join
from shopkeeper.recommend.rewards.normalising import RunningScale
from shopkeeper.recommend.rewards.potentials import shaped
from shopkeeper.recommend.rewards.signals import SIGNALS, Signal, decayed, worth
from shopkeeper.recommend.rewards.tuning import fitted, tuned

AT = 20_000 * DAY
SLATE = f"{1:026d}"


def slate(slate_id: str = SLATE, *, user: int = 3, at: int = AT, items: tuple[int, ...] = (10, 11, 12)) -> Shown:
    return Shown(slate_id, user, at, np.array(items, dtype=np.int32))


def signal(kind: str, item: int, after_s: float = 10.0, **more: Any) -> Signal:
    given = {"event_id": f"{kind}{item}{after_s}{sorted(more.items())}", "user": 3, "request_id": SLATE, **more}
    value = given.pop("worth", None)
    said = worth(kind, 1.0, {}) if value is None else value
    assert said is not None
    return Signal(kind=kind, item=item, time=AT + round(after_s * SECOND), worth=said, **given)


def rewards(joined: Joined, answer: int = 0) -> list[float]:
    return [round(one, 6) for one in joined.outcomes[answer].reward.tolist()]


# -- joining


def test_several_signals_of_an_item_add_up_and_an_ignored_one_is_worth_nothing() -> None:
    joined = join([slate()], [signal("click", 11), signal("like", 11), signal("dislike", 10)], 60)
    assert rewards(joined) == [-0.5, 0.4, 0.0]
    assert joined.outcomes[0].taken.tolist() == [False, True, False]


def test_weights_of_kinds_and_the_bound_of_a_reward() -> None:
    told = [signal("order", 10), signal("like", 10), signal("report", 11), signal("dislike", 11)]
    assert rewards(join([slate()], told, 60)) == [1.0, -1.0, 0.0]
    assert rewards(join([slate()], told, 60, weights={"order": 0.2, "like": 2.0, "report": 0.5})) == [0.8, -1.0, 0.0]


def test_a_replayed_event_counts_once_and_so_does_the_same_said_twice() -> None:
    once = signal("click", 10)
    twice = signal("click", 10, 20.0)
    joined = join([slate()], [once, once, twice, signal("click", 10, 30.0, user=4)], 60)
    assert rewards(joined) == [0.2, 0.0, 0.0]
    assert joined.passed_over == {"duplicate": 1, "repeated": 1}


def test_what_belongs_to_no_answer_is_told_and_changes_nothing() -> None:
    told = [
        signal("click", 10, request_id=f"{9:026d}"), signal("click", 99), signal("click", 10, -1.0),
        signal("click", 10, 61.0), signal("click", 99, request_id=None),
    ]  # fmt: skip
    joined = join([slate()], told, 60)
    assert rewards(joined) == [0.0, 0.0, 0.0]
    assert joined.passed_over == {"unknown_answer": 1, "not_shown": 1, "too_early": 1, "too_late": 1}


def test_the_ends_of_the_window_belong_to_it() -> None:
    told = [signal("click", 10, 0.0), signal("click", 11, 60.0), signal("click", 12, 60.000001)]
    assert rewards(join([slate()], told, 60)) == [0.1, 0.1, 0.0]


def test_an_answer_from_a_cache_is_the_slate_that_it_was_made_of() -> None:
    assert rewards(join([slate()], [signal("click", 10, request_id=f"{SLATE}-0A")], 60)) == [0.1, 0.0, 0.0]


def test_without_an_answer_the_newest_one_that_showed_it_counts() -> None:
    shown = [slate(), slate(f"{2:026d}", at=AT + 5 * SECOND, items=(11, 13)), slate(f"{3:026d}", user=4)]
    joined = join(shown, [signal("click", 11, request_id=None), signal("click", 10, request_id=None)], 60)
    assert [rewards(joined, at) for at in range(3)] == [[0.1, 0.0, 0.0], [0.1, 0.0], [0.0, 0.0, 0.0]]
    early = join(shown, [signal("click", 11, 3.0, request_id=None)], 60)
    assert [rewards(early, at) for at in range(2)] == [[0.0, 0.1, 0.0], [0.0, 0.0]]


def test_what_comes_later_may_be_worth_less() -> None:
    told = [signal("like", 10, 0.0), signal("like", 11, 30.0), signal("like", 12, 60.0)]
    assert rewards(join([slate()], told, 60, half_life_s=30)) == [0.3, 0.15, 0.075]
    assert decayed(0.4, -5.0, 30.0) == 0.4  # the clock was set back


def test_an_outcome_is_trusted_as_little_as_the_least_of_its_signals() -> None:
    told = [signal("click", 10), signal("like", 10), signal("click", 11)]
    joined = join([slate()], told, 60, trust=[1.0, 0.2, 0.7])
    assert joined.outcomes[0].trust.tolist() == [0.2, 0.7, 1.0]


def test_the_order_in_which_signals_arrive_does_not_matter() -> None:
    told = [signal("click", 10), signal("click", 10, 20.0), signal("like", 11), signal("order", 12, 50.0)]
    found = {tuple(rewards(join([slate()], list(some), 60))) for some in itertools.permutations(told)}
    assert found == {(0.1, 0.3, 1.0)}


@pytest.mark.parametrize(
    ("kind", "value", "context", "expected"),
    [
        ("rating", 4.0, {"reward": 0.8}, 0.8), ("rating", 4.0, {}, 0.8), ("rating", 9.0, {}, None),
        ("rating", None, {}, None), ("click", 1.0, {"reward": 7.0}, 1.0), ("click", 1.0, {"reward": -7}, -1.0),
        ("click", 1.0, {"reward": float("nan")}, None), ("click", None, {"reward": "much"}, 0.1),
        ("order", 250.0, {}, 1.0), ("dismiss", None, {}, -0.5), ("cart", None, {}, 0.3), ("scroll", 0.5, {}, 0.025),
        ("scroll", 40.0, {}, None), ("dwell", 600.0, {}, 1.0), ("save", None, {}, 0.3), ("wink", 1.0, {}, None),
        ("click", 1.0, {"reward": 10**400}, None), ("click", 1.0, {"reward": -(10**400)}, None),
    ],
)  # fmt: skip
def test_what_an_event_is_worth(
    kind: str, value: float | None, context: dict[str, Any], expected: float | None
) -> None:
    found = worth(kind, value, context)
    assert found == (None if expected is None else pytest.approx(expected))


def test_ten_signals_at_least() -> None:
    assert len(set(SIGNALS)) >= 10


# -- normalising


def test_a_running_scale_is_that_of_all_numbers() -> None:
    numbers = np.random.default_rng(1).normal(3.0, 2.0, 500)
    scale = RunningScale()
    for one in numbers.tolist():
        scale.update(one)
    assert scale.mean == pytest.approx(numbers.mean())
    assert scale.spread == pytest.approx(numbers.std())
    assert scale.normalised(scale.mean + scale.spread) == pytest.approx(1.0)


def test_a_scale_is_bounded_and_knows_what_is_no_number() -> None:
    scale = RunningScale(bound=2.0)
    assert scale.normalised(0.5) == 0.5  # nothing was seen
    for one in (1.0, float("nan"), float("inf"), 1.0, 1.0):
        scale.update(one)
    assert (scale.weight, scale.mean, scale.spread) == (3.0, 1.0, 1.0)
    assert (scale.normalised(1e9), scale.normalised(-1e9)) == (2.0, -2.0)


def test_a_fading_scale_follows() -> None:
    scale = RunningScale(fade=0.9)
    for one in [0.0] * 200 + [5.0] * 60:
        scale.update(one)
    assert scale.mean == pytest.approx(5.0, abs=0.02)


# -- shaping


def best_policy(reward: np.ndarray, chance: np.ndarray, gamma: float) -> tuple[list[set[int]], np.ndarray]:
    """Of an MDP: chance (s, a, s'), reward (s, a, s'); the best actions of each state, and the values of actions."""
    q = np.zeros(reward.shape[:2])
    for _ in range(400):
        q = (chance * (reward + gamma * q.max(axis=1))).sum(axis=2)
    return [set(np.flatnonzero(row > row.max() - 1e-7).tolist()) for row in q], q


@pytest.mark.parametrize("seed", range(12))
def test_shaping_by_potentials_leaves_the_best_policy_as_it_is(seed: int) -> None:
    random = np.random.default_rng(seed)
    states, actions, gamma = 6, 3, 0.9
    chance = random.dirichlet(np.full(states, 0.4), (states, actions))
    reward = random.normal(size=(states, actions, states))
    potential = random.normal(scale=5.0, size=states)
    grown = np.array(
        [
            [
                [shaped(reward[s, a, n], potential[s], potential[n], gamma) for n in range(states)]
                for a in range(actions)
            ]
            for s in range(states)
        ]
    )
    plain, values = best_policy(reward, chance, gamma)
    after, moved = best_policy(grown, chance, gamma)
    assert after == plain
    np.testing.assert_allclose(moved, values - potential[:, None], atol=1e-6)
    # What is no potential does change it: a bonus for arriving somewhere, whatever one came from.
    bribed, _ = best_policy(reward + 5.0 * potential, chance, gamma)
    assert seed != 0 or bribed != plain


def test_an_end_has_no_potential() -> None:
    assert shaped(1.0, 0.3, 99.0, 0.9, ended=True) == pytest.approx(0.7)


# -- tuning


def log_of(pairs: int, seed: int) -> tuple[EventBatch, tuple[str, ...]]:
    """Clicks say little of an order, saves much, views nothing; by a logistic law."""
    types, random = ("view", "click", "save", "order"), np.random.default_rng(seed)
    rows: list[tuple[Any, ...]] = []
    for pair in range(pairs):
        start = AT + int(random.integers(0, 30 * DAY))
        clicked, saved = random.random(2) < (0.5, 0.25)
        chance = 1 / (1 + np.exp(3.0 - 0.8 * clicked - 2.2 * saved))
        done = [(0, 0)] + [(1, HOUR)] * int(clicked) + [(2, 2 * HOUR)] * int(saved)
        if random.random() < chance:
            done.append((3, int(random.integers(3 * HOUR, 6 * DAY))))
        rows += [(0, pair % 97, pair // 97, -1, kind, -1, start + after, 1.0, None, None, None) for kind, after in done]
    batch = EventBatch.from_rows(rows).by_time()
    return batch, types


def test_tuning_finds_what_tells_of_an_order() -> None:
    batch, types = log_of(6000, 3)
    found = tuned(batch, types)
    told = {one.kind: one for one in found.signals}
    assert set(told) == {"view", "click", "save"}
    assert told["click"].odds == pytest.approx(0.8, abs=4 * told["click"].error)
    assert told["save"].odds == pytest.approx(2.2, abs=4 * told["save"].error)
    assert told["save"].weight > 2 * told["click"].weight > 0
    assert (told["click"].table, told["save"].table, told["view"].table) == (0.1, 0.3, 0.05)
    assert found.auc > 0.65
    assert found.auc > found.table_auc - 0.02


def test_what_comes_after_the_order_tells_nothing_of_it() -> None:
    batch, types = log_of(3000, 4)
    order = types.index("order")
    bought = batch.take(batch.type == order)
    late = EventBatch.from_rows(
        [
            (0, int(user), int(item), -1, 1, -1, int(time) + 1, 1.0, None, None, None)
            for user, item, time in zip(bought.user, bought.item, bought.time, strict=True)
        ]
    )
    with_late = EventBatch.join([batch, late]).by_time()
    before, after = tuned(batch, types), tuned(with_late, types)
    assert [one.odds for one in after.signals] == pytest.approx([one.odds for one in before.signals])


def test_a_short_log_says_so() -> None:
    batch, types = log_of(40, 5)
    with pytest.raises(Invalid, match="too short"):
        tuned(batch, types)
    with pytest.raises(Invalid, match="too short"):
        tuned(EventBatch.empty(), ())


def test_the_regression_is_the_one_that_makes_the_log_likeliest() -> None:
    random = np.random.default_rng(8)
    rows = random.normal(size=(4000, 3))
    label = (random.random(4000) < 1 / (1 + np.exp(-(rows @ [1.0, -2.0, 0.0] + 0.5)))).astype(float)
    found = fitted(rows, label)
    slope = np.column_stack([rows, np.ones(4000)]).T @ (found.chances(rows) - label)
    np.testing.assert_allclose(slope[:3], -found.odds[:3], atol=1e-5)  # the penalty, and nothing else
    assert abs(slope[3]) < 1e-5
    np.testing.assert_allclose(found.odds, [1.0, -2.0, 0.0, 0.5], atol=0.25)
