"""From a training form to a job: checked here, so that a mistake is told at once and not by a failed job."""

from __future__ import annotations

from shopkeeper.api.errors import FieldProblem, Malformed
from shopkeeper.api.forms import TrainForm
from shopkeeper.bootstrap import Shop
from shopkeeper.core.errors import NotFound
from shopkeeper.core.records import Job


def submit_training(shop: Shop, model: str, scope: str, form: TrainForm, by: str) -> Job:
    """Raises Malformed (algorithm), Invalid (name, parameter), Conflict, Busy, Overloaded."""
    source = {name: value for name in form.source.__struct_fields__ if (value := getattr(form.source, name))}
    try:
        return shop.releases.train(
            model,
            form.algorithm,
            params=form.params,
            source=source,
            scope=scope,
            seed=form.seed,
            promote=form.promote,
            requested_by=by,
        )
    except NotFound as error:  # the door is there, but the body names an algorithm that is not
        problem = FieldProblem("algorithm", error.message)
        raise Malformed(f"algorithm: {error.message}", code="unknown_algorithm", errors=[problem]) from error
