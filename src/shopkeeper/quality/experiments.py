"""What two groups of people say of a change: means, shares and ratios of units, compared.

A unit is a person, never an event: what one person does again and again is one number. Everything is computed from
moments (`Sample`), so that a million units are read once. Sequential tests are in sequential.py, sizes in power.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import hypot, inf, isfinite, nan, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import special

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sample:
    """`n` units, their mean, and the variance of one unit's value (unbiased; NaN below two units)."""

    n: int
    mean: float
    var: float
    share: bool = False
    """Whether every value is 0 or 1."""

    @property
    def error2(self) -> float:
        """The variance of the mean."""
        return self.var / self.n if self.n else nan


@dataclass(frozen=True)
class Compared:
    """Treatment less control. `low` and `high` at the confidence asked for; `p_value` two-sided; NaN: not enough."""

    difference: float
    low: float
    high: float
    p_value: float
    statistic: float


def sample(values: Floats) -> Sample:
    """Of one number a unit, (n,)."""
    n = len(values)
    var = float(np.var(values, ddof=1)) if n > 1 else nan
    return Sample(n, float(values.mean()) if n else nan, var)


def share(successes: int, n: int) -> Sample:
    """Of units that did something (1) or did not (0)."""
    p = successes / n if n else nan
    return Sample(n, p, p * (1 - p) * n / (n - 1) if n > 1 else nan, share=True)


def ratio(above: Floats, below: Floats) -> Sample:
    """Sum of `above` by sum of `below`, one of each a unit, (n,): clicks by views, revenue by orders.

    Its variance is that of a linear approximation, the delta method (Deng et al. 2018): the numbers of one unit belong
    together, and dividing totals as if every event stood alone makes intervals too narrow.
    """
    n = len(above)
    under = float(below.mean()) if n else 0.0
    if n < 2 or under == 0:
        return Sample(n, nan, nan)
    mean = float(above.mean()) / under
    return Sample(n, mean, float(np.var(above - mean * below, ddof=1)) / under / under)


def cuped(values: Sequence[Floats], before: Sequence[Floats]) -> list[Floats]:
    """Values of each group with what was known before the experiment taken out (Deng et al. 2013): the means keep their
    difference, the variance shrinks by the square of the correlation. `before` has the shapes of `values`."""
    known, told = np.concatenate(before), np.concatenate(values)
    spread = float(np.var(known)) if len(known) else 0.0
    if spread == 0:
        return list(values)
    theta = float(np.mean((told - told.mean()) * (known - known.mean()))) / spread
    return [one - theta * (old - known.mean()) for one, old in zip(values, before, strict=True)]


def welch(control: Sample, treatment: Sample, confidence: float = 0.95) -> Compared:
    """Welch's t test (1947): variances need not be equal."""
    difference = treatment.mean - control.mean
    a, b = control.error2, treatment.error2
    error = sqrt(a + b) if isfinite(a + b) else nan
    if not error > 0:
        return _undecided(difference, error)
    part = a / (a + b)  # of squares nothing would be left at the ends of what a number can hold
    df = 1 / (part**2 / (control.n - 1) + (1 - part) ** 2 / (treatment.n - 1))
    t = difference / error
    half = float(special.stdtrit(df, 0.5 + confidence / 2)) * error
    return Compared(difference, difference - half, difference + half, 2 * float(special.stdtr(df, -abs(t))), t)


def proportions(control: Sample, treatment: Sample, confidence: float = 0.95) -> Compared:
    """Two shares. The p value is that of the chi-square test without correction (pooled), the interval is not pooled:
    Newcombe's (1998, method 10), which stays right near 0 and 1."""
    n, m = control.n, treatment.n
    difference = treatment.mean - control.mean
    if not n or not m:
        return _undecided(difference, nan)
    pooled = (control.mean * n + treatment.mean * m) / (n + m)
    error = sqrt(pooled * (1 - pooled) * (1 / n + 1 / m))
    z = difference / error if error > 0 else 0.0
    quantile = float(special.ndtri(0.5 + confidence / 2))
    (c_low, c_high), (t_low, t_high) = wilson(control.mean, n, quantile), wilson(treatment.mean, m, quantile)
    low = difference - sqrt((treatment.mean - t_low) ** 2 + (c_high - control.mean) ** 2)
    high = difference + sqrt((t_high - treatment.mean) ** 2 + (control.mean - c_low) ** 2)
    return Compared(difference, low, high, 2 * float(special.ndtr(-abs(z))), z)


def compare(control: Sample, treatment: Sample, confidence: float = 0.95) -> Compared:
    """The test that goes with what was measured: shares by proportions, all else by Welch's."""
    test = proportions if control.share and treatment.share else welch
    return test(control, treatment, confidence)


def interval(one: Sample, confidence: float = 0.95) -> tuple[float, float]:
    """Of a mean (t) or a share (Wilson 1927)."""
    if one.share and one.n:
        return wilson(one.mean, one.n, float(special.ndtri(0.5 + confidence / 2)))
    if not isfinite(one.error2):
        return nan, nan
    half = float(special.stdtrit(one.n - 1, 0.5 + confidence / 2)) * sqrt(one.error2)
    return one.mean - half, one.mean + half


def wilson(rate: float, n: int, z: float) -> tuple[float, float]:
    """Both ends of the score interval of a share."""
    middle = rate + z * z / (2 * n)
    half = z * sqrt(rate * (1 - rate) / n + z * z / (4 * n * n))
    return (middle - half) / (1 + z * z / n), (middle + half) / (1 + z * z / n)


def never_certain(one: Sample) -> Sample:
    """A share with one unit more that did it and one that did not (Agresti and Caffo 2000): what nobody or everybody
    did has a variance, and a difference of two such shares an interval that holds the truth as often as it says."""
    n = one.n + 2
    p = (one.mean * one.n + 1) / n if one.n else 0.5
    return Sample(n, p, p * (1 - p) * n / (n - 1), share=True)


def chi_square(counts: Sequence[Sequence[float]]) -> tuple[float, float]:
    """(statistic, p value) of a table of groups by outcomes, Pearson's, without correction. Empty rows and columns say
    nothing and are passed over."""
    table = np.asarray(counts, dtype=np.float64)
    table = table[table.sum(axis=1) > 0][:, table.sum(axis=0) > 0]
    if min(table.shape, default=0) < 2:
        return 0.0, 1.0
    expected = table.sum(axis=1, keepdims=True) * table.sum(axis=0, keepdims=True) / table.sum()
    statistic = float(((table - expected) ** 2 / expected).sum())
    return statistic, float(special.chdtrc((table.shape[0] - 1) * (table.shape[1] - 1), statistic))


def sample_ratio(counts: Sequence[int], weights: Sequence[float]) -> float:
    """The chance that groups this uneven come of a true draw by `weights` (chi-square). Below 0.001 something keeps
    people of one variant from being counted, and no comparison is to be trusted (Fabijan et al. 2019)."""
    seen, due = np.asarray(counts, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    total, due = seen.sum(), due / due.sum()
    if (seen[due == 0] > 0).any():
        return 0.0
    seen, due = seen[due > 0], due[due > 0] * total
    if not total or len(seen) < 2:
        return 1.0
    return float(special.chdtrc(len(seen) - 1, float(((seen - due) ** 2 / due).sum())))


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted for their number (Holm 1979): comparing each with alpha keeps the chance of any false one at alpha."""
    order = sorted(range(len(p_values)), key=lambda at: p_values[at])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = highest
    return adjusted


def lift(control: Sample, treatment: Sample, confidence: float = 0.95) -> tuple[float, float, float]:
    """The difference by the control's mean, and both ends of its interval (delta method). NaN where that mean is 0."""
    mean = control.mean
    shares = control.share and treatment.share
    below, above = (never_certain(control), never_certain(treatment)) if shares else (control, treatment)
    if not mean or not isfinite(mean + treatment.mean + below.error2 + above.error2):
        return nan, nan, nan
    change = treatment.mean / mean - 1
    error = hypot(sqrt(above.error2), treatment.mean / mean * sqrt(below.error2)) / abs(mean)
    half = float(special.ndtri(0.5 + confidence / 2)) * error
    return change, change - half, change + half


def _undecided(difference: float, error: float) -> Compared:
    """Nothing varies, or there is too little of it."""
    if error == 0 and difference:
        return Compared(difference, difference, difference, 0.0, inf if difference > 0 else -inf)
    p = 1.0 if error == 0 else nan
    return Compared(difference, nan, nan, p, 0.0)
