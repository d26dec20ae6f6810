"""Comparisons of groups against scipy and statsmodels, and against their own promises on simulated experiments."""

from __future__ import annotations

from math import isnan
from typing import Any

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]
from statsmodels.stats.power import TTestIndPower  # type: ignore[import-untyped]
from statsmodels.stats.proportion import (  # type: ignore[import-untyped]
    confint_proportions_2indep,
    proportion_confint,
    proportions_ztest,
    samplesize_proportions_2indep_onetail,
)

from shopkeeper.core.errors import Invalid
from shopkeeper.quality import experiments as tests
from shopkeeper.quality import power
from shopkeeper.quality.sequential import always_valid, spread

RANDOM = np.random.default_rng(5)
CONTROL = RANDOM.gamma(2.0, 3.0, 400)
TREATMENT = RANDOM.gamma(2.2, 3.1, 300)


def test_welch_is_that_of_scipy() -> None:
    found = tests.welch(tests.sample(CONTROL), tests.sample(TREATMENT), 0.9)
    theirs = stats.ttest_ind(TREATMENT, CONTROL, equal_var=False)
    low, high = theirs.confidence_interval(0.9)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-9)
    assert (found.low, found.high) == pytest.approx((low, high), rel=1e-9)
    assert found.statistic == pytest.approx(theirs.statistic)


@pytest.mark.parametrize("unit", [1e-140, 1e-90, 1e90, 1e140])
def test_no_unit_of_measure_is_too_small_or_too_large(unit: float) -> None:
    """What is said of atoms is what is said of galaxies."""
    plain, scaled = ([tests.sample(one * by) for one in (CONTROL, TREATMENT)] for by in (1.0, unit))
    assert tests.welch(*scaled).p_value == pytest.approx(tests.welch(*plain).p_value, rel=1e-9)
    assert tests.lift(*scaled) == pytest.approx(tests.lift(*plain), rel=1e-9)
    one, other = (always_valid(*pair, spread(*pair, 1000)) for pair in (plain, scaled))
    assert (other.p_value, other.statistic) == pytest.approx((one.p_value, one.statistic), rel=1e-9)
    assert (other.low / unit, other.high / unit) == pytest.approx((one.low, one.high), rel=1e-9)
    assert power.size_for_means(unit, 3 * unit) == power.size_for_means(1.0, 3.0)


def test_one_huge_number_among_small_ones_is_compared() -> None:
    few = CONTROL.copy()
    few[3] = 1e90
    pair = tests.sample(CONTROL), tests.sample(few)
    found = tests.welch(*pair)
    alone = 2 * stats.t.sf(abs(found.statistic), len(few) - 1)  # where scipy's own test loses its degrees of freedom
    assert found.p_value == pytest.approx(alone, rel=1e-9)
    assert 0 < always_valid(*pair, spread(*pair, 1000)).p_value <= 1
    tiny = tests.sample(CONTROL * 1e-160)
    assert all(isnan(one) or abs(one) > 1e100 for one in tests.lift(tiny, tests.sample(CONTROL)))


@pytest.mark.parametrize("counts", [(30, 400, 50, 390), (0, 200, 9, 210), (500, 500, 480, 500), (3, 10, 3, 10)])
def test_shares_are_those_of_statsmodels(counts: tuple[int, int, int, int]) -> None:
    a, n, b, m = counts
    found = tests.proportions(tests.share(a, n), tests.share(b, m))
    assert found.p_value == pytest.approx(proportions_ztest([b, a], [m, n])[1], rel=1e-9)
    theirs = confint_proportions_2indep(b, m, a, n, method="newcomb", compare="diff")
    assert (found.low, found.high) == pytest.approx(theirs, rel=1e-6, abs=1e-12)
    assert tests.chi_square([[a, n - a], [b, m - b]])[1] == pytest.approx(found.p_value, rel=1e-9)
    assert tests.interval(tests.share(a, n)) == pytest.approx(proportion_confint(a, n, method="wilson"), abs=1e-12)


@pytest.mark.parametrize("counts", [(0, 200, 0, 210), (500, 500, 500, 500), (0, 120, 150, 150), (30, 400, 50, 390)])
def test_a_share_that_is_never_certain_has_the_interval_of_agresti_and_caffo(counts: tuple[int, int, int, int]) -> None:
    a, n, b, m = counts
    control, treatment = tests.never_certain(tests.share(a, n)), tests.never_certain(tests.share(b, m))
    difference = treatment.mean - control.mean
    parts = (control.var * (control.n - 1) / control.n**2, treatment.var * (treatment.n - 1) / treatment.n**2)
    half = stats.norm.ppf(0.975) * sum(parts) ** 0.5
    theirs = confint_proportions_2indep(b, m, a, n, method="agresti-caffo", compare="diff")
    assert (difference - half, difference + half) == pytest.approx(theirs, rel=1e-9)
    assert half > 0


@pytest.mark.parametrize("rate", [0.0, 0.001, 0.01, 0.5, 0.999, 1.0])
def test_shares_that_are_looked_at_again_and_again_hold_what_they_promise(rate: float) -> None:
    """Both groups alike, looked at every 50 units from 100 to 1,500: at 95 % at most one experiment in twenty says
    otherwise at any look, also where hardly anybody does it, or almost all."""
    random, wrong, runs = np.random.default_rng(3), 0, 300
    for _ in range(runs):
        a, b = (np.cumsum(random.random(1500) < rate) for _ in range(2))
        for n in range(100, 1501, 50):
            control, treatment = (tests.never_certain(tests.share(int(one[n - 1]), n)) for one in (a, b))
            found = always_valid(control, treatment, spread(control, treatment, 1000))
            assert np.isfinite((found.low, found.high)).all()
            if not found.low <= 0 <= found.high:
                wrong += 1
                break
    assert wrong / runs <= 0.05


def test_the_lift_of_what_everybody_does_is_not_certain() -> None:
    change, low, high = tests.lift(tests.share(200, 200), tests.share(200, 200))
    assert change == 0
    assert low < -0.005
    assert high > 0.005
    assert all(isnan(one) for one in tests.lift(tests.share(0, 200), tests.share(5, 200)))


def test_chi_square_of_a_table_is_that_of_scipy() -> None:
    table = [[30, 50, 20], [45, 40, 15], [22, 61, 17]]
    theirs = stats.chi2_contingency(table, correction=False)
    assert tests.chi_square(table) == pytest.approx((theirs.statistic, theirs.pvalue))
    assert tests.chi_square([[5, 0], [7, 0]]) == (0.0, 1.0)


def test_a_ratio_varies_as_often_drawn_ones_do() -> None:
    """The delta method against ratios of users whose clicks and views hang together."""
    random = np.random.default_rng(7)

    def drawn() -> tuple[np.ndarray, np.ndarray]:
        views = random.poisson(random.gamma(2.0, 5.0, 500)) + 1.0
        return random.binomial(views.astype(int), random.beta(2, 18, 500)).astype(float), views

    ratios = np.array([clicks.sum() / views.sum() for clicks, views in (drawn() for _ in range(1000))])
    told = tests.ratio(*drawn())
    assert told.mean == pytest.approx(ratios.mean(), rel=0.05)
    assert np.sqrt(told.error2) == pytest.approx(ratios.std(), rel=0.2)
    assert isnan(tests.ratio(np.ones(3), np.zeros(3)).mean)


def test_what_was_known_before_takes_variance_away_and_leaves_the_difference() -> None:
    random = np.random.default_rng(9)
    before = [random.gamma(2.0, 3.0, 2000), random.gamma(2.0, 3.0, 1800)]
    values = [0.8 * known + random.normal(add, 1.0, len(known)) for known, add in zip(before, (0, 0.5), strict=True)]
    adjusted = tests.cuped(values, before)
    plain = tests.welch(tests.sample(values[0]), tests.sample(values[1]))
    sharp = tests.welch(tests.sample(adjusted[0]), tests.sample(adjusted[1]))
    correlation = np.corrcoef(np.concatenate(values), np.concatenate(before))[0, 1]
    assert sharp.high - sharp.low == pytest.approx((plain.high - plain.low) * np.sqrt(1 - correlation**2), rel=0.03)
    assert sharp.low < 0.5 < sharp.high
    assert tests.cuped(values, [np.zeros(2000), np.zeros(1800)])[0] is values[0]


def test_holm_is_that_of_statsmodels() -> None:
    p = [0.01, 0.04, 0.03, 0.005, 0.9]
    assert tests.holm(p) == pytest.approx(multipletests(p, method="holm")[1])
    assert tests.holm([]) == []


def test_uneven_groups_are_noticed() -> None:
    assert tests.sample_ratio([5000, 5010], [0.5, 0.5]) == pytest.approx(stats.chisquare([5000, 5010]).pvalue)
    assert tests.sample_ratio([5000, 5400], [0.5, 0.5]) < 0.001
    assert tests.sample_ratio([900, 100], [9, 1]) == 1.0
    assert tests.sample_ratio([10, 1], [1, 0]) == 0.0
    assert tests.sample_ratio([0, 0], [1, 1]) == 1.0


@pytest.mark.parametrize(("effect", "n", "m"), [(0.1, 300, 300), (0.5, 20, 45), (0.02, 9000, 9000)])
def test_power_is_that_of_statsmodels(effect: float, n: int, m: int) -> None:
    theirs = TTestIndPower().power(effect, n, 0.05, ratio=m / n)
    assert power.power_of_means(2 * effect, 2.0, n, m) == pytest.approx(theirs, abs=1e-6)


@pytest.mark.parametrize("effect", [0.02, 0.1, 0.8])
def test_sizes_for_means_are_those_of_statsmodels(effect: float) -> None:
    theirs = TTestIndPower().solve_power(effect, power=0.9, alpha=0.01)
    assert power.size_for_means(effect * 3, 3.0, alpha=0.01, power=0.9) == int(np.ceil(theirs))


@pytest.mark.parametrize(("baseline", "changed"), [(0.05, 0.06), (0.5, 0.4), (0.001, 0.002)])
def test_sizes_for_shares_are_those_of_statsmodels(baseline: float, changed: float) -> None:
    theirs = samplesize_proportions_2indep_onetail(
        changed - baseline, baseline, 0.8, alpha=0.05, alternative="two-sided"
    )
    assert power.size_for_shares(baseline, changed) == int(np.ceil(theirs))


@pytest.mark.parametrize("wrong", [(0.1, 0.1), (0.1, 1.2), (0.1, 0.1 + 1e-9)])
def test_what_no_number_shows_is_refused(wrong: tuple[float, float]) -> None:
    with pytest.raises(Invalid):
        power.size_for_shares(*wrong)


@pytest.mark.parametrize(
    ("size", "asked"),
    [
        (power.size_for_means, (0.1, 1e200)),
        (power.size_for_means, (1e-300, 1e300)),
        (power.size_for_shares, (1e-307, 1.0000000001e-307)),
    ],
)
def test_a_size_beyond_all_numbers_is_refused_too(size: Any, asked: tuple[float, float]) -> None:
    with pytest.raises(Invalid, match="more than 1,000,000,000 people") as refused:
        size(*asked)
    assert refused.value.code == "no_sample_size"


def test_the_detectable_effect_is_found_as_often_as_it_says() -> None:
    assert power.power_now(power.detectable(0.3, power=0.8), 0.3) == pytest.approx(0.8, abs=1e-6)


def test_a_lift_covers_what_is_true() -> None:
    random = np.random.default_rng(11)
    held = 0
    for _ in range(400):
        control, treatment = random.gamma(2.0, 3.0, 400), random.gamma(2.0, 3.3, 400)
        _, low, high = tests.lift(tests.sample(control), tests.sample(treatment))
        held += low <= 0.1 <= high
    assert stats.binomtest(held, 400, 0.95).pvalue > 0.001


def samples_at(values: np.ndarray, looks: list[int]) -> list[list[tuple[tests.Sample, tests.Sample]]]:
    """Of experiments (many, 2 groups, units): what both groups say at each look."""
    total, squares = values.cumsum(axis=2), (values**2).cumsum(axis=2)
    found = []
    for one in range(len(values)):
        told = []
        for n in looks:
            means = total[one, :, n - 1] / n
            spreads = (squares[one, :, n - 1] - n * means**2) / (n - 1)
            told.append((tests.Sample(n, means[0], spreads[0]), tests.Sample(n, means[1], spreads[1])))
        found.append(told)
    return found


def found_by(looked: list[tuple[tests.Sample, tests.Sample]]) -> tuple[bool, bool, bool]:
    """Whether a fixed test at the end, a fixed test at any look, and a sequential test at any look find something."""
    fixed = [tests.welch(*pair).p_value < 0.05 for pair in looked]
    always = [always_valid(*pair, spread(*pair, 1000)).p_value < 0.05 for pair in looked]
    return fixed[-1], any(fixed), any(always)


def test_who_looks_every_day_is_wrong_seldom_with_the_sequential_test_only() -> None:
    random, days = np.random.default_rng(3), list(range(100, 2001, 100))
    values = random.exponential(1.0, (400, 2, 2000))
    end, peeked, always = np.mean([found_by(one) for one in samples_at(values, days)], axis=0)
    assert stats.binomtest(round(400 * end), 400, 0.05).pvalue > 0.001
    assert peeked > 0.12
    assert always <= 0.05
    values[:60, 1] += 0.2
    assert np.mean([found_by(one)[2] for one in samples_at(values[:60], days)]) > 0.8


def test_an_always_valid_interval_holds_at_all_looks_and_agrees_with_its_p_value() -> None:
    values = np.random.default_rng(4).normal(0.0, 1.0, (200, 2, 3000)) + np.array([[0.0], [0.1]])
    broken = 0
    for looked in samples_at(values, list(range(200, 3001, 200))):
        told = [always_valid(*pair, spread(*pair, 1000)) for pair in looked]
        broken += not all(one.low <= 0.1 <= one.high for one in told)
        assert all((one.p_value < 0.05) == (one.low > 0 or one.high < 0) for one in told)
    assert broken / 200 <= 0.05


def test_too_little_says_nothing() -> None:
    one, none = tests.sample(np.array([3.0])), tests.sample(np.zeros(0))
    assert isnan(tests.welch(one, one).p_value)
    assert isnan(tests.proportions(tests.share(0, 0), tests.share(1, 4)).p_value)
    assert tests.compare(tests.share(0, 9), tests.share(0, 9)).p_value == 1.0
    assert always_valid(one, none, 1.0).p_value == 1.0
    assert all(map(isnan, tests.interval(one)))
    assert all(map(isnan, tests.lift(tests.sample(np.zeros(9)), tests.sample(np.ones(9)))))
    assert tests.welch(tests.sample(np.zeros(9)), tests.sample(np.ones(9))).p_value == 0.0
