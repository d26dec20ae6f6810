"""Scenarios that ask an agent, over a real server: it notes, learns from clicks, is judged, steers, is gone."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving
from sqlalchemy import select

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.clock import MINUTE, SECOND, StoppedClock, SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.recommend.acting.asked import asking
from shopkeeper.stores import schema
from shopkeeper.stores import visits as table
from shopkeeper.stores.visits import VisitRow

AGENTS = "/api/v1/qlearning/agents"
RECALL = [{"channel": "trending", "quota": 50}]
LEARNED = 31 * MINUTE
"""After that a visit and the time of its clicks are over."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    clock = StoppedClock(SystemClock().now())
    with serving(tmp_path_factory.mktemp("acting"), clock=clock, recommend_deadline_ms=5000) as one:
        for k in range(4):
            one.http.put(f"/api/v1/items/item-{k}", json={"name": f"Thing {k}", "category": f"c{k % 2}"})
        yield one


@pytest.fixture
def shop(running: Running) -> Iterator[ShopkeeperClient]:
    with ShopkeeperClient(running.url) as client:
        yield client


def scenario(named: str, **more: Any) -> dict[str, Any]:
    """Its second action shows nothing but c1."""
    actions = [{"name": "as it is"}, {"name": "c1", "config": {"filters": ["sellable", "category == 'c1'"]}}]
    agent = {"agent_id": named, "actions": actions, "share": 0.5, **more}
    return {"recall": RECALL, "ranker": None, "agent": agent}


def made(shop: ShopkeeperClient, **more: Any) -> str:
    config = {"action_size": 2, "bins": 1, "learning_rate": 0.5, "replays": 0, "gamma": 0.0, **more}
    agent_id: str = shop.create_agent(**config)["agent_id"]
    return agent_id


def read(running: Running, agent_id: str) -> None:
    """The agent answers as it is now; the shop would see to it by itself within ten seconds."""
    agents = running.shop.suggesting.acting.agents
    agents.want(agent_id)
    agents.refresh()


def pass_time(running: Running, us: int) -> None:
    clock = running.shop.clock
    assert isinstance(clock, StoppedClock)
    clock.advance(us)


def learn(running: Running) -> None:
    """All visits so far are over, and their clicks too."""
    acting = running.shop.suggesting.acting
    until = time.monotonic() + 30
    while acting.log.waiting:
        assert time.monotonic() < until
        time.sleep(0.01)
    pass_time(running, LEARNED)
    acting.learning.turn()
    acting.agents.refresh()


def asked(shop: ShopkeeperClient, user: str, name: str, **more: Any) -> Any:
    return shop.recommend(user, 2, scenario=name, **more)


def action_of(slate: Any) -> str:
    told = {one.metadata["agent"]["action"] for one in slate.recommendations}
    assert len(told) == 1
    return told.pop()


def logged(running: Running, agent_id: str) -> list[VisitRow]:
    asked = select(schema.agent_visits).where(schema.agent_visits.c.agent_id == agent_id)
    with running.shop.db.read() as connection:
        return [VisitRow(**dict(line._mapping)) for line in connection.execute(asked.order_by("seq"))]


def test_a_shadow_notes_what_it_would_do_and_learns_from_clicks(running: Running, shop: ShopkeeperClient) -> None:
    agent = made(shop)
    shop.put_scenario("shadow", scenario(agent))
    read(running, agent)
    seen: Counter[str] = Counter()
    for k in range(30):
        user = f"visitor-{k}"
        for _ in range(2):
            slate = asked(shop, user, "shadow", debug=True)
            told, action = slate.debug_info["agent"], action_of(slate)
            items = {one.item_id for one in slate.recommendations}
            assert not slate.cache_hit
            assert told["mode"] == "shadow"
            assert told["propensity"] == (0.75 if action == "as it is" else 0.25)
            assert all(0 <= number <= 1 for number in told["state"])
            seen[action] += 1
            pass_time(running, 5 * SECOND)
            if action == "c1":
                assert items == {"item-1", "item-3"}
                clicks = [
                    {
                        "event_type": "click",
                        "user_id": user,
                        "item_id": item,
                        "context": {"request_id": slate.request_id},
                    }
                    for item in sorted(items)
                ]
                assert running.http.post("/api/v1/events", json=clicks).status_code == 202
    assert 28 <= seen["as it is"] <= 58, "45 of 60 in the middle, four deviations wide"
    learn(running)
    facts = shop.agent(agent)
    assert (facts["updates"], facts["episodes"]) == (60, 30)
    assert shop.agent_action(agent, [0.0] * 16)["action"] == 1
    rows = [row for row in logged(running, agent) if row.scenario == "shadow"]
    assert {(row.action, row.reward) for row in rows} == {(0, 0.0), (1, 2.0)}
    second = [row for row in rows if row.number == 1]
    assert len(second) == 30
    first = {row.visit_id: row for row in rows if row.number == 0}
    for row in second:
        before = first[row.visit_id]
        assert row.state[0] == 1 / 8
        assert row.state[1] == pytest.approx(2 / 3 if before.action == 1 else 0), "clicks are seen at once"
        assert row.state[5 + before.action] == 1.0
    learn(running)
    assert shop.agent(agent)["updates"] == 60, "once"
    choices = asked(shop, "somebody", "shadow", debug=True).debug_info["agent"]
    assert (choices["choice"], choices["mode"]) == ("c1", "shadow")


def test_a_slate_that_an_agent_had_a_part_in_is_not_given_again(running: Running, shop: ShopkeeperClient) -> None:
    agent = made(shop)
    shop.put_scenario("fresh", scenario(agent))
    read(running, agent)
    ids = {asked(shop, "user-1", "fresh").request_id for _ in range(4)}
    assert len(ids) == 4
    assert all(len(one) == 26 for one in ids)
    learn(running)
    rows = logged(running, agent)
    assert [row.number for row in rows] == [0, 1, 2, 3]
    assert len({row.visit_id for row in rows}) == 1
    asked(shop, "user-1", "fresh")
    learn(running)
    assert logged(running, agent)[-1].number == 0, "after a pause it is another visit"


def test_who_does_not_agree_is_answered_as_it_is_and_noted_nowhere(running: Running, shop: ShopkeeperClient) -> None:
    agent = made(shop)
    shop.put_scenario("private", scenario(agent, share=1.0))
    read(running, agent)
    consent = {"personalization": False}
    assert running.http.put("/api/v1/users/user-2/consent", json=consent).status_code == 200
    slate = asked(shop, "user-2", "private")
    assert all("agent" not in one.metadata for one in slate.recommendations)
    learn(running)
    assert logged(running, agent) == []
    running.http.put("/api/v1/users/user-2/consent", json={"personalization": True})


def logs(running: Running, agent: dict[str, Any], name: str, visits: int, *, good: int) -> None:
    """Visits of one slate that were half and half: action `good` was clicked on once, the other never; the agent always
    wanted the second."""
    asked = asking(agent)
    assert asked is not None
    now = running.shop.clock.wall()
    rows = []
    for k in range(visits):
        id, action = ulid(), k % 2
        rows.append(
            VisitRow(
                slate_id=id, visit_id=id, number=0, user_row=None, user_id=f"x{k}", made_at=now, noted_at=now,
                last_seq=0, scenario=name, scenario_version=1, agent_id=asked.agent_id, key=asked.key, state=[0.0] * 16,
                action=action, choice=1, propensity=0.5, shown=np.zeros(1, dtype=np.int32).tobytes(),
                reward=float(action == good),
            )
        )  # fmt: skip
    running.shop.db.writer.run(lambda connection: table.add(connection, rows))


def test_an_agent_steers_only_where_it_was_proven(running: Running, shop: ShopkeeperClient) -> None:
    agent = made(shop)
    body = scenario(agent)
    shop.put_scenario("guarded", body)
    read(running, agent)
    steering = {**body, "agent": {**body["agent"], "mode": "steer", "share": 0.01}}
    with pytest.raises(Conflict, match="never judged") as refused:
        shop.put_scenario("guarded", steering)
    assert refused.value.code == "not_proven"
    with pytest.raises(Conflict) as refused:
        shop.judge_agent(agent, "guarded")
    assert refused.value.code == "no_visits"

    logs(running, body["agent"], "guarded", 100, good=1)
    judged = shop.judge_agent(agent, "guarded")
    assert (judged["verdict"], judged["visits"], judged["effective"]) == ("HOLD", 100, 50.0)
    assert (judged["value"], judged["logged"]) == (1.0, 0.5)
    with pytest.raises(Conflict, match="HOLD: 50 effective"):
        shop.put_scenario("guarded", steering)

    logs(running, body["agent"], "guarded", 500, good=1)
    judged = shop.judge_agent(agent, "guarded")
    assert judged["verdict"] == "PROMOTE"
    assert judged["gain_low"] > 0.4
    assert [one["verdict"] for one in shop.agent(agent)["verdicts"]] == ["PROMOTE"]
    plain = running.http.post(f"{AGENTS}/{agent}/evaluation", json={"scenario": "guarded"}).json()
    assert (plain["mean_reward"], plain["episodes"]) == (1.0, 600)

    other = {**steering["agent"], "actions": [{"name": "as it is"}, {"name": "c0", "config": {"diversity": 1}}]}
    with pytest.raises(Conflict, match="other actions"):
        shop.put_scenario("guarded", {**body, "agent": other})
    with pytest.raises(Conflict, match="never judged"):
        shop.put_scenario("elsewhere", steering)
    assert shop.put_scenario("guarded", steering)["agent"]["mode"] == "steer"

    shop.update_agent(agent, [0.0] * 16, action=1, reward=1.0, next_state=[0.0] * 16, done=True)
    read(running, agent)
    actions = [action_of(asked(shop, f"guest-{k}", "guarded")) for k in range(20)]
    assert actions.count("c1") >= 16
    told = asked(shop, "guest-1", "guarded", debug=True).debug_info["agent"]
    assert (told["mode"], told["choice"]) == ("steer", "c1")
    assert told["propensity"] in (0.995, 0.005)

    # What it was proven by turns: what is judged next counts.
    logs(running, body["agent"], "guarded", 3000, good=0)
    assert shop.judge_agent(agent, "guarded")["verdict"] == "REJECT"
    with pytest.raises(Conflict, match="REJECT"):
        shop.put_scenario("guarded", steering)
    read(running, agent)
    told = asked(shop, "guest-1", "guarded", debug=True).debug_info["agent"]
    assert told["mode"] == "shadow"
    assert "is not PROMOTE" in told["explanation"]


def test_an_experiment_tries_an_agent_that_was_proven(running: Running, shop: ShopkeeperClient) -> None:
    agent = made(shop)
    body = scenario(agent)
    shop.put_scenario("tried", body)
    steer = {**body["agent"], "mode": "steer", "share": 0.01}
    variants = [
        {"name": "as it is", "config": {"agent": {}}},
        {"name": "agent", "config": {"agent": steer}, "weight": 1},
    ]
    plan = {
        "name": "an agent", "target": {"scenario": "tried"}, "variants": variants, "metric": "count:click",
        "layer": "agents",
    }  # fmt: skip
    refused = running.http.post("/api/v1/experiments", json=plan)
    assert (refused.status_code, refused.json()["code"]) == (409, "not_proven")
    logs(running, body["agent"], "tried", 600, good=1)
    assert shop.judge_agent(agent, "tried")["verdict"] == "PROMOTE"
    shop.update_agent(agent, [0.0] * 16, action=1, reward=1.0, next_state=[0.0] * 16, done=True)
    began = running.http.post("/api/v1/experiments", json=plan)
    assert began.status_code == 201, began.text
    id = began.json()["experiment_id"]
    assert running.http.post(f"/api/v1/experiments/{id}/start").status_code == 200
    read(running, agent)
    told = {}
    for k in range(3):
        for item in asked(shop, f"user-{k}", "tried").recommendations:
            told[f"user-{k}"] = (item.metadata["experiments"][id], item.metadata.get("agent", {}).get("action"))
    assert len(told) == 3
    assert set(told.values()) <= {("as it is", None), ("agent", "c1"), ("agent", "as it is")}
    assert running.http.post(f"/api/v1/experiments/{id}/stop", json={}).status_code == 200


def test_without_its_agent_the_scenario_answers_as_it_is(running: Running, shop: ShopkeeperClient) -> None:
    agent = made(shop)
    body = scenario(agent)
    steering = {**body, "agent": {**body["agent"], "mode": "steer"}}
    logs(running, body["agent"], "orphan", 600, good=1)
    shop.judge_agent(agent, "orphan")
    shop.put_scenario("orphan", steering)
    shop.put_scenario("orphan-shadow", body)
    read(running, agent)
    assert not asked(shop, "user-0", "orphan").degraded
    shop.delete_agent(agent)
    slate = asked(shop, "user-0", "orphan")
    assert len(slate.recommendations) == 2
    assert slate.degraded
    assert slate.explanation in ("without agent: it was deleted", f"without agent: no agent {agent!r}; see {AGENTS}")
    assert all("agent" not in one.metadata for one in slate.recommendations)
    read(running, agent)
    assert "no agent" in (asked(shop, "user-1", "orphan").explanation or "")
    assert "agent.agent_id" in shop.scenario("orphan")["problems"][0]
    assert not asked(shop, "user-0", "orphan-shadow").degraded, "what is served is what the scenario says"
    with pytest.raises(NotFound):
        shop.judge_agent(agent, "orphan")
    learn(running)  # what was noted of it holds up nobody


@pytest.mark.parametrize(
    ("change", "field", "code"),
    [
        ({"agent_id": "nobody"}, "agent.agent_id", "unknown_agent"),
        ({"agent_id": 5}, "agent.agent_id", "unknown_agent"),
        ({"mode": "lead"}, "agent.mode", "bad_scenario"),
        ({"share": 0}, "agent.share", "out_of_bounds"),
        ({"share": True}, "agent.share", "out_of_bounds"),
        ({"share": 10**400}, "agent.share", "out_of_bounds"),
        ({"actions": [{"name": "a"}, {"name": "b", "config": {"diversity": 10**400}}]}, "agent.actions[1].config",
         "bad_scenario"),
        ({"speed": 1}, "agent.speed", "bad_scenario"),
        ({"actions": [{"name": "a"}]}, "agent.actions", "bad_scenario"),
        ({"actions": [{"name": "a"}, {"name": "a"}]}, "agent.actions", "bad_scenario"),
        ({"actions": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}, "agent.agent_id", "other_agent"),
        ({"actions": [{"name": "a"}, {"title": "b"}]}, "agent.actions[1]", "bad_scenario"),
        ({"actions": [{"name": "a", "config": {"diversity": 1}}, {"name": "b"}]}, "agent.actions[0].config",
         "bad_scenario"),
        ({"actions": [{"name": "a"}, {"name": "b", "config": {"speed": 1}}]}, "agent.actions[1].config.speed",
         "bad_scenario"),
        ({"actions": [{"name": "a"}, {"name": "b", "config": {"agent": {}}}]}, "agent.actions[1].config.agent",
         "bad_scenario"),
        ({"actions": [{"name": "a"}, {"name": "b", "config": {"diversity": 2}}]}, "agent.actions[1].config.diversity",
         "out_of_bounds"),
        ({"actions": [{"name": "a"}, {"name": "b", "config": {"recall": 5}}]}, "agent.actions[1].config",
         "bad_scenario"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(
    shop: ShopkeeperClient, change: dict[str, Any], field: str, code: str
) -> None:
    agent = made(shop)
    try:
        with pytest.raises(Invalid) as refused:
            shop.put_scenario("wrong", scenario(agent, **change))
        assert (refused.value.field, refused.value.code) == (field, code)
    finally:
        shop.delete_agent(agent)


def test_an_agent_that_does_not_read_visits_is_refused(shop: ShopkeeperClient) -> None:
    agent = made(shop, state_size=2)
    with pytest.raises(Invalid, match="16 numbers"):
        shop.put_scenario("wrong", scenario(agent))
