"""Online learners, and what reactions are worth."""

from __future__ import annotations

from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import Page, escaped
from shopkeeper.core.learning import Learning, OnlineSettings, TunedRewards
from shopkeeper.core.records import Job

_LEARNING = "/api/v1/learning"
_REWARDS = "/api/v1/rewards"


class LearningDoors(JobDoors):
    """One method a door."""

    def learners(self) -> list[Learning]:
        """By name."""
        return self.get(_LEARNING, Page[Learning]).items

    def learner(self, model: str) -> Learning:
        return self.get(f"{_LEARNING}/{escaped(model)}", Learning)

    def learn_online(self, model: str, settings: OnlineSettings | None = None) -> Learning:
        """Begins, or goes on by other settings. Raises Conflict for a model without a version of ftrl."""
        return self.call("PUT", f"{_LEARNING}/{escaped(model)}", Learning, settings or OnlineSettings(), repeat=True)

    def stop_learning(self, model: str) -> None:
        """The learner goes, with what it has learned since its last version."""
        self.send_request("DELETE", f"{_LEARNING}/{escaped(model)}")

    def snapshot_learner(self, model: str) -> Job:
        """Begins to make a version; `wait` follows the job. Raises Conflict, Busy."""
        queued = self.call("POST", f"{_LEARNING}/{escaped(model)}/snapshot", dict[str, Any])
        return self.job(queued["job_id"])

    def rewards(self) -> dict[str, float | None]:
        """Kind of feedback -> what it is worth; None: by its value."""
        found = self.get(_REWARDS, dict[str, dict[str, float | None]])
        return found["rewards"]

    def tuned_rewards(self, *, days: int = 7, early_hours: float = 24.0) -> TunedRewards:
        """Raises Invalid for a log that is too short to tell."""
        return self.get(f"{_REWARDS}/tuned", TunedRewards, {"days": days, "early_hours": early_hours})
