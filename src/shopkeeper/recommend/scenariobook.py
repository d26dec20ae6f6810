"""The scenarios of a shop: the built-in ones and those that were written, by name. What is changed counts at once."""

from __future__ import annotations

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import replace

from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.recommend.scenariocheck import Known, check_scenario, problems_of
from shopkeeper.recommend.scenarioform import body_of, scenario_of
from shopkeeper.recommend.scenarios import BUILT_IN, Scenario
from shopkeeper.stores.scenarios import ScenarioStore, StoredScenario

_LOGGER = logging.getLogger(__name__)


class ScenarioBook:
    """For any thread. Readers see one whole state after another."""

    def __init__(
        self,
        store: ScenarioStore | None = None,
        known: Known | None = None,
        tell: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Without a store only what is built in. `tell(name)` hears of each durable change, on the writer's thread."""
        self._store = store
        self._known = known
        self._tell = tell
        self._present: dict[str, Scenario] = dict(BUILT_IN)
        self._versions: dict[str, int] = {}
        self.reload()

    def get(self, name: str) -> Scenario:
        """As it is now. Raises Invalid, naming what there is."""
        found = self._present.get(name)
        if found is None:
            raise Invalid(
                f"no scenario {name[:80]!r}; there are: {', '.join(self._present)}",
                code="unknown_scenario",
                field="scenario",
            )
        return found

    def find(self, name: str) -> Scenario:
        """The same for one who asks for the scenario itself. Raises NotFound."""
        found = self._present.get(name)
        if found is None:
            raise NotFound(f"no scenario {name[:80]!r}", code="unknown_scenario", field="name")
        return found

    def has(self, name: str) -> bool:
        return name in self._present

    @staticmethod
    def is_built_in(scenario: Scenario) -> bool:
        """Whether it says what is built in under its name."""
        built_in = BUILT_IN.get(scenario.name)
        return built_in is not None and replace(scenario, version=built_in.version) == built_in

    def all(self) -> list[Scenario]:
        """All that there are, the built-in ones first."""
        return list(self._present.values())

    def problems(self, scenario: Scenario) -> list[str]:
        """What of a stored scenario cannot be answered any more, each with its place and why."""
        return [] if self._known is None else problems_of(scenario, self._known)

    def reload(self) -> None:
        """Reads what was written anew."""
        for stored in () if self._store is None else self._store.all():
            self._take(stored)

    def put(self, scenario: Scenario, *, by: str = "", if_match: str | None = None) -> Future[StoredScenario]:
        """Checks and stores it as the next version of its name; it counts from the next request on.

        Raises Invalid with the field; Stale and Conflict come by the future.
        """
        store, known = self._written()
        check_scenario(scenario, known)
        return store.put(
            scenario.name,
            body_of(scenario),
            first=_first(scenario.name),
            by=by,
            if_match=if_match,
            after=self._changed,
        )

    def delete(self, name: str, *, by: str = "", if_match: str | None = None) -> Future[StoredScenario]:
        """Takes away what was written; what is built in under the name is there again.

        Raises NotFound, and Conflict for what is built in and was never changed. Stale comes by the future.
        """
        store, _ = self._written()
        present = self.find(name)
        if self.is_built_in(present):
            raise Conflict(f"scenario {name!r} is built in and stays; it can be changed with PUT", code="built_in")
        return store.put(name, None, first=_first(name), by=by, if_match=if_match, after=self._changed)

    def _written(self) -> tuple[ScenarioStore, Known]:
        if self._store is None or self._known is None:
            raise Conflict("these scenarios cannot be changed: no store keeps them", code="no_store")
        return self._store, self._known

    def _changed(self, stored: StoredScenario) -> None:
        self._take(stored)
        self._tell(stored.name)

    def _take(self, stored: StoredScenario) -> None:
        """A reading may have been quicker and seen a later version already."""
        if self._versions.get(stored.name, 0) > stored.version:
            return
        present = dict(self._present)  # replaced, so that a reader never sees it half changed
        built_in = BUILT_IN.get(stored.name)
        if stored.body is not None:
            try:
                present[stored.name] = scenario_of(stored.name, stored.version, stored.body)
            except (KeyError, TypeError, ValueError):
                _LOGGER.exception(
                    "scenario %s, version %d, cannot be read and is passed over", stored.name, stored.version
                )
                return
        elif built_in is not None:
            present[stored.name] = replace(built_in, version=stored.version)
        else:
            present.pop(stored.name, None)
        self._versions[stored.name] = stored.version
        self._present = present


def _first(name: str) -> int:
    built_in = BUILT_IN.get(name)
    return 0 if built_in is None else built_in.version
