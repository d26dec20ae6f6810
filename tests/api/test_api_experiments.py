"""Experiments over a real server: who gets what, what is kept of it, what counts, and how they end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import wiretoys
from api_server import Running, serving

from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.clock import DAY, StoppedClock, micros
from shopkeeper.core.errors import Conflict, Invalid, NotFound, Stale
from shopkeeper.core.experiments import Experiment
from shopkeeper.core.records import Event
from shopkeeper.stores import experiments as table

PEOPLE = [f"person-{number:04}" for number in range(60)]
NOVEL = {"objectives": {"relevance": 1.0, "novelty": 5.0}, "diversity": 0.9}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("experiments")) as one:
        with ShopkeeperClient(one.url) as shop:
            shop.send([Event(event_type="view", user_id=id, item_id="item-1") for id in PEOPLE])
        yield one


@pytest.fixture
def shop(running: Running) -> Iterator[ShopkeeperClient]:
    """With nothing running before and after."""
    with ShopkeeperClient(running.url) as client:
        yield client
        for status in ("running", "paused"):
            for one in client.experiments(status):
                client.stop_experiment(one.experiment_id)


def plan(**more: Any) -> dict[str, Any]:
    return {
        "name": "novelty at home",
        "target": {"scenario": "home"},
        "variants": [{"name": "as it is"}, {"name": "novel", "config": NOVEL}],
        "metric": "share:click",
        "min_sample": 10,
        **more,
    }


def started(shop: ShopkeeperClient, **more: Any) -> Experiment:
    return shop.start_experiment(shop.create_experiment(plan(**more)).experiment_id)


def variant_of(shop: ShopkeeperClient, experiment: Experiment, user_id: str) -> str | None:
    """What an answer says that it is."""
    answer = shop.recommend(user_id, n=3, scenario="home")
    told = {item.metadata.get("experiments", {}).get(experiment.experiment_id) for item in answer.recommendations}
    assert len(told) == 1
    variant: str | None = told.pop()
    return variant


def exposed(running: Running, shop: ShopkeeperClient, experiment: Experiment, wanted: int) -> list[int]:
    """Units a variant, when so many are written."""
    deadline = time.monotonic() + 30
    while True:
        counts = [one.n for one in shop.experiment_results(experiment.experiment_id).variants]
        if sum(counts) == wanted:
            return counts
        assert time.monotonic() < deadline, counts
        time.sleep(0.05)


def test_a_life_from_draft_to_done(running: Running, shop: ShopkeeperClient) -> None:
    draft = shop.create_experiment(plan())
    assert (draft.status, draft.version, draft.phase) == ("draft", 1, 0)
    assert variant_of(shop, draft, PEOPLE[0]) is None
    changed = shop.change_experiment(draft.experiment_id, plan(name="more novelty"), if_version=1)
    with pytest.raises(Stale):
        shop.change_experiment(draft.experiment_id, plan(), if_version=1)
    with pytest.raises(Conflict):
        shop.pause_experiment(draft.experiment_id)
    begun = shop.start_experiment(draft.experiment_id, if_version=changed.version)
    assert (begun.status, begun.name, begun.weights) == ("running", "more novelty", {"as it is": 0.5, "novel": 0.5})
    for refused in (shop.start_experiment, shop.delete_experiment, shop.resume_experiment):
        with pytest.raises(Conflict):
            refused(draft.experiment_id)

    told = [variant_of(shop, begun, id) for id in PEOPLE]
    assert set(told) == {"as it is", "novel"}
    assert [shop.assignment(begun.experiment_id, id).variant for id in PEOPLE] == told
    assert exposed(running, shop, begun, len(PEOPLE)) == [told.count("as it is"), told.count("novel")]
    assert variant_of(shop, begun, "nobody-knows-me") is None
    assert "not known" in (shop.assignment(begun.experiment_id, "nobody-knows-me").why or "")

    shop.pause_experiment(begun.experiment_id)
    assert {variant_of(shop, begun, id) for id in PEOPLE} == {None}
    assert shop.assignment(begun.experiment_id, PEOPLE[0]).variant is None
    shop.resume_experiment(begun.experiment_id)
    assert [variant_of(shop, begun, id) for id in PEOPLE] == told

    done = shop.stop_experiment(begun.experiment_id, reason="enough")
    assert (done.status, done.verdict, done.winner, done.reason) == ("done", "no difference", None, "enough")
    assert {variant_of(shop, begun, id) for id in PEOPLE} == {None}
    assert [one.n for one in shop.experiment_results(done.experiment_id).variants] == [
        told.count("as it is"), told.count("novel"),
    ]  # fmt: skip
    with pytest.raises(Conflict):
        shop.stop_experiment(begun.experiment_id)
    assert draft.experiment_id in {one.experiment_id for one in shop.experiments("done")}


def test_what_a_variant_says_is_what_it_answers(running: Running, shop: ShopkeeperClient) -> None:
    """The variant that shows one item only in the home of others shows it to its own people alone."""
    only = {"filters": ["sellable", "unwanted", "consent", 'item_id == "item-2"']}
    begun = started(shop, variants=[{"name": "as it is"}, {"name": "one", "config": only}])
    for id in PEOPLE[:12]:
        answer = shop.recommend(id, n=3, scenario="home", debug=True)
        variant = shop.assignment(begun.experiment_id, id).variant
        assert answer.debug_info is not None
        assert answer.debug_info["experiments"] == [
            {"experiment_id": begun.experiment_id, "name": begun.name, "variant": variant}
        ]
        assert ([item.item_id for item in answer.recommendations] == ["item-2"]) == (variant == "one")


def test_a_kept_slate_never_shows_another_variant(shop: ShopkeeperClient) -> None:
    begun = started(shop)
    told = {id: variant_of(shop, begun, id) for id in PEOPLE}
    hits = [shop.recommend(id, n=3, scenario="home").cache_hit for id in PEOPLE]
    assert any(hits)
    shop.share_experiment(begun.experiment_id, weights={"as it is": 0.1, "novel": 0.9})
    after = {id: variant_of(shop, begun, id) for id in PEOPLE}
    moved = {id for id in PEOPLE if told[id] != after[id]}
    assert moved
    assert {told[id] for id in moved} == {"as it is"}, "only towards what got heavier"
    assert {id: shop.assignment(begun.experiment_id, id).variant for id in PEOPLE} == after


def test_results_count_events_after_the_exposure_only(running: Running, shop: ShopkeeperClient) -> None:
    begun = started(shop, guards=["revenue"], metric="share:save")
    shop.send([Event(event_type="save", user_id=id, item_id="item-1") for id in PEOPLE])
    told = {id: variant_of(shop, begun, id) for id in PEOPLE}
    exposed(running, shop, begun, len(PEOPLE))
    novel = [id for id, variant in told.items() if variant == "novel"]
    shop.send([Event(event_type="save", user_id=id, item_id="item-1") for id in novel for _ in range(2)])
    said = shop.experiment_results(begun.experiment_id)
    assert [one.mean for one in said.variants] == [0.0, 1.0]
    assert said.verdict == "running", "a sequential test says nothing of sixty people"
    assert said.variants[1].fixed_p_value is not None
    assert said.variants[1].fixed_p_value < 1e-6
    assert said.sample_ratio_ok
    assert [guard.ok for guard in said.guards] == [True]
    assert shop.stop_experiment(begun.experiment_id, winner="novel").winner == "novel"
    shop.send([Event(event_type="save", user_id=id, item_id="item-1") for id in PEOPLE])
    assert [one.mean for one in shop.experiment_results(begun.experiment_id).variants] == [0.0, 1.0]


def test_what_is_told_by_name_counts(running: Running, shop: ShopkeeperClient) -> None:
    begun = started(shop, metric="told:calls", decide="fixed")
    told = {id: variant_of(shop, begun, id) for id in PEOPLE}
    exposed(running, shop, begun, len(PEOPLE))
    novel = [id for id, variant in told.items() if variant == "novel"]
    for id in novel[:5]:
        assert shop.tell_experiment(begun.experiment_id, id, "calls", 2.0)
    assert not shop.tell_experiment(begun.experiment_id, "nobody-knows-me", "calls")
    with pytest.raises(Invalid):
        shop.tell_experiment(begun.experiment_id, PEOPLE[0], "No Name")
    said = shop.experiment_results(begun.experiment_id)
    assert [one.mean for one in said.variants] == [0.0, pytest.approx(10 / len(novel))]


def test_a_number_out_of_all_measure_is_refused_and_nothing_hangs_on_it(
    running: Running, shop: ShopkeeperClient
) -> None:
    begun = started(shop, metric="told:basket")
    told = {id: variant_of(shop, begun, id) for id in PEOPLE}
    exposed(running, shop, begun, len(PEOPLE))
    for number, id in enumerate(PEOPLE):
        shop.tell_experiment(begun.experiment_id, id, "basket", 1.0 + number % 2)
    for value in (1e90, -1e13):
        with pytest.raises(Invalid) as refused:
            shop.tell_experiment(begun.experiment_id, PEOPLE[0], "basket", value)
        assert refused.value.field == "value"
    for value in (1e12, -1e12, 1e12):
        assert shop.tell_experiment(begun.experiment_id, PEOPLE[0], "basket", value)
    means = {one.name: one.mean for one in shop.experiment_results(begun.experiment_id).variants}
    variant = str(told[PEOPLE[0]])
    assert means[variant] == pytest.approx(1e12 / list(told.values()).count(variant))
    # One that was told before there was a bound.
    row = running.shop.vocab.users.row(PEOPLE[1])
    assert row is not None
    writer = running.shop.db.writer
    assert writer.run(lambda c: table.tell(c, begun.experiment_id, row, "basket", 1e90, now=running.shop.clock.now()))
    assert shop.experiment_results(begun.experiment_id).variants[1].fixed_p_value is not None
    assert shop.stop_experiment(begun.experiment_id).status == "done"


def test_weights_that_are_refused_leave_the_share_as_it_was(shop: ShopkeeperClient) -> None:
    begun = started(shop)
    with pytest.raises(Invalid, match="there is no variant 'typo'") as refused:
        shop.share_experiment(begun.experiment_id, share=0.5, weights={"typo": 1})
    assert refused.value.field == "weights"
    assert shop.experiment(begun.experiment_id) == begun
    both = shop.share_experiment(begun.experiment_id, share=0.5, weights={"as it is": 3, "novel": 1})
    assert (both.part, both.weights, both.version) == (0.5, {"as it is": 0.75, "novel": 0.25}, begun.version + 1)
    assert shop.share_experiment(begun.experiment_id) == both


def test_two_who_start_at_once_start_it_once(shop: ShopkeeperClient) -> None:
    ids = [shop.create_experiment(plan(share=0.6)).experiment_id for _ in range(2)]

    def start(id: str) -> str:
        try:
            return shop.start_experiment(id).status
        except Conflict as error:
            return error.code

    with ThreadPoolExecutor(8) as many:
        same = list(many.map(start, [ids[0]] * 4))
        assert sorted(same) == ["running", "wrong_state", "wrong_state", "wrong_state"]
    assert start(ids[1]) == "layer_full"
    other = shop.change_experiment(ids[1], plan(share=0.4))
    assert shop.start_experiment(other.experiment_id).status == "running"
    both = [sum(shop.assignment(id, person).variant is not None for id in ids) for person in PEOPLE]
    assert set(both) == {1}, "each of them is in one of both, which share the layer"


def test_layers_are_independent_and_what_clashes_is_refused(shop: ShopkeeperClient) -> None:
    first = started(shop)
    same = shop.create_experiment(plan(layer="other"))
    with pytest.raises(Conflict, match="both change diversity, objectives"):
        shop.start_experiment(same.experiment_id)
    boosted = [{"name": "plain"}, {"name": "boosted", "config": {"boosts": [{"rule": "price > 1", "factor": 2.0}]}}]
    second = started(shop, layer="other", variants=boosted)
    pairs = set()
    for id in PEOPLE:
        names = shop.recommend(id, n=3, scenario="home").recommendations[0].metadata["experiments"]
        pairs.add((names[first.experiment_id], names[second.experiment_id]))
    assert len(pairs) == 4


def test_lists_say_who_takes_part(running: Running, shop: ShopkeeperClient) -> None:
    begun = started(shop, allow={PEOPLE[0]: "novel", PEOPLE[1]: "as it is"}, deny=[PEOPLE[2]])
    assert [variant_of(shop, begun, id) for id in PEOPLE[:3]] == ["novel", "as it is", None]
    assert not shop.assignment(begun.experiment_id, PEOPLE[0]).counted
    for id in PEOPLE[3:10]:
        variant_of(shop, begun, id)
    exposed(running, shop, begun, 7)
    shop.stop_experiment(begun.experiment_id)
    only = started(shop, allow=PEOPLE[:2])
    assert [variant_of(shop, only, id) is None for id in PEOPLE[:4]] == [False, False, True, True]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"metric": "smiles"}, "metric"),
        ({"guards": ["revenue", {"metric": "ratio:click"}]}, "guards[1]"),
        ({"target": {"scenario": "home", "model": "home_ranker"}}, "target"),
        ({"variants": [{"name": "a"}, {"name": "b", "config": {"diversity": 7}}]}, "variants[1].config.diversity"),
        ({"variants": [{"name": "a"}, {"name": "b", "config": {"colour": 1}}]}, "variants[1].config.colour"),
        ({"variants": [{"name": "a"}, {"name": "b", "config": {"recall": 3}}]}, "variants[1].config"),
        ({"variants": [{"name": "a"}, {"name": "a"}]}, "variants"),
        ({"variants": [{"name": "a", "weight": 0}, {"name": "b"}, {"name": "c"}]}, "variants[0].weight"),
        ({"allow": {"u": "c"}}, "allow"),
        ({"before_days": 7}, "before_days"),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_place(
    shop: ShopkeeperClient, change: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as refused:
        shop.create_experiment(plan(**change))
    assert refused.value.field == field


def test_an_unknown_scenario_or_experiment_is_not_found(shop: ShopkeeperClient) -> None:
    with pytest.raises(NotFound):
        shop.create_experiment(plan(target={"scenario": "attic"}))
    for door in (shop.experiment, shop.start_experiment, shop.experiment_results, shop.stop_experiment):
        with pytest.raises(NotFound):
            door("nothing")
    with pytest.raises(NotFound):
        shop.assignment("nothing", "u")


def test_a_winner_is_rolled_out_and_taken_back(shop: ShopkeeperClient) -> None:
    before = shop.scenario("home")
    begun = started(shop)
    with pytest.raises(Invalid, match="there are: as it is, novel") as refused:
        shop.stop_experiment(begun.experiment_id, winner="nobody")
    assert refused.value.field == "winner"
    done = shop.stop_experiment(begun.experiment_id, winner="novel", roll_out=True)
    assert done.rolled_out
    now = shop.scenario("home")
    assert (now["diversity"], now["objectives"]["novelty"]) == (0.9, 5.0)
    back = shop.roll_back_experiment(begun.experiment_id)
    assert not back.rolled_out
    again = shop.scenario("home")
    assert {**again, "version": 0} == {**before, "version": 0}
    with pytest.raises(Conflict):
        shop.roll_back_experiment(begun.experiment_id)


def test_a_roll_out_goes_step_by_step(shop: ShopkeeperClient) -> None:
    begun = started(shop)
    first = shop.roll_out_experiment(begun.experiment_id, "novel", steps=[0.1, 0.6], step_hours=1)
    assert (first.weights, first.phase) == ({"as it is": 0.9, "novel": pytest.approx(0.1)}, 2)
    small = {id for id in PEOPLE if variant_of(shop, begun, id) == "novel"}
    shop.step_experiment(begun.experiment_id)
    large = {id for id in PEOPLE if variant_of(shop, begun, id) == "novel"}
    assert small < large
    done = shop.step_experiment(begun.experiment_id)
    assert (done.status, done.winner, shop.scenario("home")["diversity"]) == ("done", "novel", 0.9)
    shop.roll_back_experiment(begun.experiment_id)
    with pytest.raises(Invalid):
        shop.roll_out_experiment(begun.experiment_id, "novel", steps=[0.5, 0.1])


def test_a_visitor_who_turns_out_to_be_somebody_keeps_the_variant(running: Running, shop: ShopkeeperClient) -> None:
    visitors = [f"visitor-{number}" for number in range(12)]
    shop.send([Event(event_type="view", anonymous_id=id, item_id="item-1") for id in visitors])
    begun = started(shop)
    told = [variant_of(shop, begun, id) for id in visitors]
    assert set(told) == {"as it is", "novel"}
    exposed(running, shop, begun, len(visitors))
    for number, id in enumerate(visitors):
        shop.bind(id, f"newly-known-{number}")
    assert [variant_of(shop, begun, f"newly-known-{number}") for number in range(12)] == told
    exposed(running, shop, begun, len(visitors))
    shop.pause_experiment(begun.experiment_id)  # and so it is when what runs is read anew
    shop.resume_experiment(begun.experiment_id)
    assert [variant_of(shop, begun, f"newly-known-{number}") for number in range(12)] == told


def test_an_erased_user_is_nowhere(running: Running, shop: ShopkeeperClient) -> None:
    id = "somebody-to-be-erased-0815"
    shop.send([Event(event_type="view", user_id=id, item_id="item-1")])
    begun = started(shop, allow={id: "novel"}, metric="told:calls")
    listed = started(shop, layer="second", target={"scenario": "content"})
    variant_of(shop, begun, id)
    shop.recommend(id, n=3, scenario="content")
    shop.tell_experiment(begun.experiment_id, id, "calls")
    exposed(running, shop, listed, 1)
    job = running.http.post(f"/api/v1/users/{id}/erase", json={"confirm": id, "mode": "erase"}).json()
    with ShopkeeperClient(running.url) as other:
        assert other.wait(job["job_id"]).status == "done"
    exposed(running, shop, listed, 0)
    assert shop.experiment(begun.experiment_id).allow != {id: "novel"}
    home = running.shop.home.path
    found = [path.name for path in home.rglob("*") if path.is_file() and id.encode() in path.read_bytes()]
    assert found == []


def test_a_scenario_that_is_deleted_ends_its_experiment(running: Running, shop: ShopkeeperClient) -> None:
    body = {key: value for key, value in shop.scenario("home").items() if key in ("recall", "filters", "ranker")}
    shop.put_scenario("attic", body)
    begun = started(shop, target={"scenario": "attic"})
    shop.delete_scenario("attic")
    with pytest.raises(Invalid):
        shop.recommend(PEOPLE[0], n=3, scenario="attic")
    running.shop.experimenting.keeper.look()
    ended = shop.experiment(begun.experiment_id)
    assert (ended.status, ended.reason) == ("done", "scenario 'attic' is gone")


def test_sizes(shop: ShopkeeperClient) -> None:
    assert shop.sample_size(0.05, 0.2) == 8158
    assert shop.sample_size(10.0, 0.05, deviation=20.0) == 25118
    assert shop.sample_size(0.05, 0.2, variants=3) > 8158
    for baseline, effect, deviation in ((0.05, 0.0, None), (1.0, 0.1, 1e200), (1e-307, 1e-10, None)):
        with pytest.raises(Invalid) as refused:
            shop.sample_size(baseline, effect, deviation=deviation)
        assert refused.value.code == "no_sample_size"


def test_versions_of_a_model_are_tried_on_people(tmp_path: Path) -> None:
    with wiretoys.served(tmp_path) as wire, ShopkeeperClient(wire.url) as shop:
        shop.send([Event(event_type="view", user_id=id, item_id="item-1") for id in PEOPLE])
        variants = [{"name": "now", "config": {"version": 1}}, {"name": "next", "config": {"version": 2}}]
        tried = plan(target={"model": "xgb"}, variants=variants, metric="orders")
        begun = shop.start_experiment(shop.create_experiment(tried).experiment_id)

        def ask(id: str) -> str:
            row = {"data": [{"price": 3.0}]}
            return wire.http.post("/predictions/xgb", json=row, headers={"x-user-id": id}).headers["x-model-version"]

        told = {id: ask(id) for id in PEOPLE}
        assert set(told.values()) == {"v1", "v2"}
        names = {"v1": "now", "v2": "next"}
        assert {id: shop.assignment(begun.experiment_id, id).variant for id in PEOPLE} == {
            id: names[version] for id, version in told.items()
        }
        assert ask("nobody-knows-me") == "v1"
        exposed(wire, shop, begun, len(PEOPLE))
        with pytest.raises(Conflict, match="gate"):
            shop.stop_experiment(begun.experiment_id, winner="next", roll_out=True)
        with pytest.raises(Conflict, match="the gate says HOLD for xgb v2") as refused:
            shop.roll_out_experiment(begun.experiment_id, "next")
        assert refused.value.code == "gate_says_no"
        assert shop.experiment(begun.experiment_id).status == "running"
        shop.stop_experiment(begun.experiment_id, winner="next")
        assert {ask(id) for id in PEOPLE[:10]} == {"v1"}

        again = shop.start_experiment(shop.create_experiment(tried).experiment_id)
        wire.http.put("/api/v1/models/xgb/traffic", json={"variants": [{"version": 1, "weight": 1}]})
        assert {ask(id) for id in PEOPLE[:10]} == {"v1"}
        wire.shop.experimenting.keeper.look()
        assert "in no split any more" in shop.experiment(again.experiment_id).reason


def test_time_ends_it_and_a_clock_that_steps_does_not(tmp_path: Path) -> None:
    clock = StoppedClock(micros_of("2026-03-01T10:00:00Z"))
    with serving(tmp_path / "home", clock=clock) as running, ShopkeeperClient(running.url) as shop:
        shop.send([Event(event_type="view", user_id=id, item_id="item-1") for id in PEOPLE])
        begun = started(shop, max_days=10)
        look = running.shop.experimenting.keeper.look
        clock.advance(40 * DAY)
        look()
        clock.advance(-41 * DAY)
        look()
        look()
        assert shop.experiment(begun.experiment_id).status == "running"
        told = [variant_of(shop, begun, id) for id in PEOPLE]
        exposed(running, shop, begun, len(PEOPLE))
        clock.advance(6 * DAY)
        shop.pause_experiment(begun.experiment_id)
        clock.advance(20 * DAY)
        shop.resume_experiment(begun.experiment_id)
        assert [variant_of(shop, begun, id) for id in PEOPLE] == told
        look()
        look()
        assert shop.experiment(begun.experiment_id).status == "running", "a pause is no time of it"
        clock.advance(11 * DAY)
        look()
        look()
        ended = shop.experiment(begun.experiment_id)
        assert (ended.status, ended.verdict, ended.reason) == ("done", "no difference", "it has run for 10 days")


def micros_of(text: str) -> int:
    from datetime import datetime

    return micros(datetime.fromisoformat(text))
