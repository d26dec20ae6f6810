"""Outputs as facts of a model: what is let through, what is not, and when a vector is flat."""

from __future__ import annotations

from math import inf, nan
from typing import Any

import numpy as np
import pytest

from shopkeeper.core.errors import Unavailable
from shopkeeper.lifecycle.outputs import check_outputs, flattened, kind_of


def model(output: str | None = None, **facts: Any) -> Any:
    return type("Toy", (), facts if output is None else {"output": output, **facts})


@pytest.mark.parametrize(
    ("one", "outputs"),
    [
        (model(), [1, 2.5, 3]),
        (model("vector"), [[1.0, 2.0], [3.0, 4.0]]),
        (model("vector", output_size=2), [[1.0, 2]]),
        (model("object"), [{"a": 1.0, "b": 2.0}, {"b": 1.0, "a": 2.0}]),
        (model("object", output_names=("a", "b")), [{"a": 1.0, "b": 2.0}]),
        (model("list"), [["a"], [], ["b", "c"]]),
    ],
)
def test_what_a_model_says_it_gives_is_let_through(one: Any, outputs: list[Any]) -> None:
    assert check_outputs("toy", one, outputs, len(outputs)) == kind_of(one)
    assert check_outputs("toy", one, [], 0) == kind_of(one)


@pytest.mark.parametrize(
    ("one", "outputs", "told"),
    [
        (model(), [1.0, 2.0], "2 outputs for 1 rows"),
        (model(), [], "0 outputs for 1 rows"),
        (model(), [nan], "NaN or infinity"),
        (model(), [inf], "NaN or infinity"),
        (model(), ["1"], "gave str"),
        (model(), [None], "gave NoneType"),
        (model(), [True], "gave bool"),
        (model(), [np.float32(1)], "gave float32"),
        (model(), [np.float64(1)], "gave float64"),
        (model(), np.ones(1), "gave ndarray where a list"),
        (model(), (1.0,), "gave tuple where a list"),
        (model(), [[1.0]], "gave list"),
        (model("vector"), [1.0], "gave float where a vector"),
        (model("vector"), [[1.0, -inf]], "NaN or infinity"),
        (model("vector", output_size=3), [[1.0, 2.0]], "2 numbers, expected 3"),
        (model("object"), [[1.0]], "where named numbers"),
        (model("object"), [{"a": nan}], "NaN or infinity"),
        (model("object", output_names=("a", "b")), [{"a": 1.0}], r"expected \['a', 'b'\]"),
        (model("list"), ["abc"], "gave str where a list"),
        (model("matrix"), [1.0], "there are: number, vector, object, list"),
    ],
)
def test_anything_else_is_refused_in_words(one: Any, outputs: list[Any], told: str) -> None:
    with pytest.raises(Unavailable, match=told) as caught:
        check_outputs("toy", one, outputs, 1)
    assert caught.value.code == "bad_output"


def test_vectors_of_one_model_have_one_length() -> None:
    with pytest.raises(Unavailable, match="1 numbers, expected 2"):
        check_outputs("toy", model("vector"), [[1.0, 2.0], [1.0]], 2)


@pytest.mark.parametrize(
    ("kind", "outputs", "flat"),
    [
        ("vector", [[1.0, 2.0]], [1.0, 2.0]),
        ("vector", [[1.0], [2.0]], [[1.0], [2.0]]),
        ("list", [["a", "b"]], [["a", "b"]]),
        ("list", [[]], [[]]),
        ("object", [{"a": 1.0}], [{"a": 1.0}]),
        ("number", [1.0], [1.0]),
    ],
)
def test_only_the_vector_of_exactly_one_row_is_flat(kind: str, outputs: list[Any], flat: list[Any]) -> None:
    assert flattened(kind, outputs) == flat
    assert flattened(kind, outputs, strict=True) == outputs
