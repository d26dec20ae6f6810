"""Which version of a model answers somebody, where an experiment tries some."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shopkeeper.lifecycle.experiments.assigning import Assignments, Chosen
from shopkeeper.lifecycle.experiments.people import People

Expose = Callable[[tuple[Chosen, ...]], None]


@dataclass(frozen=True, slots=True)
class Tried:
    """`version` None: the champion, as for everybody who takes no part. `answered` when it has been."""

    version: int | None
    chosen: tuple[Chosen, ...]
    expose: Expose

    def answered(self) -> None:
        if self.chosen:
            self.expose(self.chosen)


class ModelVariants:
    """On the loop."""

    def __init__(self, assignments: Assignments, people: People, expose: Expose) -> None:
        self._assignments = assignments
        self._people = people
        self._expose = expose

    def of(self, model: str, scope: str, user_id: str | None) -> Tried | None:
        """None: nothing is tried on the model."""
        subject = f"model:{model}:{scope}"
        if not self._assignments.on(subject):
            return None
        unit = None if user_id is None else self._people.find(user_id)
        chosen = () if unit is None else self._assignments.of(subject, unit.user_id, unit.row)
        version = int(chosen[0].config["version"]) if chosen else None
        return Tried(version, chosen, self._expose)
