"""From a training form to a job: checked here, so that a mistake is told at once and not by a failed job."""

from __future__ import annotations

from typing import Any

from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.forms import Source, TrainForm
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Job


def chosen(source: Source) -> dict[str, Any]:
    """What a form says of its source, without what it leaves open."""
    given = {name: value for name in source.__struct_fields__ if (value := getattr(source, name))}
    return {**given.pop("options", {}), **given}


def submit_training(shop: Shop, model: str, scope: str, form: TrainForm, by: str) -> Job:
    """Raises Malformed (algorithm), Invalid (name, parameter), Conflict, Busy, Overloaded."""
    try:
        return shop.releases.train(
            model,
            form.algorithm,
            params=form.params,
            source=chosen(form.source),
            scope=scope,
            seed=form.seed,
            promote=form.promote,
            evaluate=form.evaluate,
            register=form.register,
            upload=form.upload,
            version=form.version,
            start_from=form.start_from,
            requested_by=by,
        )
    except NotFound as error:  # the door is there, but the body names an algorithm that is not
        if error.code != "unknown_algorithm":
            raise
        problem = FieldProblem("algorithm", error.message)
        raise Malformed(f"algorithm: {error.message}", code="unknown_algorithm", errors=[problem]) from error
