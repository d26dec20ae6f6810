"""What may be known of the future: what is planned stays behind a cut, everything else is forgotten."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.forecast.covariates import PLANNED, Covariates


def covariates(d: int = 10, ahead: int = 3, seed: int = 1) -> Covariates:
    random = np.random.default_rng(seed)
    return Covariates(
        ("holiday", "temperature"),
        random.random((2, d + ahead)).astype(np.float32),
        ("promotion", "markdown"),
        random.random((2, 4, d + ahead)).astype(np.float32),
        ("product",),
        np.arange(4, dtype=np.int32)[:, None],
        (("a", "b", "c", "d"),),
        PLANNED,
        ahead,
    )


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10), st.integers(0, 10))
def test_what_comes_after_a_cut_is_forgotten_but_for_plans(one: int, two: int) -> None:
    low, high = sorted((one, two))
    whole = covariates()
    cut = whole.until(high).until(low)
    assert (cut.columns, cut.ahead) == (low, 13 - low)
    np.testing.assert_array_equal(cut.shared[:, :low], whole.shared[:, :low])
    np.testing.assert_array_equal(cut.own[:, :, :low], whole.own[:, :, :low])
    np.testing.assert_array_equal(cut.shared[0], whole.shared[0])
    np.testing.assert_array_equal(cut.own[0], whole.own[0])
    if low < 10:
        assert np.isnan(cut.shared[1, low:]).all()
        assert np.isnan(cut.own[1, :, low:]).all()
    assert np.isfinite(whole.shared).all()  # a cut writes nothing into what it was cut from


def test_a_cut_without_anything_to_forget_copies_nothing() -> None:
    whole = covariates()
    plans = Covariates(
        whole.shared_names[:1], whole.shared[:1], whole.own_names[:1], whole.own[:1],
        whole.static_names, whole.statics, whole.static_words, whole.known, whole.ahead,
    )  # fmt: skip
    assert np.shares_memory(plans.until(4).own, whole.own)


def test_the_future_is_padded_plans_with_nothing_planned() -> None:
    shared, own = covariates(ahead=2).future(4)
    assert (shared.shape, own.shape) == ((2, 4), (2, 4, 4))
    assert shared[0, 2:].tolist() == [0.0, 0.0]
    assert np.isnan(shared[1, 2:]).all()
    assert not own[0, :, 2:].any()
    assert np.isnan(own[1, :, 2:]).all()


def test_shapes_that_do_not_fit_and_cuts_into_the_future_are_refused() -> None:
    with pytest.raises(Invalid, match="do not fit"):
        Covariates(
            ("holiday",), np.zeros((1, 5), np.float32), (), np.empty((0, 2, 6), np.float32),
            (), np.empty((2, 0), np.int32), (), frozenset(),
        )  # fmt: skip
    with pytest.raises(Invalid, match="cannot be cut"):
        covariates().until(11)


def test_some_series_keep_their_own() -> None:
    some = covariates().select(np.array([2, 0]))
    assert some.statics[:, 0].tolist() == [2, 0]
    np.testing.assert_array_equal(some.own, covariates().own[:, [2, 0]])
    assert some.of_own("promotion") is not None
    assert some.of_shared("fuel") is None
