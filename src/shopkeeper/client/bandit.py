"""A bandit of its own: what a policy draws for a user, and what came of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import escaped
from shopkeeper.core.records import Job

_BANDIT = "/api/v1/bandit"


class BanditDoors(JobDoors):
    """One method a door. All but `bandit_policies` raise Unavailable (`not_initialized`) before `begin_bandit`."""

    def begin_bandit(
        self,
        n_items: int = 20,
        configs: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        cold_start: bool = True,
        evaluation: bool = True,
        held_out: float = 0.0,
    ) -> dict[str, Any]:
        """What is explored from now on. `configs`: a policy, its parameters and the names of its `context`; none:
        Thompson sampling; `held_out`: share of the slates that are kept to measure on. Raises Invalid."""
        body = {
            "n_items": n_items,
            "algorithm_configs": dict(configs or {}),
            "enable_cold_start": cold_start,
            "enable_evaluation": evaluation,
            "held_out": held_out,
        }
        found: dict[str, Any] = self.call("POST", f"{_BANDIT}/initialize", dict[str, Any], body, repeat=True)["config"]
        return found

    def draw(
        self,
        user_id: str,
        n: int = 10,
        *,
        context: Mapping[str, Any] | None = None,
        exclude: Sequence[str] = (),
        explanations: bool = False,
    ) -> dict[str, Any]:
        """`{request_id, recommendations[{item_id, score, propensity}], algorithm ...}`. Raises Invalid."""
        body = {
            "user_id": user_id,
            "num_recommendations": n,
            "context": dict(context or {}),
            "exclude_items": list(exclude),
            "include_explanations": explanations,
        }
        return self.call("POST", f"{_BANDIT}/recommend", dict[str, Any], body, repeat=True)

    def tell_bandit(
        self, user_id: str, item_id: str, feedback_type: str, value: float = 0.0, *, request_id: str | None = None
    ) -> dict[str, Any]:
        """`{feedback_id, request_id ...}`; without `request_id` the user's newest answer with the item is meant. It is
        not repeated by itself. Raises Invalid."""
        body = {
            "user_id": user_id,
            "item_id": item_id,
            "feedback_type": feedback_type,
            "feedback_value": value,
            "context": {} if request_id is None else {"request_id": request_id},
        }
        return self.call("POST", f"{_BANDIT}/feedback", dict[str, Any], body)

    def bandit_statistics(self) -> dict[str, Any]:
        """`{policy, slates, learned, rounds, snapshot, arms, average_reward, best[{item_id, estimate}]}`."""
        found: dict[str, Any] = self.get(f"{_BANDIT}/statistics", dict[str, Any])["statistics"]
        return found

    def bandit_policies(self) -> list[dict[str, Any]]:
        """`{name, description, contextual, params_schema}`."""
        return self.get(f"{_BANDIT}/algorithms", list[dict[str, Any]])

    def bandit_health(self) -> dict[str, Any]:
        return self.get(f"{_BANDIT}/health", dict[str, Any])

    def put_user_context(self, user_id: str, numbers: Mapping[str, Any]) -> None:
        """Numbers that policies read as `context.NAME`."""
        self.call("PUT", f"{_BANDIT}/user/{escaped(user_id)}/context", dict[str, Any], dict(numbers), repeat=True)

    def put_item_features(self, item_id: str, features: Mapping[str, Any]) -> None:
        """Attributes of the item. Raises NotFound."""
        self.call("PUT", f"{_BANDIT}/item/{escaped(item_id)}/features", dict[str, Any], dict(features), repeat=True)

    def evaluate_bandit(self, policy: Mapping[str, Any], estimators: Sequence[str] = ("ips", "snips", "dr")) -> Job:
        """What another policy would have brought: `{algorithm, params}`, `{model, version}` or `{scenario}`. Raises
        Invalid, NotFound."""
        body = {"policy": dict(policy), "estimators": list(estimators)}
        return self.job(self.call("POST", f"{_BANDIT}/evaluate", dict[str, Any], body)["job_id"])

    def snapshot_policy(self, scenario: str = "bandit", *, model: str = "policy", promote: bool = True) -> Job:
        """Begins to make a version of what a scenario's policy has learned; `wait` follows the job. Raises NotFound,
        Conflict (it explores nothing, or has not learned yet), Busy."""
        body = {"scenario": scenario, "model": model, "promote": promote}
        return self.job(self.call("POST", f"{_BANDIT}/snapshot", dict[str, Any], body)["job_id"])

    def begin_bandit_experiment(
        self, name: str, algorithms: Mapping[str, Mapping[str, Any]], split: Mapping[str, float] | None = None,
        *, hours: float = 24.0, min_sample: int = 100,
    ) -> dict[str, Any]:  # fmt: skip
        """`{experiment_id, start_time, end_time, variants[]}`. `algorithms`: variants and their policies, the first is
        the control; `split`: their shares. Raises Invalid, Conflict."""
        body = {
            "experiment_name": name,
            "algorithms": dict(algorithms),
            "traffic_split": dict(split or {}),
            "duration_hours": hours,
            "min_sample_size": min_sample,
        }
        return self.call("POST", f"{_BANDIT}/experiments", dict[str, Any], body)

    def bandit_experiments(self) -> list[dict[str, Any]]:
        """Newest first."""
        found: list[dict[str, Any]] = self.get(f"{_BANDIT}/experiments", dict[str, Any])["experiments"]
        return found

    def bandit_results(self, experiment_id: str) -> dict[str, Any]:
        """Raises NotFound."""
        path = f"{_BANDIT}/experiments/{escaped(experiment_id)}/results"
        found: dict[str, Any] = self.get(path, dict[str, Any])["results"]
        return found

    def end_bandit_experiment(self, experiment_id: str) -> None:
        """Raises NotFound; Conflict when it has ended."""
        self.call("POST", f"{_BANDIT}/experiments/{escaped(experiment_id)}/end", dict[str, Any])
