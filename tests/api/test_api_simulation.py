"""The simulated shop over HTTP: its numbers, and other data in its place while it runs."""

from __future__ import annotations

import asyncio
import gc
import shutil
import signal
import subprocess
import sys
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from api_server import Running, serving
from dying_regeneration import PLACES
from small_telecom import SMALL, small_telecom

from shopkeeper.bootstrap import FIRST_MODELS, open_shop
from shopkeeper.core.errors import Unavailable
from shopkeeper.core.records import Job
from shopkeeper.operations.telecom import made_of
from shopkeeper.settings import Settings
from shopkeeper.sources.simulator.config import SimConfig
from shopkeeper.stores import schema

V1 = "/api/v1"
DYING = Path(__file__).parent / "dying_regeneration.py"
OTHER = {"user_count": 40, "product_count": 6, "app_count": 5, "avg_events_per_user": 20, "history_days": 30}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("template") / "home"
    small_telecom(home)
    return home


@pytest.fixture
def home(template: Path, tmp_path: Path) -> Path:
    shutil.copytree(template, tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def own(home: Path) -> Iterator[Running]:
    """Its stream stands still, so that whatever is seen of a world is there from the beginning."""
    with serving(home, kind="telecom", live_speed=0.0) as running:
        yield running


def regenerated(running: Running, **query: Any) -> dict[str, Any]:
    answer = running.http.post(f"{V1}/data/regenerate", params={"wait": True, **query}, timeout=120)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def is_other_world(running: Running, seed: int, config: SimConfig) -> None:
    """Whatever the shop answers is of this world alone."""
    counts = {one["name"]: one["rows"] for one in running.http.get(f"{V1}/data/datasets").json()}
    made = made_of(running.shop.meta)  # whoever comes by HTTP is let in when the shop has changed over
    assert (made.seed, made.config) == (seed, config)
    world = made.world()
    assert counts["users"] == config.user_count
    assert counts["items"] == config.product_count + config.app_count
    lines = [world.day(n) for n in range(config.history_days)]
    assert counts["events"] == sum(day.height for day in lines)
    newest = running.http.get(f"{V1}/events", params={"limit": 1}).json()["items"][0]
    assert newest["event_id"] == lines[-1]["event_id"][-1]
    (user, *_) = world.users()
    shown = running.http.get(f"{V1}/user/{user.user_id}").json()["profile"]
    assert {**user.attributes, "user_id": user.user_id} == shown["user"]
    sent = sum((day["user_id"] == user.user_id).sum() for day in lines)
    assert sum(shown["event_counts"].values()) == sent
    products = {item.item_id for item in world.items() if item.kind == "product"}
    body = {"user_id": user.user_id, "n_recommendations": 50, "deadline_ms": 5000}
    slate = running.http.post(f"{V1}/personalization/recommend", json=body).json()["recommendations"]
    names = {item.item_id: item.name for item in world.items()}
    assert {one["item_id"] for one in slate} <= products
    assert all(one["metadata"]["name"] == names[one["item_id"]] for one in slate)
    nodes = running.http.get(f"{V1}/graph/statistics").json()["node_counts"]
    assert (nodes["user"], nodes["product"]) == (config.user_count, config.product_count)
    assert running.http.get(f"{V1}/embeddings").json()["spaces"] == []
    assert running.shop.features.n_users <= config.user_count
    assert running.shop.following.position == running.shop.log.last_seq == counts["events"]


def test_the_numbers_can_be_read_and_said_anew(own: Running) -> None:
    assert own.http.get(f"{V1}/data/config").json() == msgspec.to_builtins(SMALL)
    said = own.http.post(f"{V1}/data/config", json=OTHER | {"max_orders_per_user": 7}).json()
    assert said["config"] == msgspec.to_builtins(SimConfig(**OTHER, max_orders_per_user=7))
    assert own.http.get(f"{V1}/data/config").json() == said["config"]
    assert own.http.get(f"{V1}/users/u000000").status_code == 200  # nothing has happened yet


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"user_count": 9}, "user_count"),
        ({"history_days": 366}, "history_days"),
        ({"user_count": "many"}, "user_count"),
        ({"app_count": 7.5}, "app_count"),
        ({"min_orders_per_user": 5, "max_orders_per_user": 4}, "min_orders_per_user"),
        ({"max_calls_per_user": 101}, "max_calls_per_user"),
    ],
)
def test_numbers_out_of_bounds_are_named(own: Running, change: dict[str, Any], field: str) -> None:
    answer = own.http.post(f"{V1}/data/config", json=OTHER | change)
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == field
    assert own.http.get(f"{V1}/data/config").json() == msgspec.to_builtins(SMALL)


def test_a_number_that_does_not_exist_is_refused(own: Running) -> None:
    answer = own.http.post(f"{V1}/data/config", json=OTHER | {"usercount": 50})
    assert (answer.status_code, "usercount" in answer.json()["detail"]) == (400, True)
    assert own.http.get(f"{V1}/data/config").json() == msgspec.to_builtins(SMALL)


def test_the_first_five_are_required(own: Running) -> None:
    for name in OTHER:
        answer = own.http.post(f"{V1}/data/config", json={key: value for key, value in OTHER.items() if key != name})
        assert (answer.status_code, name in answer.json()["detail"]) == (400, True)


def test_a_shop_that_is_not_simulated_keeps_its_data(live: Running) -> None:
    before = live.shop.log.last_seq
    for answer in (
        live.http.get(f"{V1}/data/config"),
        live.http.post(f"{V1}/data/config", json=OTHER),
        live.http.post(f"{V1}/data/regenerate"),
    ):
        assert (answer.status_code, answer.json()["code"]) == (409, "not_simulated")
        assert "--shop telecom" in answer.json()["detail"]
    assert live.shop.log.last_seq == before


def test_nothing_of_the_old_data_is_left(own: Running) -> None:
    post, get = own.http.post, own.http.get
    events = [
        {"event_type": "order", "user_id": "stranger", "item_id": "p-strange", "quantity": 1, "unit_price": 3},
        {"event_type": "view", "user_id": "u000001", "item_id": "p0001"},
    ]
    assert post(f"{V1}/events", json=events).json()["accepted"] == 2
    own.http.put(f"{V1}/users/stranger/consent", json={"marketing": False})
    post(f"{V1}/rules", json={"name": "mine", "condition": "orders >= 3", "weight": 0.5})
    trained = post(f"{V1}/models/popularity/train", json={"algorithm": "popularity"}).json()
    assert own.shop.jobs.wait(trained["job_id"], 120).status == "done"
    assert get(f"{V1}/models/popularity").status_code == 200
    for path in ("user/stranger", "explain/stranger", "user/u000001", "explain/u000001", "segments"):
        assert get(f"{V1}/{path}").status_code == 200
    assert get(f"{V1}/items/p-strange").status_code == 200
    post(f"{V1}/data/config", json=OTHER)
    told = regenerated(own, seed=9)
    assert told["config"] == msgspec.to_builtins(SimConfig(**OTHER))
    is_other_world(own, 9, SimConfig(**OTHER))
    for path in ("user/stranger", "explain/stranger", "items/p-strange", "user/u000055", "explain/u000055"):
        assert get(f"{V1}/{path}").status_code == 404, path
    with own.shop.db.read() as connection:
        for table in (schema.consents, schema.audit, schema.identities, schema.imports):
            assert connection.execute(table.select()).all() == []
    assert get(f"{V1}/rules/mine").status_code == 200  # what the owner has made stays
    again = [job for job in own.shop.jobs.list(kind="train")[0] if job.requested_by == "regenerate"]
    assert [job.params["model"] for job in again] == ["popularity"]  # what it had learned it learns again
    assert own.shop.jobs.wait(again[0].job_id, 120).status == "done"
    version = get(f"{V1}/models/popularity/versions").json()["items"]
    assert [one["version"] for one in version] == [1]
    assert sorted(path.name for path in own.shop.home.artifacts.iterdir()) == ["popularity"]
    (made,) = own.shop.jobs.list(kind="regenerate")[0]
    assert not (own.shop.home.jobs / made.job_id / "work").exists()


def test_the_same_seed_and_numbers_give_the_same_shop(own: Running) -> None:
    before = own.http.get(f"{V1}/events", params={"limit": 20}).json()["items"]
    own.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "stranger", "item_id": "p0001"})
    regenerated(own)
    assert own.http.get(f"{V1}/events", params={"limit": 20}).json()["items"] == before
    is_other_world(own, 3, SMALL)


def test_who_asks_meanwhile_gets_an_answer_and_open_streams_end(own: Running) -> None:
    over, wrong = threading.Event(), []

    def ask(path: str, body: dict[str, Any] | None = None) -> None:
        with httpx.Client(base_url=own.url, timeout=60) as http:
            while not over.is_set():
                answer = http.get(path) if body is None else http.post(path, json=body)
                if answer.status_code not in (200, 202):
                    wrong.append((path, answer.status_code, answer.text))

    streamed = []

    def listen() -> None:
        with httpx.Client(base_url=own.url, timeout=60) as http, http.stream("GET", f"{V1}/events/stream") as stream:
            streamed.append(sum(1 for _ in stream.iter_lines()))

    recommend = {"user_id": "u000001", "n_recommendations": 3, "deadline_ms": 5000}
    event = {"event_type": "view", "user_id": "u000001", "item_id": "p0001"}
    threads = [
        threading.Thread(target=listen),
        threading.Thread(target=ask, args=(f"{V1}/user/u000001",)),
        threading.Thread(target=ask, args=(f"{V1}/personalization/recommend", recommend)),
        threading.Thread(target=ask, args=(f"{V1}/events", event)),
        threading.Thread(target=ask, args=("/livez",)),
    ]
    for thread in threads:
        thread.start()
    try:
        regenerated(own, seed=9)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert wrong == []
    assert streamed
    assert own.http.get(f"{V1}/data/config").status_code == 200
    assert made_of(own.shop.meta).seed == 9


def test_one_at_a_time_and_a_cancelled_one_changes_nothing(own: Running) -> None:
    big = OTHER | {"user_count": 20_000, "avg_events_per_user": 200}
    own.http.post(f"{V1}/data/config", json=big)
    first = own.http.post(f"{V1}/data/regenerate")
    assert (first.status_code, first.headers["location"]) == (202, first.json()["job_url"])
    second = own.http.post(f"{V1}/data/regenerate")
    assert (second.status_code, second.json()["code"]) == (409, "busy")
    assert second.json()["job_id"] == first.json()["job_id"]
    own.http.post(f"{V1}/jobs/{first.json()['job_id']}/cancel")
    assert own.shop.jobs.wait(first.json()["job_id"], 60).status == "cancelled"
    is_other_world(own, 3, SMALL)


def test_a_shop_that_is_made_anew_twice_learns_what_it_had_not_learned_again_yet(own: Running) -> None:
    first = [own.shop.train_first(one, requested_by="up") for one in FIRST_MODELS[:3]]
    for seed in (8, 9):
        regenerated(own, seed=seed)
    ended = own.shop.jobs.list(kind="train")[0]
    wanted = {job.params["model"] for job in first}
    assert {job.params["model"] for job in ended if job.status in ("queued", "running", "done")} == wanted


def test_who_is_erased_is_noted_for_the_stream_by_number(own: Running) -> None:
    asked = own.http.post(f"{V1}/users/u000005/erase", json={"confirm": "u000005", "mode": "erase"}).json()
    assert own.shop.jobs.wait(asked["job_id"], 120).status == "done"
    assert own.shop.meta.get("live.gone") == "[5]"
    assert "u000005" not in str(own.shop.meta.all())


def test_nothing_in_memory_holds_the_old_shop(own: Running) -> None:
    parts = ("db", "vocab", "features", "panel", "profiles", "graph", "serving", "recommend", "jobs", "operations")
    old = {name: weakref.ref(getattr(own.shop, name)) for name in parts}
    regenerated(own, seed=9)
    is_other_world(own, 9, SMALL)
    gc.collect()
    assert [name for name, part in old.items() if part() is not None] == []


def test_work_under_way_ends_with_the_data_that_it_was_about(own: Running) -> None:
    source = {"kind": "postgres", "table": "nowhere"}
    waiting = own.shop.jobs.submit("train", {"model": "m", "algorithm": "xgb", "source": source})
    queued = [own.shop.jobs.submit("backtest", {"models": ["popularity"]}) for _ in range(6)]
    regenerated(own, seed=9)
    ended = [own.http.get(f"{V1}/jobs/{job.job_id}").json()["status"] for job in [waiting, *queued]]
    assert "queued" not in ended
    assert "running" not in ended
    assert ended[-1] in ("cancelled", "failed")


def test_a_shop_that_cannot_change_over_says_so_and_does_at_the_next_start(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise Unavailable("the database cannot answer: disk full")

    with serving(home, kind="telecom", live_speed=0.0) as running:
        monkeypatch.setattr("shopkeeper.bootstrap.shop.furnished", refuse)
        job_id = running.http.post(f"{V1}/data/regenerate", params={"seed": 9}).json()["job_id"]
        while (answer := running.http.get(f"{V1}/jobs/{job_id}")).status_code == 200:
            assert answer.json()["status"] in ("queued", "running")
        assert (answer.status_code, answer.json()["code"]) == (503, "changing")
        assert "start it again" in answer.json()["detail"]
        assert running.http.get("/livez").status_code == 200
        assert running.http.get("/readyz").status_code == 503
        monkeypatch.undo()
    with serving(home, kind="telecom", live_speed=0.0) as again:
        is_other_world(again, 9, SMALL)


def test_a_job_whose_end_is_stored_late_is_waited_for(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(home, kind="telecom", live_speed=0.0) as running:
        changeover, asked = running.shop.changeover, []
        wait = changeover._wait

        def late(job_id: str, within_s: float) -> Job:
            asked.append(job_id)
            if len(asked) == 1:
                return msgspec.structs.replace(running.shop.jobs.get(job_id), status="running")
            return wait(job_id, within_s)

        monkeypatch.setattr(changeover, "_wait", late)
        regenerated(running, seed=9)
        is_other_world(running, 9, SMALL)
        assert len(asked) == 2


def test_a_shop_that_is_being_stopped_changes_over_at_the_next_start(home: Path) -> None:
    async def run() -> None:
        settings = Settings(home=home, live_speed=0.0)
        shop, stopping = open_shop(settings), asyncio.Event()
        built, loop = shop.regeneration._change, asyncio.get_running_loop()

        def stopped_meanwhile(job_id: str) -> None:
            loop.call_soon_threadsafe(stopping.set)
            asyncio.run_coroutine_threadsafe(asyncio.sleep(0), loop).result(30)  # the stop has begun
            built(job_id)

        shop.regeneration._change = stopped_meanwhile
        await shop.start()
        job = await asyncio.to_thread(shop.regeneration.submit, seed=9)
        await stopping.wait()
        await shop.stop()
        assert shop.changeover._task is None  # or it would open a home that is given back
        again = open_shop(settings)
        assert made_of(again.meta).seed == 9
        assert again.jobs.get(job.job_id).status == "done"
        await again.stop()

    asyncio.run(run())


@pytest.mark.parametrize("place", PLACES)
def test_what_was_killed_on_the_way_is_finished_at_the_next_start(home: Path, place: str) -> None:
    killed = subprocess.run([sys.executable, DYING, home, place], timeout=150, check=False)
    assert killed.returncode == -signal.SIGKILL
    with serving(home, kind="telecom", live_speed=0.0) as again:
        (job,) = again.shop.jobs.list(kind="regenerate")[0]
        assert again.shop.jobs.wait(job.job_id, 300).status == "done"
        is_other_world(again, 9, SMALL)
        assert again.http.get(f"{V1}/jobs/{job.job_id}").json()["result"]["seed"] == 9
        if place != "building":
            # what was asked about the old data is not done to the new, and what was to be learned is learned
            assert [job.status for job in again.shop.jobs.list(kind="erase")[0]] == ["cancelled"]
            learns = [job for job in again.shop.jobs.list(kind="train")[0] if job.requested_by == "regenerate"]
            assert [job.params["model"] for job in learns] == ["popularity"]
    with serving(home, kind="telecom", live_speed=0.0) as later:  # once, not at every start
        later.http.post(f"{V1}/events", json={"event_type": "view", "user_id": "stranger", "item_id": "p0001"})
        assert later.http.get(f"{V1}/user/stranger").status_code == 200
    with serving(home, kind="telecom", live_speed=0.0) as last:
        assert last.http.get(f"{V1}/user/stranger").status_code == 200
