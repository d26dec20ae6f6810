"""Agents that learn what pays in the long run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from shopkeeper.client.jobs import JobDoors
from shopkeeper.client.wire import Page, escaped
from shopkeeper.core.records import Job

_AGENTS = "/api/v1/qlearning/agents"


class AgentDoors(JobDoors):
    """One method a door. A state is a list of numbers, of the size that the agent was made with."""

    def create_agent(self, **config: Any) -> dict[str, Any]:
        """`agent_type` tabular, dqn, double or dueling; `state_size`, `action_size`, `learning_rate`, `gamma` ... see
        docs/q-learning.md. Raises Invalid, and Conflict when there are too many."""
        return self.call("POST", _AGENTS, dict[str, Any], config)

    def agents(self, *, limit: int = 50, cursor: str | None = None) -> Page[dict[str, Any]]:
        """Newest first."""
        return self.get(_AGENTS, Page[dict[str, Any]], {"limit": limit, "cursor": cursor})

    def agent(self, agent_id: str) -> dict[str, Any]:
        """Raises NotFound."""
        return self.get(_one(agent_id), dict[str, Any])

    def delete_agent(self, agent_id: str) -> None:
        """Raises NotFound, and Busy while it is trained."""
        self.send_request("DELETE", _one(agent_id))

    def agent_action(self, agent_id: str, state: Sequence[float], *, explore: bool = False) -> dict[str, Any]:
        """`{action, q_values[]}`. Raises NotFound, Invalid."""
        body = {"state": list(state), "explore": explore}
        return self.call("POST", f"{_one(agent_id)}/action", dict[str, Any], body, repeat=True)

    def update_agent(
        self,
        agent_id: str,
        state: Sequence[float],
        action: int,
        reward: float,
        next_state: Sequence[float],
        *,
        done: bool = False,
    ) -> float:
        """The temporal difference. A step that is sent twice is learned twice: it is not repeated by itself. Raises
        NotFound, Invalid, and Busy while the agent is trained."""
        body = {
            "state": list(state),
            "action": action,
            "reward": reward,
            "next_state": list(next_state),
            "done": done,
        }
        return float(self.call("POST", f"{_one(agent_id)}/update", dict[str, float], body)["td_error"])

    def agent_policy(self, agent_id: str, *, limit: int = 1000) -> dict[str, Any]:
        """`{policy[], states[], q_table[] or null, total}`. Raises NotFound."""
        return self.get(f"{_one(agent_id)}/policy", dict[str, Any], {"limit": limit})

    def train_agent(
        self, agent_id: str, *, max_episodes: int = 1000, patience: int = 200, environment: str = "session"
    ) -> Job:
        """Raises NotFound, Invalid, Busy, and Conflict for an environment that the agent does not fit."""
        body = {"max_episodes": max_episodes, "patience": patience, "environment": environment}
        return self.job(self.call("POST", f"{_one(agent_id)}/training/start", dict[str, Any], body)["job_id"])

    def agent_training(self, agent_id: str) -> Job:
        """The newest training. Raises NotFound, also before the first."""
        return self.get(f"{_one(agent_id)}/training/status", Job)

    def stop_agent_training(self, agent_id: str) -> Job:
        """Raises NotFound, and Conflict when nothing runs."""
        return self.call("POST", f"{_one(agent_id)}/training/stop", Job)

    def evaluate_agent(self, agent_id: str, *, num_episodes: int = 10, environment: str = "session") -> Job:
        """Its result will be `{mean_reward, std_reward, episodes}`. Raises NotFound, Invalid, Conflict."""
        body = {"num_episodes": num_episodes, "environment": environment}
        path = f"{_one(agent_id)}/evaluation"
        return self.job(self.call("POST", path, dict[str, Any], body, query={"wait": False})["job_id"])

    def judge_agent(self, agent_id: str, scenario: str) -> dict[str, Any]:
        """May it steer the scenario? `{scenario, verdict, reasons[], value, logged, gain ...}`, of visits in which it
        was asked; the verdict is kept with the agent. Raises NotFound, Conflict (no visit is learned yet), Invalid."""
        body = {"scenario": scenario}
        answer = self.call("POST", f"{_one(agent_id)}/evaluation", dict[str, Any], body, repeat=True)
        found: dict[str, Any] = answer["visits"]
        return found


def _one(agent_id: str) -> str:
    return f"{_AGENTS}/{escaped(agent_id)}"
