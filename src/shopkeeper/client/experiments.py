"""Experiments: what is tried on whom, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.client.wire import Page, Wire, decoded, escaped, tag_of
from shopkeeper.core.experiments import Assignment, Experiment, Plan, Results

_EXPERIMENTS = "/api/v1/experiments"


class ExperimentDoors(Wire):
    """One method a door. `if_version`: only where that version still counts, else Stale is raised."""

    def experiments(self, status: str | None = None) -> list[Experiment]:
        """The newest first, at most 1,000."""
        query = {"limit": 1000, **({} if status is None else {"status": status})}
        return self.get(_EXPERIMENTS, Page[Experiment], query).items

    def experiment(self, experiment_id: str) -> Experiment:
        return self.get(_path(experiment_id), Experiment)

    def create_experiment(self, plan: Plan | Mapping[str, Any]) -> Experiment:
        """A draft. Raises Invalid with the field, NotFound (what is tried)."""
        return self.call("POST", _EXPERIMENTS, Experiment, plan)

    def change_experiment(
        self, experiment_id: str, plan: Plan | Mapping[str, Any], *, if_version: int | None = None
    ) -> Experiment:
        """Raises Conflict when it is no draft any more."""
        return self._done("PUT", _path(experiment_id), plan, if_version)

    def delete_experiment(self, experiment_id: str, *, if_version: int | None = None) -> None:
        """Raises Conflict when it is no draft any more."""
        self.send_request("DELETE", _path(experiment_id), if_match=tag_of(if_version))

    def start_experiment(self, experiment_id: str, *, if_version: int | None = None) -> Experiment:
        """Raises Conflict: no draft, no room in its layer, or it stands against another."""
        return self._done("POST", f"{_path(experiment_id)}/start", None, if_version)

    def pause_experiment(self, experiment_id: str, *, if_version: int | None = None) -> Experiment:
        return self._done("POST", f"{_path(experiment_id)}/pause", None, if_version)

    def resume_experiment(self, experiment_id: str, *, if_version: int | None = None) -> Experiment:
        return self._done("POST", f"{_path(experiment_id)}/resume", None, if_version)

    def stop_experiment(
        self,
        experiment_id: str,
        *,
        winner: str | None = None,
        roll_out: bool = False,
        reason: str = "",
        if_version: int | None = None,
    ) -> Experiment:
        """`winner` None: the one that the results name. Raises Conflict: not running, no winner, the gate says no."""
        body = {"winner": winner, "roll_out": roll_out, "reason": reason}
        return self._done("POST", f"{_path(experiment_id)}/stop", body, if_version)

    def share_experiment(
        self,
        experiment_id: str,
        *,
        share: float | None = None,
        weights: Mapping[str, float] | None = None,
        if_version: int | None = None,
    ) -> Experiment:
        """Another part of the users, other weights of the variants."""
        body = {"share": share, "weights": None if weights is None else dict(weights)}
        return self._done("POST", f"{_path(experiment_id)}/shares", body, if_version)

    def roll_out_experiment(
        self,
        experiment_id: str,
        variant: str,
        *,
        steps: Sequence[float] = (0.01, 0.1, 0.5, 1.0),
        step_hours: float = 24.0,
        if_version: int | None = None,
    ) -> Experiment:
        """Step by step; after the last everybody gets it."""
        body = {"variant": variant, "steps": list(steps), "step_hours": step_hours}
        return self._done("POST", f"{_path(experiment_id)}/roll-out", body, if_version)

    def step_experiment(self, experiment_id: str) -> Experiment:
        """The next step of a roll-out, now."""
        return self.call("POST", f"{_path(experiment_id)}/step", Experiment)

    def roll_back_experiment(self, experiment_id: str, *, if_version: int | None = None) -> Experiment:
        """Raises Conflict when nothing was rolled out, or it was changed since."""
        return self._done("POST", f"{_path(experiment_id)}/roll-back", None, if_version)

    def experiment_results(self, experiment_id: str) -> Results:
        return self.get(f"{_path(experiment_id)}/results", Results)

    def assignment(self, experiment_id: str, user_id: str) -> Assignment:
        """Which variant a user gets. Asking counts nobody."""
        return self.get(f"{_path(experiment_id)}/assignment", Assignment, {"user_id": user_id})

    def tell_experiment(self, experiment_id: str, user_id: str, metric: str, value: float = 1.0) -> bool:
        """What a user did, for the metrics `told:NAME` and `told_share:NAME`. False: nobody who takes part."""
        body = {"user_id": user_id, "metric": metric, "value": value}
        told: dict[str, Any] = self.call("POST", f"{_path(experiment_id)}/events", dict[str, Any], body)
        return bool(told["accepted"])

    def sample_size(
        self,
        baseline: float,
        effect: float,
        *,
        alpha: float = 0.05,
        power: float = 0.8,
        deviation: float | None = None,
        variants: int = 2,
    ) -> int:
        """People in each variant. `effect` is relative; `deviation` of one person's number: `baseline` is a mean."""
        body = {
            "baseline": baseline,
            "effect": effect,
            "alpha": alpha,
            "power": power,
            "deviation": deviation,
            "variants": variants,
        }
        return int(self.call("POST", f"{_EXPERIMENTS}/sample-size", dict[str, Any], body)["per_variant"])

    def _done(self, method: str, path: str, body: Any, if_version: int | None) -> Experiment:
        return decoded(self.send_request(method, path, body, if_match=tag_of(if_version)), Experiment)


def _path(experiment_id: str) -> str:
    return f"{_EXPERIMENTS}/{escaped(experiment_id)}"
