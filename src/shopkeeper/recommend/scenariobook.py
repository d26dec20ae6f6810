"""The scenarios of a shop: the built-in ones and those that were written, by name. What is changed counts at once."""

from __future__ import annotations

from shopkeeper.core.errors import Invalid
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario


class ScenarioBook:
    """Readable from any thread."""

    def __init__(self) -> None:
        self._present: dict[str, Scenario] = dict(BUILT_IN)

    def get(self, name: str) -> Scenario:
        """As it is now. Raises Invalid, naming what there is."""
        found = self._present.get(name)
        if found is None:
            raise Invalid(
                f"no scenario {name!r}; there are: {', '.join(self._present)}",
                code="unknown_scenario",
                field="scenario",
            )
        return found

    def all(self) -> list[Scenario]:
        """All that there are, the built-in ones first."""
        return list(self._present.values())
