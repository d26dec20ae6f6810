"""A loop is there when it was made, and takes what nobody may write to."""

import numpy as np
import pytest

from shopkeeper.learning.compiled import Compiled


def _sum(values):
    total = 0.0
    for i in range(len(values)):
        total += values[i]
    return total


def test_a_loop_is_compiled_when_somebody_says_so() -> None:
    loop = Compiled(_sum, "float64(float32[::1])")
    assert loop.form is None
    loop.make()
    form = loop.form
    assert form is not None
    assert form(np.arange(4, dtype=np.float32)) == loop.loop([0, 1, 2, 3]) == 6
    kept = np.arange(4, dtype=np.float32)
    kept.flags.writeable = False
    assert form(kept) == 6
    loop.make()
    assert loop.form is form


def test_another_type_is_refused_and_not_compiled_meanwhile() -> None:
    loop = Compiled(_sum, "float64(float32[::1])")
    loop.make()
    with pytest.raises(TypeError):
        loop.form(np.arange(4))
