import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.forecast.calibration_groups import ByStep, corrected_quantiles
from shopkeeper.quality.forecast import LEVELS


def test_corrected_quantiles_step_outwards() -> None:
    scores = np.arange(1.0, 20.0)  # 19 scores: (19 + 1) x .95 = 19th, (19 + 1) x .05 = 1st
    got = dict(zip(LEVELS.tolist(), corrected_quantiles(scores).tolist(), strict=True))
    assert (got[0.95], got[0.05], got[0.5]) == (19, 1, 10)
    assert (got[0.975], got[0.025]) == (19, 1)


@given(st.integers(1, 300), st.integers(0, 1000), st.booleans())
@settings(max_examples=50, deadline=None)
def test_equal_weights_are_no_weights(count: int, seed: int, ties: bool) -> None:
    scores = np.random.default_rng(seed).normal(size=count) * 3
    if ties:
        scores = np.round(scores)
    plain, weighted = corrected_quantiles(scores), corrected_quantiles(scores, np.ones(count))
    even = LEVELS == 0.5  # the median of an even number lies between two
    np.testing.assert_allclose(weighted[~even], plain[~even])
    assert np.abs(weighted - plain)[even].max() <= np.ptp(scores)
    columns = np.repeat(scores[:, None], 9, axis=1)
    np.testing.assert_allclose(corrected_quantiles(columns), plain)


def test_scores_that_weigh_nothing_do_not_count() -> None:
    scores = np.concatenate([np.full(500, 100.0), np.linspace(-1, 1, 500)])
    weight = np.concatenate([np.full(500, 1e-9), np.ones(500)])
    without = corrected_quantiles(scores[500:], np.ones(500))
    np.testing.assert_allclose(corrected_quantiles(scores, weight), without, atol=0.01)


def test_between_nothing_and_enough_the_interval_narrows() -> None:
    random = np.random.default_rng(1)
    widths = []
    for count in (10, 25, 45, 60):
        table = ByStep.fit(random.normal(size=count) * 0.1, np.ones(count), np.zeros(count, dtype=int), 1)
        widths.append(table.table[0, 0, 8] - table.table[0, 0, 0])
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 6 * widths[-1]


def test_one_size_is_one_group_and_ties_do_not_break_it() -> None:
    table = ByStep.fit(np.round(np.random.default_rng(2).normal(size=5_000)), np.ones(5_000), np.arange(5_000) % 7, 7)
    assert table.table.shape == (1, 7, 9)
    assert (np.diff(table.table, axis=2) >= 0).all()


def test_a_step_without_a_score_takes_those_around_it() -> None:
    step = np.repeat([0, 1, 2, 4, 5, 6], 300)
    table = ByStep.fit(np.repeat([1.0, 1, 1, 5, 5, 5], 300), np.ones(1_800), step, 7, groups=1)
    assert table.table[0, 0, 8] == 1
    assert table.table[0, 6, 0] == 5
    assert 1 <= table.table[0, 3, 4] <= 5
