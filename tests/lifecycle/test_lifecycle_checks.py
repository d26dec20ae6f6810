"""The artifact checks pass a sound model and catch those that are not."""

import pytest
import toyshop

from shopkeeper.checks.artifacts import CHECKS, Trained, check_saved_and_loaded_it_answers_the_same
from shopkeeper.core.errors import Invalid, Unavailable

GOLDEN = [{"x": 1.0}, {"x": 3.0}]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_strangers_model_passes(check, tmp_path):
    check(Trained("toy_line", toyshop.Line(2.5), GOLDEN), tmp_path)


def test_a_model_that_loads_differently_is_caught(tmp_path):
    with pytest.raises(Unavailable, match="off by up to"):
        check_saved_and_loaded_it_answers_the_same(Trained("toy_liar", toyshop.Liar(2.5), GOLDEN), tmp_path)


def test_a_model_that_saves_code_is_caught(tmp_path):
    class Pickler(toyshop.Line):
        def save(self, folder):
            (folder / "line.pkl").write_bytes(b"\x80\x04.")

    with pytest.raises(Invalid, match="could carry code"):
        check_saved_and_loaded_it_answers_the_same(Trained("toy_line", Pickler(2.5), GOLDEN), tmp_path)
