"""Marginal recall, on questions that can be counted by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from shopkeeper.recommend.candidates import Quota
from shopkeeper.recommend.marginal import Question, marginal_recall


def scores(*items: int) -> np.ndarray:
    """The first the highest."""
    found = np.zeros(10, dtype=np.float32)
    found[list(items)] = np.arange(len(items), 0, -1)
    return found


def taken(*items: int) -> np.ndarray:
    return np.array(items, dtype=np.int32)


def test_what_only_one_channel_finds_is_its_own() -> None:
    question = Question({"ease": scores(0, 1, 2), "new": scores(2, 7)}, taken(1, 2, 7, 9))
    recall, (ease, new) = marginal_recall([question], [Quota("ease", 3), Quota("new", 2)], 10)
    assert recall == 0.75
    assert (ease.channel, ease.alone, ease.only, ease.marginal) == ("ease", 0.5, 0.25, 0.25)
    assert (new.channel, new.alone, new.only, new.marginal) == ("new", 0.5, 0.25, 0.25)


def test_a_channel_can_cost_places() -> None:
    question = Question({"ease": scores(0, 1), "new": scores(5, 6)}, taken(0, 1))
    recall, (_, new) = marginal_recall([question], [Quota("ease", 2), Quota("new", 2, 3.0)], 2)
    assert recall == 0
    assert new.marginal == -1


def test_quotas_and_what_is_allowed_are_obeyed() -> None:
    allowed = np.ones(10, dtype=np.bool_)
    allowed[0] = False
    question = Question({"ease": scores(0, 1, 2)}, taken(0, 1, 2), allowed)
    recall, (ease,) = marginal_recall([question], [Quota("ease", 1)], 10)
    assert recall == ease.alone == ease.only == ease.marginal == pytest.approx(1 / 3)


def test_questions_without_an_answer_do_not_count() -> None:
    asked = Question({"ease": scores(0)}, taken(0))
    nothing = Question({"ease": scores(0)}, taken())
    assert marginal_recall([asked, nothing], [Quota("ease", 1)], 5)[0] == 1
    assert math.isnan(marginal_recall([nothing], [Quota("ease", 1)], 5)[0])
