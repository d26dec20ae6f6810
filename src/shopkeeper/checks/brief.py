"""The parameters with which checks train: a class may say in `brief` which of its own make a fit short.

    class Tcn(NeuralTrainer):
        brief: ClassVar[dict[str, Any]] = {"epochs": 2, "width": 8, "steps": 20}

Checks ask whether a model keeps its promises, not how good it is; a net of seven layers would take an hour for that.
"""

from __future__ import annotations

from typing import Any

from shopkeeper import plugins


def brief_params(trainer: type[Any]) -> Any:
    """`Params` of the trainer with its `brief` values, or with its defaults. Raises Invalid for a value it refuses."""
    return plugins.read_params(trainer, getattr(trainer, "brief", {}))
