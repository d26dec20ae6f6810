"""What ends an experiment before its time: a guard, and a winner where that was wished. Hundreds of people on a real
server, since nothing is said of fewer."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.experiments import Experiment
from shopkeeper.core.records import Event, RecRequest, RecResponse

PEOPLE = [f"person-{number:04}" for number in range(320)]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("ending")) as one:
        yield one


@pytest.fixture(scope="module")
def shop(running: Running) -> Iterator[ShopkeeperClient]:
    with ShopkeeperClient(running.url) as client:
        client.send([Event(event_type="view", user_id=id, item_id="item-1") for id in PEOPLE])
        yield client


def started(shop: ShopkeeperClient, **more: Any) -> Experiment:
    variants = [{"name": "as it is"}, {"name": "varied", "config": {"diversity": 0.9}}]
    plan = {"name": "varied", "target": {"scenario": "home"}, "variants": variants, "metric": "share:click"}
    return shop.start_experiment(shop.create_experiment({**plan, "min_sample": 100, **more}).experiment_id)


def answered(shop: ShopkeeperClient, begun: Experiment) -> dict[str, str]:
    """Everybody asks once. The variant of each, when all of them are counted."""
    told = {}
    for at in range(0, len(PEOPLE), 80):
        asked = [
            RecRequest(user_id=id, n_recommendations=1, scenario=begun.target.scenario) for id in PEOPLE[at : at + 80]
        ]
        for answer in shop.recommend_many(asked):
            assert isinstance(answer, RecResponse)
            told[answer.user_id] = answer.recommendations[0].metadata["experiments"][begun.experiment_id]
    deadline = time.monotonic() + 30
    while sum(one.n for one in shop.experiment_results(begun.experiment_id).variants) < len(PEOPLE):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return told


def does(shop: ShopkeeperClient, kind: str, people: list[str]) -> None:
    shop.send([Event(event_type=kind, user_id=id, item_id="item-1") for id in people])


def test_a_guard_that_trips_ends_it_and_everybody_is_answered_as_before(
    running: Running, shop: ShopkeeperClient
) -> None:
    guards = ["conversion", {"metric": "share:report", "better": "down", "tolerance": 0.05}]
    begun = started(shop, guards=guards)
    told = answered(shop, begun)
    groups = {name: [id for id in PEOPLE if told[id] == name] for name in ("as it is", "varied")}
    does(shop, "report", groups["as it is"][:20] + groups["varied"][:22])
    running.shop.experimenting.keeper.look()
    assert shop.experiment(begun.experiment_id).status == "running", "one that is hardly worse trips nothing"
    does(shop, "report", groups["varied"][22:100])
    does(shop, "click", groups["varied"])
    running.shop.experimenting.keeper.look()
    ended = shop.experiment(begun.experiment_id)
    assert (ended.status, ended.verdict, ended.winner) == ("done", "stopped by guard", None)
    assert ended.reason.startswith("stopped by guard: share:report of varied is worse than that of the control (+")
    said = shop.experiment_results(begun.experiment_id)
    assert [(one.metric, one.ok) for one in said.guards] == [("conversion", True), ("share:report", False)]
    assert "experiments" not in shop.recommend(PEOPLE[0], 1, scenario="home").recommendations[0].metadata
    running.shop.experimenting.keeper.look()
    assert shop.experiment(begun.experiment_id) == ended


def test_what_the_control_never_does_can_trip_a_guard_too(running: Running, shop: ShopkeeperClient) -> None:
    begun = started(shop, guards=[{"metric": "share:report", "better": "down"}])
    told = answered(shop, begun)
    does(shop, "report", [id for id in PEOPLE if told[id] == "varied"][:80])
    running.shop.experimenting.keeper.look()
    ended = shop.experiment(begun.experiment_id)
    assert ended.verdict == "stopped by guard"
    assert ended.reason == "stopped by guard: share:report of varied is worse than that of the control"


def test_a_winner_ends_only_what_was_to_end_early(running: Running, shop: ShopkeeperClient) -> None:
    early = started(shop, ends_early=True)
    patient = started(shop, layer="second", target={"scenario": "content"}, metric="share:save")
    for begun, kind in ((early, "click"), (patient, "save")):
        told = answered(shop, begun)
        running.shop.experimenting.keeper.look()
        assert shop.experiment(begun.experiment_id).status == "running", "nobody has won yet"
        does(shop, kind, [id for id in PEOPLE if told[id] == "varied"][:100])
    running.shop.experimenting.keeper.look()
    ended = shop.experiment(early.experiment_id)
    assert (ended.status, ended.verdict, ended.winner) == ("done", "winner", "varied")
    assert (ended.reason, ended.rolled_out) == ("there is a winner", False)
    assert shop.scenario("home")["diversity"] != 0.9, "nobody but you rolls it out"
    assert shop.experiment_results(patient.experiment_id).verdict == "winner"
    assert shop.experiment(patient.experiment_id).status == "running"
    assert shop.stop_experiment(patient.experiment_id).winner == "varied"
