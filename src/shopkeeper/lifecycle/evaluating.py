"""The job kind `evaluate`: measure a version anew, beside another, on the same rows, and judge.

A verdict holds against the champion that it was measured with; this is how one is had against the champion of today.
The rows are those that a training of the version would hold out now. Runs in the job's child; `evaluations.py` is its
other half.
"""

from __future__ import annotations

from typing import Any

import msgspec

from shopkeeper import plugins
from shopkeeper.core.errors import Invalid
from shopkeeper.core.protocols import JobContext, TrainingContext
from shopkeeper.lifecycle.measuring import Rival, finite, judged, measured
from shopkeeper.lifecycle.reporting import within


class EvaluateTask(msgspec.Struct, kw_only=True):
    """`candidate` is judged; `against` what it must not fall behind. `params`, `seed`, `source`: of its training."""

    model: str
    scope: str
    candidate: Rival
    against: Rival
    params: dict[str, Any]
    seed: int
    source: dict[str, Any]


def evaluate(ctx: JobContext) -> dict[str, Any]:
    """The result: version, against, gate, metrics, champion_metrics, data."""
    task = msgspec.convert(dict(ctx.params), EvaluateTask)
    trainer = plugins.algorithm(task.candidate.algorithm)
    params = plugins.read_params(trainer, task.params)
    family = plugins.family(trainer.family)
    data = family.data(_context(ctx, task), params, within(ctx.report, 0, 60))
    ctx.report(60, 100, message="measuring")
    measures, trouble = measured(task.candidate, data)
    if measures is None:
        raise Invalid(f"{task.model} {trouble}", code="bad_model")
    rival, trouble = measured(task.against, data)
    ctx.report(95, 100, message="judging")
    return {
        "version": task.candidate.version,
        "against": task.against.version,
        "gate": msgspec.to_builtins(judged(family, measures, rival, trouble)),
        "metrics": finite(measures),
        "champion_metrics": None if rival is None else finite(rival),
        "data": data.facts,
    }


def _context(ctx: JobContext, task: EvaluateTask) -> TrainingContext:
    return TrainingContext(
        home=ctx.home,
        sql_url=ctx.sql_url,
        source=task.source,
        now=ctx.now,
        zone=ctx.zone,
        seed=task.seed,
        model=task.model,
        scope=task.scope,
    )
