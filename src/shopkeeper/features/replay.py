"""Training rows as of their moment: the log is replayed in order of time through the code that serves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.batch import EventBatch
from shopkeeper.core.errors import Invalid
from shopkeeper.features.base import Ask
from shopkeeper.features.state import FeatureState
from shopkeeper.features.vector import FeatureSet


class Question(NamedTuple):
    """What was to be answered at `time` (us): candidates (n,) for a user."""

    user: int
    time: int
    items: NDArray[np.int32]
    context: Mapping[str, Any] = {}


def replay(
    events: EventBatch, questions: Iterable[Question], features: FeatureSet, state: FeatureState
) -> Iterator[NDArray[np.float32]]:
    """A matrix (n, f) for each question, which sees the events with time < its own, strictly.

    `events` come in order of time (`EventBatch.by_time`), questions too; `state` is a fresh one, or one that holds what
    lies before `events`. Raises Invalid when either goes back in time.
    """
    if len(events) > 1 and bool((np.diff(events.time) < 0).any()):
        raise Invalid("events to replay must be in order of time: use EventBatch.by_time()", code="not_in_order")
    done, last = 0, None
    for question in questions:
        if last is not None and question.time < last:
            raise Invalid(
                f"question at {question.time} us comes after one at {last} us: sort by time", code="not_in_order"
            )
        last = question.time
        end = int(np.searchsorted(events.time, question.time))
        if end > done:
            state.apply(events.take(slice(done, end)))
            done = end
        yield features.matrix(Ask(question.user, question.time, question.items, state, question.context))
