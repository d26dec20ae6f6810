"""The algorithm `ftrl`: a ranker that can go on learning while the shop sells, see `learner.py`."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

import msgspec
import numpy as np
from numpy.typing import NDArray

from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import Report
from shopkeeper.quality.classification import logloss
from shopkeeper.recommend.online.ftrl import Active, Ftrl, Step
from shopkeeper.recommend.online.inputs import LinearInputs
from shopkeeper.recommend.online.ranker import FtrlRanker
from shopkeeper.recommend.online.rows import Snapshot
from shopkeeper.recommend.ranking.attribution import permuted
from shopkeeper.recommend.ranking.params import RankingParams
from shopkeeper.recommend.ranking.rows import RankRows
from shopkeeper.recommend.ranking.stopping import stopping_split


def _about(text: str, **bounds: Any) -> msgspec.Meta:
    return msgspec.Meta(description=text, **bounds)


class FtrlTrainer:
    """Logistic regression by FTRL-proximal, in passes over the rows in their order; the last 15 % decide how many, and
    are then learned too, as they are the newest. Numbers are standardised and also looked at by parts of their range.

    References: McMahan et al., "Ad click prediction: a view from the trenches", KDD 2013.
    """

    name: ClassVar[str] = "ftrl"
    family: ClassVar[str] = "ranking"
    description: ClassVar[str] = "Logistic regression (FTRL-proximal) that can go on learning from what is served"
    tags: ClassVar[tuple[str, ...]] = ("ranking", "linear", "online", "fast")
    knows_new_users: ClassVar[bool] = True
    knows_new_items: ClassVar[bool] = True
    model: ClassVar[type[FtrlRanker]] = FtrlRanker

    class Params(RankingParams):
        alpha: Annotated[float, _about("Rate: how long the first steps of a weight are", gt=0, le=10)] = 0.05
        beta: Annotated[float, _about("Units of gradient that the first step is taken for", ge=0, le=1000)] = 1.0
        l1: Annotated[float, _about("Penalty that keeps weights at nothing", ge=0, le=1000)] = 0.1
        l2: Annotated[float, _about("Penalty on the squares of weights", ge=0, le=1000)] = 1.0
        parts: Annotated[int, _about("Parts of a number's range; 1: it is read as it is only", ge=1, le=128)] = 16
        passes: Annotated[int, _about("Passes over the rows at most", ge=1, le=1000)] = 10
        batch_size: Annotated[int, _about("Rows of a step", ge=1, le=100_000)] = 32

    def __init__(self, params: Params, seed: int) -> None:
        self.params = params
        self.seed = seed
        self._begin: FtrlRanker | None = None

    def continue_from(self, model: Any) -> None:
        """The next fit begins with the weights of a version. Raises Invalid (`cannot_continue`)."""
        if not isinstance(model, FtrlRanker):
            raise Invalid("ftrl goes on from a version of ftrl only: leave start_from out", code="cannot_continue")
        self._begin = model

    def fit(self, data: RankRows, report: Report) -> FtrlRanker:
        """Raises Invalid (`no_data`, `bad_label`, `bad_data`, `cannot_continue`), Cancelled."""
        if isinstance(data, Snapshot):
            return data.ranker(self.seed)
        _check(data)
        learn, check = stopping_split(data, self.seed)
        inputs, ftrl, updates = self._beginning(learn)
        best, loss = ftrl, np.inf
        beside = inputs.read(check.values)
        rows = inputs.read(learn.values)
        for number in range(self.params.passes):
            ftrl = ftrl.copy()
            updates += passed(ftrl, rows, learn.label, learn.weight, self.params.batch_size)
            found = logloss(check.label, ftrl.probabilities(beside), check.weight)
            report(number + 1, self.params.passes, {"val_loss": found}, message="passes over the rows", epoch=True)
            if found >= loss:
                break
            best, loss = ftrl, found
        made = FtrlRanker(inputs, best.copy(), updates)
        told = permuted(made.score, check.values, check.label, inputs.schema.names, self.seed, weight=check.weight)
        updates += passed(best, beside, check.label, check.weight, self.params.batch_size)
        return FtrlRanker(inputs, best, updates, told)

    def _beginning(self, rows: RankRows) -> tuple[LinearInputs, Ftrl, int]:
        params = self.params
        step = Step(params.alpha, params.beta, params.l1, params.l2)
        if self._begin is None:
            schema = rows.schema if rows.schema.standardised else rows.schema.with_scaling(rows.values)
            inputs = LinearInputs.of(schema, rows.values, params.parts)
            return inputs, Ftrl(inputs.width, step), 0
        if self._begin.feature_names != rows.schema.names:
            raise Invalid(
                "the version to go on from has other features than the rows: leave start_from out",
                code="cannot_continue",
                field="start_from",
            )
        ftrl = self._begin.learning()
        ftrl.paced(step)
        return self._begin.inputs, ftrl, self._begin.updates


def passed(ftrl: Ftrl, rows: Active, label: NDArray[Any], weight: NDArray[Any], batch: int) -> int:
    """One pass over `rows`, in order. How many steps it took."""
    at = range(0, len(rows), batch)
    for start in at:
        part = slice(start, start + batch)
        ftrl.learn(rows.take(part), label[part].astype(np.float64), weight[part].astype(np.float64))
    return len(at)


def _check(rows: RankRows) -> None:
    """Raises Invalid where nothing can be learned."""
    if not len(rows):
        raise Invalid("there are no rows to learn from", code="no_data")
    if rows.label.min() == rows.label.max():
        raise Invalid(
            f"the {len(rows):,} rows to learn from hold only the label {rows.label[0]:g}: nothing to tell apart",
            code="bad_label",
        )
    for at, column in enumerate(rows.schema.columns):
        if np.isinf(rows.values[:, at]).any():
            raise Invalid(f"{column.name} holds infinite values; mend the rows", code="bad_data", field=column.name)
