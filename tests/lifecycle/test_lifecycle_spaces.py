"""Vectors of items that another model builds on: whose they are, and what they may not have seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from shopkeeper.core.errors import Conflict, Invalid
from shopkeeper.lifecycle.spaces import ItemSpace, space_of


class Vectors:
    def __init__(self, ids: Sequence[str], vectors: NDArray[np.float32]) -> None:
        self.item_ids = ids
        self.item_vectors = vectors


class Dated(Vectors):
    reference = 7


def test_the_vectors_of_a_model_by_its_ids() -> None:
    space = space_of(Dated(["a", "b"], np.eye(2, dtype=np.float32)), "hgt/3")
    assert (space.item_ids, space.version, space.until) == (("a", "b"), "hgt/3", 7)
    assert space_of(Vectors(["a"], np.ones((1, 2), np.float32)), "als/1").until is None


@pytest.mark.parametrize(
    ("model", "code"),
    [
        (object(), "no_vectors"),
        (Vectors(["a", "b"], np.ones((1, 2), np.float32)), "bad_vectors"),
        (Vectors(["a"], np.full((1, 2), np.nan, np.float32)), "bad_vectors"),
        (Vectors(["a"], np.ones(1, np.float32)), "bad_vectors"),
    ],
)
def test_what_has_no_usable_vectors_is_refused(model: Any, code: str) -> None:
    with pytest.raises(Invalid) as error:
        space_of(model, "odd/1", "odd")
    assert error.value.code == code


def test_a_space_that_learned_from_later_days_is_refused() -> None:
    space = ItemSpace(("a",), np.ones((1, 2), np.float32), "hgt/3", until=10)
    space.check_before(10, "this")
    with pytest.raises(Conflict, match="it would be told what it is to foretell") as error:
        space.check_before(9, "this")
    assert error.value.code == "space_saw_holdout"
    ItemSpace(("a",), space.vectors, "als/1").check_before(0, "this")
