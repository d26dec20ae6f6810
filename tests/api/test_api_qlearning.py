"""Agents behind their doors: made, asked, told, trained by a real job; what is wrong is told by field."""

from __future__ import annotations

import time
from typing import Any

import httpx
import numpy as np
import pytest
from api_server import Running

AGENTS = "/api/v1/qlearning/agents"
SMALL = {"states": "index", "state_size": 5, "action_size": 2, "seed": 3}


def made(shop: Running, **config: Any) -> str:
    answer = shop.http.post(AGENTS, json=config)
    assert answer.status_code == 201, answer.text
    agent_id: str = answer.json()["agent_id"]
    assert answer.headers["location"] == f"{AGENTS}/{agent_id}"
    return agent_id


def refused(answer: httpx.Response, status: int, code: str) -> None:
    assert (answer.status_code, answer.json()["code"]) == (status, code), answer.text


def step(shop: Running, agent: str, **changes: Any) -> httpx.Response:
    body = {"state": [0], "action": 1, "reward": 1.0, "next_state": [1], "done": False, **changes}
    return shop.http.post(f"{AGENTS}/{agent}/update", json=body)


def test_an_agent_is_made_found_and_taken_away(live: Running) -> None:
    agent = made(live)
    found = live.http.get(f"{AGENTS}/{agent}").json()
    assert (found["agent_type"], found["status"], found["updates"]) == ("tabular", "ready", 0)
    config = found["config"]
    assert (config["state_size"], config["action_size"], config["gamma"], config["epsilon"]) == (16, 4, 0.95, 0.1)
    assert (config["learning_rate"], config["buffer_size"], config["batch_size"]) == (0.1, 10_000, 32)
    net = made(live, agent_type="dueling")
    assert live.http.get(f"{AGENTS}/{net}").json()["config"]["learning_rate"] == 0.001
    page = live.http.get(AGENTS, params={"limit": 1}).json()
    assert page["items"][0]["agent_id"] == net
    assert page["total"] >= 2
    rest = live.http.get(AGENTS, params={"limit": 1, "cursor": page["next_cursor"]}).json()
    assert rest["items"][0]["agent_id"] == agent
    assert live.http.delete(f"{AGENTS}/{agent}").status_code == 204
    refused(live.http.get(f"{AGENTS}/{agent}"), 404, "unknown_agent")
    refused(live.http.delete(f"{AGENTS}/{agent}"), 404, "unknown_agent")


def test_what_an_agent_is_told_it_values(live: Running) -> None:
    agent = made(live, **SMALL, replays=0, learning_rate=0.5)
    assert step(live, agent).json() == {"td_error": 1.0}
    assert step(live, agent).json() == {"td_error": 0.5}
    answer = live.http.post(f"{AGENTS}/{agent}/action", json={"state": [0]}).json()
    assert answer == {"action": 1, "q_values": [0.0, 0.75]}
    # A step to the state that is worth something is worth gamma times that; one that ends there is not.
    assert step(live, agent, state=[2], reward=0, next_state=[0]).json()["td_error"] == pytest.approx(0.95 * 0.75)
    assert step(live, agent, state=[3], reward=0, next_state=[0], done=True).json()["td_error"] == 0
    told = live.http.get(f"{AGENTS}/{agent}/policy").json()
    assert told["policy"] == [1, 0, 1, 0, 0]
    assert told["states"] == [[0], [1], [2], [3], [4]]
    assert told["q_table"][0] == [0.0, 0.75]
    assert live.http.get(f"{AGENTS}/{agent}").json()["episodes"] == 1


@pytest.mark.parametrize("kind", ["dqn", "double", "dueling"])
def test_nets_learn_by_updates_too(live: Running, kind: str) -> None:
    agent = made(live, agent_type=kind, state_size=3, action_size=2, hidden=[8], batch_size=4, learning_rate=0.02)
    for _ in range(60):
        for action in (0, 1):
            body = {"state": [0.1, 0.5, 1], "action": action, "reward": action, "next_state": [0, 0, 0], "done": True}
            live.http.post(f"{AGENTS}/{agent}/update", json=body).raise_for_status()
    answer = live.http.post(f"{AGENTS}/{agent}/action", json={"state": [0.1, 0.5, 1]}).json()
    assert answer["action"] == 1
    assert answer["q_values"] == pytest.approx([0, 1], abs=0.3)
    told = live.http.get(f"{AGENTS}/{agent}/policy").json()
    assert (told["policy"], told["q_table"], told["total"]) == ([1], None, 1)


def test_what_is_wrong_is_told_by_field(live: Running) -> None:
    agent = made(live, **SMALL)
    refused(live.http.post(AGENTS, json={"agent_type": "sarsa"}), 422, "wrong_value")
    refused(live.http.post(AGENTS, json={"action_size": 257}), 422, "wrong_value")
    refused(live.http.post(AGENTS, json={"low": 2.0}), 422, "invalid")
    refused(live.http.post(AGENTS, json={"batch_size": 64, "buffer_size": 32}), 422, "invalid")
    refused(live.http.post(AGENTS, json={"state_size": 4096, "buffer_size": 100_000}), 422, "invalid")
    refused(live.http.post(f"{AGENTS}/{agent}/action", json={"state": [0, 1]}), 422, "wrong_state")
    refused(live.http.post(f"{AGENTS}/{agent}/action", json={"state": [5]}), 422, "wrong_state")
    refused(live.http.post(f"{AGENTS}/{agent}/action", json={"state": [0.5]}), 422, "wrong_state")
    refused(live.http.post(f"{AGENTS}/{agent}/action", content=b'{"state": [NaN]}'), 422, "not_json")
    refused(step(live, agent, action=2), 422, "wrong_action")
    refused(step(live, agent, action=-1), 422, "wrong_action")
    refused(step(live, agent, reward=1e7), 422, "wrong_reward")
    refused(step(live, agent, next_state=[9]), 422, "wrong_state")
    assert step(live, agent, next_state=[9]).json()["errors"][0]["field"] == "next_state"
    refused(step(live, "nobody"), 404, "unknown_agent")
    refused(live.http.get(f"{AGENTS}/{agent}/training/status"), 404, "no_training")
    refused(live.http.post(f"{AGENTS}/{agent}/training/stop"), 404, "no_training")
    refused(live.http.post(f"{AGENTS}/{agent}/training/start"), 409, "other_environment")
    refused(
        live.http.post(f"{AGENTS}/{agent}/training/start", json={"environment": "moon"}), 422, "unknown_environment"
    )
    refused(live.http.post(f"{AGENTS}/{agent}/evaluation", json={"num_episodes": 10_001}), 422, "wrong_value")
    assert live.http.get(f"{AGENTS}/{agent}").json()["updates"] == 0


def test_a_training_is_a_job_and_the_agent_is_as_before_until_it_is_done(live: Running) -> None:
    agent = made(live, bins=2, seed=1)
    begun = live.http.post(f"{AGENTS}/{agent}/training/start", json={"max_episodes": 100_000, "patience": 100_000})
    assert begun.status_code == 202
    job = begun.json()["job_id"]
    here = [0.0] * 16
    answer = live.http.post(f"{AGENTS}/{agent}/update", json={
        "state": here, "action": 0, "reward": 1, "next_state": here})  # fmt: skip
    refused(answer, 409, "busy")
    assert answer.json()["job_id"] == job
    refused(live.http.delete(f"{AGENTS}/{agent}"), 409, "busy")
    refused(live.http.post(f"{AGENTS}/{agent}/train"), 409, "busy")
    assert live.http.get(f"{AGENTS}/{agent}").json()["status"] == "training"
    assert live.http.post(f"{AGENTS}/{agent}/action", json={"state": here}).json()["q_values"] == [0, 0, 0, 0]
    until = time.monotonic() + 60
    while "mean_reward" not in live.http.get(f"{AGENTS}/{agent}/progress").json()["progress"]["metrics"]:
        assert time.monotonic() < until
        time.sleep(0.05)
    assert live.http.post(f"{AGENTS}/{agent}/training/stop").status_code == 202
    assert live.shop.jobs.wait(job, 60).status == "cancelled"
    after = live.http.get(f"{AGENTS}/{agent}").json()
    assert (after["status"], after["episodes"], after["training"]) == ("ready", 0, None)

    job = live.http.post(f"{AGENTS}/{agent}/training/start", json={"max_episodes": 40}).json()["job_id"]
    ended = live.shop.jobs.wait(job, 60)
    assert ended.status == "done", ended.error
    after = live.http.get(f"{AGENTS}/{agent}").json()
    assert (after["episodes"], after["training"]["job_id"]) == (40, job)
    assert after["training"]["mean_reward"] > 0
    assert live.http.get(f"{AGENTS}/{agent}/training/status").json()["result"]["stopped"] == "episodes"
    table = live.http.get(f"{AGENTS}/{agent}/policy").json()
    assert np.any(np.array(table["q_table"]) != 0)
    measured = live.http.post(f"{AGENTS}/{agent}/evaluation", json={"num_episodes": 5})
    assert measured.status_code == 200
    assert set(measured.json()) == {"mean_reward", "std_reward", "episodes"}
    again = live.http.post(f"{AGENTS}/{agent}/evaluate", json={"num_episodes": 5}).json()
    assert again == measured.json()
