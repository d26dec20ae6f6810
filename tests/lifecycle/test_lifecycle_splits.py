"""Who answers whom: shares follow the weights, and people move only to or from what was changed."""

from collections import Counter
from math import exp, log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shopkeeper.core.errors import Invalid
from shopkeeper.lifecycle.splits import Split, Stack, Variant, checked, choose, combine, stacked, without

PEOPLE = [f"user-{number}" for number in range(4000)]


def split(*weights: float, **more) -> Split:
    return checked(Split(variants=[Variant(version=n, weight=w) for n, w in enumerate(weights, 1)], **more))


def assigned(plan: Split) -> dict[str, int]:
    return {person: choose(plan, "m:all", person) for person in PEOPLE}


def test_a_person_stays_with_a_version_and_shares_follow_the_weights():
    plan = split(6, 3, 1)
    counted = Counter(assigned(plan).values())
    assert assigned(plan) == assigned(plan)
    assert [round(counted[n] / len(PEOPLE), 1) for n in (1, 2, 3)] == [0.6, 0.3, 0.1]


@given(st.lists(st.floats(0.1, 5), min_size=2, max_size=6), st.floats(1.1, 10))
def test_more_weight_moves_people_only_to_that_version(weights, factor):
    before = assigned_of(split(*weights))
    grown = split(*[*weights[:-1], weights[-1] * factor])
    for person, version in assigned_of(grown).items():
        assert version in (before[person], len(weights))


def assigned_of(plan):
    return {person: choose(plan, "m:all", person) for person in PEOPLE[:200]}


def test_a_version_without_weight_answers_nobody():
    assert set(assigned(split(1, 0)).values()) == {1}


def test_another_salt_draws_anew():
    plan = split(1, 1)
    moved = sum(choose(plan, "a:all", person) != choose(plan, "b:all", person) for person in PEOPLE)
    assert 0.4 < moved / len(PEOPLE) < 0.6


@pytest.mark.parametrize("mode", ["random", "sticky"])
def test_without_a_person_or_at_random_each_request_is_drawn(mode):
    plan = split(1, 1, mode=mode)
    person = "user-1" if mode == "random" else None
    assert len({choose(plan, "m:all", person) for _ in range(200)}) == 2


def test_weights_are_normalised():
    assert [variant.weight for variant in split(90, 10).variants] == [0.9, 0.1]


@pytest.mark.parametrize(
    ("plan", "words"),
    [
        (Split(variants=[Variant(version=1, weight=1), Variant(version=1, weight=1)]), "named twice"),
        (Split(variants=[Variant(version=1, weight=0)]), "add up to 0"),
        (Split(variants=[Variant(version=1, weight=1)], mode="ensemble"), "at least two"),
        (Split(variants=[Variant(version=1, weight=float("inf"))]), "add up"),
        (
            Split(
                variants=[Variant(version=1, weight=1), Variant(version=2, weight=1)],
                stack=Stack(intercept=0, coefficients=[1, 1]),
            ),
            "belongs to mode ensemble",
        ),
        (
            Split(
                variants=[Variant(version=1, weight=1), Variant(version=2, weight=1)],
                mode="ensemble",
                stack=Stack(intercept=0, coefficients=[1]),
            ),
            "2 finite coefficients",
        ),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(plan, words):
    with pytest.raises(Invalid, match=words) as caught:
        checked(plan)
    assert caught.value.code == "bad_split"


def test_taking_a_version_out_shares_its_requests_among_the_rest():
    rest = without(split(2, 1, 1), 3)
    assert rest is not None
    assert [(one.version, round(one.weight, 3)) for one in rest.variants] == [(1, 0.667), (2, 0.333)]
    assert without(split(1, 1), 2) is None
    assert without(split(1, 0, 1), 3) is not None
    assert without(split(1, 1, 1, mode="ensemble", stack=Stack(intercept=0, coefficients=[1, 1, 1])), 3) is None


def test_means_of_numbers_vectors_and_records():
    assert combine([[1.0, 2.0], [3.0, 6.0]], [1, 1]) == [2.0, 4.0]
    assert combine([[1.0], [4.0]], [2, 1]) == [2.0]
    assert combine([[[1.0, 2.0]], [[3.0, 4.0]]], [1, 1]) == [[2.0, 3.0]]
    assert combine([[{"ctr": 0.0, "gmv": 2.0}], [{"gmv": 4.0, "ctr": 1.0}]], [1, 1]) == [{"ctr": 0.5, "gmv": 3.0}]
    with pytest.raises(Invalid, match="cannot be averaged"):
        combine([[1.0], [[1.0]]], [1, 1])
    with pytest.raises(Invalid, match="cannot be averaged"):
        combine([[["a"]], [["b"]]], [1, 1])


def test_a_stack_is_a_logistic_combination():
    told = stacked([[0.2, 1.0], [0.7, 0.5]], Stack(intercept=0.1, coefficients=[0.5, 2.0]))
    z = 0.1 + 0.5 * log(0.2 / 0.8) + 2.0 * log(0.7 / 0.3)
    assert told[0] == pytest.approx(1 / (1 + exp(-z)))
    assert 0 < told[1] < 1
