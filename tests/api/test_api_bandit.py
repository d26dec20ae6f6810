"""A bandit over a real server: it begins, draws with chances, hears what came of it, learns, tries policies."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.clock import MINUTE, SECOND, StoppedClock, SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Unavailable
from shopkeeper.core.records import Event

WINDOW_S = 600.0


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("bandit")
    with serving(
        home, clock=StoppedClock(SystemClock().now()), explore_window_s=WINDOW_S, recommend_deadline_ms=5000
    ) as one:
        yield one


@pytest.fixture
def shop(running: Running) -> Iterator[ShopkeeperClient]:
    with ShopkeeperClient(running.url) as client:
        yield client


@pytest.fixture
def begun(shop: ShopkeeperClient) -> ShopkeeperClient:
    shop.begin_bandit()
    return shop


def pass_time(running: Running, seconds: float = 5.0) -> None:
    clock = running.shop.clock
    assert isinstance(clock, StoppedClock)
    clock.advance(round(seconds * SECOND))


def learn(running: Running) -> None:
    """All that was drawn so far is over; this process or the other thread of it learns it."""
    until = time.monotonic() + 30
    while running.shop.suggesting.exploration.log.waiting:
        assert time.monotonic() < until
        time.sleep(0.01)
    pass_time(running, WINDOW_S + 60)
    running.shop.suggesting.exploration.learning.turn()


def test_before_it_begins_nothing_is_drawn(running: Running, shop: ShopkeeperClient) -> None:
    assert not running.shop.shaped.book.has("bandit")
    for ask in (
        lambda: shop.draw("anna"),
        lambda: shop.tell_bandit("anna", "item-1", "click"),
        shop.bandit_statistics,
        shop.bandit_health,
        lambda: shop.put_user_context("anna", {"age": 1}),
        lambda: shop.put_item_features("item-1", {"size": 1}),
        lambda: shop.begin_bandit_experiment("e", {"ucb1": {}, "exp3": {}}),
    ):
        with pytest.raises(Unavailable, match="initialize"):
            ask()
    names = [one["name"] for one in shop.bandit_policies()]
    assert {"ucb1", "thompson_beta", "epsilon_greedy", "linucb", "lints", "exp3", "thompson_gaussian"} <= set(names)


def test_it_draws_hears_and_learns(running: Running, begun: ShopkeeperClient) -> None:
    drawn = begun.draw("anna", 3, explanations=True)
    assert drawn["algorithm"] == "thompson_beta"
    assert drawn["status"] == "success"
    items = drawn["recommendations"]
    assert len(items) == 3
    assert all(0 < one["propensity"] <= 1 and one["explanation"] for one in items)
    assert begun.draw("anna", 3)["request_id"] != drawn["request_id"], "each question is drawn anew"
    first = items[0]["item_id"]
    pass_time(running)
    told = begun.tell_bandit("anna", first, "purchase", request_id=drawn["request_id"])
    assert told["request_id"] == drawn["request_id"]
    learn(running)
    found = begun.bandit_statistics()
    assert found["rounds"] >= 3
    assert found["snapshot"] >= 1
    assert found["learned"] == found["slates"] >= 1
    assert found["best"][0]["item_id"] == first
    assert begun.bandit_health()["snapshot"] == found["snapshot"]
    slate = begun.recommend("anna", n=2, scenario="bandit")
    assert all("propensity" in one.metadata for one in slate.recommendations)


def test_feedback_without_an_answer_means_the_newest_that_held_the_item(
    running: Running, begun: ShopkeeperClient
) -> None:
    user = "new-here"
    drawn = begun.draw(user, 2)
    item = drawn["recommendations"][0]["item_id"]
    pass_time(running)
    assert begun.tell_bandit(user, item, "click")["request_id"] == drawn["request_id"]
    learn(running)
    assert begun.tell_bandit(user, item, "like")["request_id"] == drawn["request_id"], "and of what is written"
    others = {f"item-{k}" for k in range(4)} - {one["item_id"] for one in drawn["recommendations"]}
    for other in sorted(others)[:1]:
        assert begun.tell_bandit(user, other, "click")["request_id"] is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"user_id": "anna", "num_recommendations": 0}, "num_recommendations"),
        ({"user_id": "anna", "num_recommendations": 51}, "num_recommendations"),
        ({"num_recommendations": 5}, "user_id"),
    ],
)
def test_wrong_questions_are_refused(running: Running, begun: ShopkeeperClient, body: Any, field: str) -> None:
    answer = running.http.post("/api/v1/bandit/recommend", json=body)
    assert answer.status_code == 422
    assert field in answer.text


def test_wrong_beginnings_and_feedback_are_refused(running: Running, begun: ShopkeeperClient) -> None:
    with pytest.raises(Invalid, match="no policy 'luck'"):
        begun.begin_bandit(20, {"luck": {}})
    with pytest.raises(Invalid, match="n_items"):
        begun.begin_bandit(0)
    with pytest.raises(Invalid, match="explore"):
        begun.begin_bandit(20, {"ucb1": {"c": "wide"}})
    with pytest.raises(Invalid, match="feedback_type"):
        begun.tell_bandit("anna", "item-1", "wink")
    with pytest.raises(NotFound, match="no item 'nothing'"):
        begun.tell_bandit("anna", "nothing", "click")
    with pytest.raises(Invalid, match="no policy 'als'; there are: epsilon_greedy, exp3") as refused:
        begun.evaluate_bandit({"algorithm": "als"})
    assert "fpgrowth" not in refused.value.message, "policies only"
    with pytest.raises(Invalid, match="feedback_value"):
        begun.tell_bandit("anna", "item-1", "rating", 6.0)
    said = {"user_id": "a", "item_id": "item-1", "feedback_type": "click", "context": {"request_id": 5}}
    with pytest.raises(Invalid, match="request_id"):
        begun.call("POST", "/api/v1/bandit/feedback", dict[str, Any], said)
    with pytest.raises(NotFound):
        begun.put_item_features("nothing", {"size": 1})
    with pytest.raises(NotFound):
        begun.bandit_results("nothing")


def test_what_a_policy_reads_may_be_stored_or_asked(running: Running, shop: ShopkeeperClient) -> None:
    config = shop.begin_bandit(30, {"linear": {"alpha": 0.5, "context": ["context.age", "user_orders_30d"]}})
    assert config["policy"] == "linucb"
    assert config["params"] == {"alpha": 0.5}
    shop.put_user_context("carl", {"age": 0.5, "city": "Ulm"})
    shop.put_item_features("item-1", {"size": 2})
    assert running.shop.items.get("item-1").attributes["size"] == 2
    shop.send([Event(event_type="view", user_id="carl", item_id="item-1")])
    shop.draw("carl", 2)
    shop.draw("carl", 2, context={"age": -1})
    learn(running)
    with running.shop.db.read() as connection:
        rows = connection.exec_driver_sql("SELECT context FROM explored WHERE policy = 'linucb' ORDER BY seq").all()
    ages = [float(np.frombuffer(row[0], dtype=np.float64)[1]) for row in rows]
    assert ages == [0.5, -1.0]
    shop.begin_bandit(20, {}, evaluation=False, cold_start=False)
    scenario = shop.scenario("bandit")
    assert scenario["explore"]["floor"] == 0
    assert "new" not in [one["channel"] for one in scenario["recall"]]


def test_who_does_not_agree_is_drawn_for_and_not_learned_of(running: Running, begun: ShopkeeperClient) -> None:
    begun.send([Event(event_type="view", user_id="shy", item_id="item-1")])
    running.http.post("/api/v1/personalization/opt-out", json={"user_id": "shy"}).raise_for_status()
    before = begun.bandit_statistics()["slates"]
    assert begun.draw("shy", 2)["recommendations"]
    learn(running)
    assert begun.bandit_statistics()["slates"] == before


def test_policies_are_tried_side_by_side(running: Running, begun: ShopkeeperClient) -> None:
    with pytest.raises(Invalid, match="traffic_split"):
        begun.begin_bandit_experiment("two", {"ucb1": {}, "exp3": {}}, {"ucb1": 0.5, "exp3": 0.6})
    with pytest.raises(Invalid, match="traffic_split"):
        begun.begin_bandit_experiment("two", {"ucb1": {}, "exp3": {}}, {"ucb1": 1.0})
    made = begun.begin_bandit_experiment(
        "two",
        {"greedy": {"algorithm": "epsilon_greedy"}, "ucb": {"c": 1.0}},
        {"greedy": 0.5, "ucb": 0.5},
        min_sample=10,
    )
    assert made["variants"] == ["greedy", "ucb"]
    id = made["experiment_id"]
    try:
        people = [f"tried-{k}" for k in range(30)]
        begun.send([Event(event_type="view", user_id=one, item_id="item-1") for one in people])
        seen = {begun.draw(one, 2)["experiments"][id] for one in people}
        assert seen == {"greedy", "ucb"}
        learn(running)
        with running.shop.db.read() as connection:
            drew = {row[0] for row in connection.exec_driver_sql("SELECT policy FROM explorers").all()}
        assert {"epsilon_greedy", "ucb1"} <= drew, "each variant learns by itself"
        assert begun.bandit_experiments()[0]["experiment_id"] == id
        assert {one["name"] for one in begun.bandit_results(id)["variants"]} == {"greedy", "ucb"}
    finally:
        begun.end_bandit_experiment(id)
    with pytest.raises(Conflict):
        begun.end_bandit_experiment(id)
    assert begun.draw("tried-1", 2)["experiments"] is None


def test_another_policy_is_judged_on_what_was_drawn(running: Running, begun: ShopkeeperClient) -> None:
    people = [f"judged-{k}" for k in range(20)]
    for one in people:
        begun.draw(one, 3)
    pass_time(running)
    learn(running)
    job = begun.evaluate_bandit({"algorithm": "epsilon_greedy"}, ["snips"])
    until = time.monotonic() + 120
    while (job := begun.job(job.job_id)).status not in ("done", "failed", "cancelled"):
        assert time.monotonic() < until
        time.sleep(0.1)
    assert job.status == "done", job.error


def test_what_was_learned_becomes_a_version(running: Running, shop: ShopkeeperClient, tmp_path: Path) -> None:
    shop.begin_bandit(20, {"thompson_beta": {"b": 3.0}}, held_out=0.5)
    with pytest.raises(Conflict, match="not learned anything"):
        shop.snapshot_policy()
    with pytest.raises(Conflict, match="explores nothing"):
        shop.snapshot_policy("home")
    with pytest.raises(NotFound, match="no scenario"):
        shop.snapshot_policy("nowhere")
    for k in range(60):
        shop.draw(f"kept-{k}", 3)
    learn(running)
    job = shop.wait(shop.snapshot_policy().job_id)
    assert job.status == "done", job.error
    scope = "scenario:bandit"
    version = shop.version("policy", job.result["version"], scope=scope)  # type: ignore[index]
    assert version.algorithm == "thompson_beta"
    assert version.params["b"] == 3.0
    assert version.data["rows"] == shop.bandit_statistics()["rounds"]
    assert version.data["holdout_rows"] > 20
    assert version.gate is not None
    assert version.gate.verdict == "HOLD", "too little is known yet"
    assert version.metrics["effective"]
    assert ("policy", scope) in {(one.name, one.scope) for one in shop.models()}
    shop.export_version("policy", version.version, tmp_path / "policy.zip", scope=scope)
    assert (tmp_path / "policy.zip").stat().st_size > 500
    judged = shop.wait(shop.evaluate_bandit({"model": "policy", "version": version.version, "scope": scope}).job_id)
    assert judged.status == "failed", "nothing was drawn since"
    assert judged.error is not None
    assert "nothing was explored" in judged.error


def test_the_shop_learns_by_itself_and_goes_on_after_a_start(running: Running, begun: ShopkeeperClient) -> None:
    exploration = running.shop.suggesting.exploration
    assert exploration._running is not None
    begun.draw("zoe", 2)  # whatever was drawn by the tests before
    learn(running)
    held = exploration.snapshots.held()
    assert any(number for number in held.values())
    future = asyncio.run_coroutine_threadsafe(exploration.turn(), running.loop)
    assert future.result(60) == 0
    pass_time(running, 2 * MINUTE / SECOND)
