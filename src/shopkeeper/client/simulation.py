"""The simulated shop: what its world is made of, and making it anew."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.core.records import Job

_V1 = "/api/v1"


class SimulationDoors(JobDoors):
    def simulation(self) -> dict[str, int]:
        """The 15 numbers of the next world. Raises Conflict for a shop that is not simulated."""
        return self.get(f"{_V1}/data/config", dict[str, int])

    def configure_simulation(self, config: Mapping[str, int]) -> dict[str, Any]:
        """`{message, config}`; of `config` the first five are required. Raises Invalid, Conflict."""
        return self.call("POST", f"{_V1}/data/config", dict[str, Any], dict(config), repeat=True)

    def regenerate(self, *, seed: int | None = None) -> Job:
        """All data of a simulated shop is thrown away for other. Raises Conflict, and Busy while it is under way."""
        query = {} if seed is None else {"seed": seed}
        answer = self.call("POST", f"{_V1}/data/regenerate", dict[str, Any], query=query)
        return self.job(answer["job_id"])
