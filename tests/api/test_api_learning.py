"""The doors of online learning on a real shop: a model of a table, slates that were logged, a version by a job."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from api_server import Running, serving

from shopkeeper.checks.ranking import NAMES, small_rows
from shopkeeper.client import ShopkeeperClient
from shopkeeper.core.clock import moment
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.core.learning import OnlineSettings
from shopkeeper.core.records import Event
from shopkeeper.stores import served_vectors
from shopkeeper.stores.served_vectors import ServedVectors

MODEL = "home_online"


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("learning") / "home") as running:
        rows = small_rows(1200)
        path = running.shop.home.path / "table.csv"
        lines = [",".join((*NAMES, "taken"))]
        lines += [
            ",".join(map(str, (*one, int(label)))) for one, label in zip(rows.values.tolist(), rows.label, strict=True)
        ]
        path.write_text("\n".join(lines))
        job = running.shop.releases.train(MODEL, "ftrl", source={"kind": "file", "path": str(path), "label": "taken"})
        done = running.shop.jobs.wait(job.job_id, 120)
        assert done.status == "done", done.error
        yield running


@pytest.fixture(scope="module")
def client(shop: Running) -> Iterator[ShopkeeperClient]:
    with ShopkeeperClient(shop.url) as one:
        yield one


def served(shop: Running, slates: int) -> None:
    """Slates of a moment ago whose vectors were logged; the better half of the items is taken by feedback."""
    random, made = np.random.default_rng(7), shop.shop.clock.now()
    items = [one.item_id for one in shop.shop.items.list(limit=3)[0]]
    item_rows = np.array([shop.shop.vocab.items.row(one) for one in items], dtype=np.int32)
    users = [f"visitor{at}" for at in range(10)]
    shop.shop.log.append([Event(event_type="view", user_id=one, item_id=items[0]) for one in users]).result()
    time.sleep(0.01)
    events, rows = [], []
    for at in range(slates):
        values = random.normal(size=(len(items), len(NAMES))).astype(np.float32)
        slate_id, user = ulid(), users[at % len(users)]
        rows.append(
            ServedVectors(
                slate_id=slate_id, user_row=shop.shop.vocab.users.row(user), made_at=made, model="home_ranker",
                model_version=1, names=list(NAMES), item_rows=item_rows.tobytes(), vectors=values.tobytes(),
            )
        )  # fmt: skip
        best = int(values[:, 0].argmax())
        if values[best, 0] > 0.3:
            context = {"request_id": slate_id}
            at_once = moment(made + 1_000)
            events.append(Event(event_type="click", user_id=user, item_id=items[best], time=at_once, context=context))
    # The feedback first: however slow the machine is, it is there when the window of the slates is over.
    assert not shop.shop.log.append(events).result().rejected
    shop.shop.db.writer.run(lambda connection: served_vectors.add(connection, rows))


def test_a_learner_from_its_beginning_to_a_version(shop: Running, client: ShopkeeperClient) -> None:
    assert client.learners() == []
    with pytest.raises(NotFound, match="no learner"):
        client.learner(MODEL)
    with pytest.raises(NotFound, match="no learner"):
        client.snapshot_learner(MODEL)
    began = client.learn_online(MODEL, OnlineSettings(window_s=1, every=20, held_out=0.4, trust=False))
    assert (began.model, began.updates, began.settings.window_s) == (MODEL, 0, 1)
    served(shop, 120)
    deadline = time.monotonic() + 60
    while (told := client.learner(MODEL)).slates + told.held < 120 and time.monotonic() < deadline:
        time.sleep(0.2)
    assert told.slates + told.held == 120
    assert told.updates == told.examples // 20
    assert told.drift is not None
    assert told.worker is not None
    job = client.wait(client.snapshot_learner(MODEL).job_id)
    assert job.status == "done", job.error
    version = client.version(MODEL, job.result["version"])  # type: ignore[index]
    assert version.algorithm == "ftrl"
    assert version.data["began_with"] == 1
    assert version.data["updates"] == told.updates
    assert version.gate is not None
    assert version.metrics["auc"] > 0.7
    assert job.result["promoted"] is False  # type: ignore[index]  rolling is hold


def test_wrong_settings_name_the_field(shop: Running) -> None:
    answers: dict[str, Any] = {}
    for body in ({"rate": 0}, {"schedule": "wavy"}, {"every": 900, "buffer": 100}, {"speed": 1}):
        answer = shop.http.put(f"/api/v1/learning/{MODEL}", json=body)
        assert answer.status_code == 422, answer.text
        answers[next(iter(body))] = answer.text
    assert "rate" in answers["rate"]
    assert "schedule" in answers["schedule"]
    assert "buffer" in answers["every"]


def test_a_model_without_ftrl_cannot_learn_online(client: ShopkeeperClient) -> None:
    with pytest.raises(Conflict, match="no version of ftrl"):
        client.learn_online("nothing")


def test_a_learner_goes(client: ShopkeeperClient) -> None:
    client.learn_online(MODEL)
    assert [one.model for one in client.learners()] == [MODEL]
    client.stop_learning(MODEL)
    assert client.learners() == []
    with pytest.raises(NotFound):
        client.stop_learning(MODEL)


def test_the_map_of_rewards_and_what_a_short_log_says_of_it(client: ShopkeeperClient) -> None:
    rewards = client.rewards()
    assert (rewards["purchase"], rewards["report"], rewards["rating"]) == (1.0, -1.0, None)
    with pytest.raises(Invalid, match="too short"):
        client.tuned_rewards()


def test_a_version_that_comes_by_itself_is_released_step_by_step(shop: Running, client: ShopkeeperClient) -> None:
    settings = OnlineSettings(window_s=1, every=20, held_out=0.4, trust=False, snapshot_every=5, rolling="gradual")
    champion = shop.shop.registry.version(MODEL, "champion").version
    client.learn_online(MODEL, settings)
    served(shop, 120)
    deadline = time.monotonic() + 90
    while not (releases := client.jobs(kind="release")) and time.monotonic() < deadline:
        time.sleep(0.2)
    (release,) = releases
    made = client.version(MODEL, release.params["version"])
    assert (made.algorithm, release.requested_by) == ("ftrl", "online learning")
    assert made.gate is not None
    assert made.gate.verdict == "PROMOTE", made.gate
    while (active := shop.shop.traffic.active(MODEL)) is None and time.monotonic() < deadline:
        time.sleep(0.1)
    assert active is not None
    shares = {one.version: one.weight for one in active.split.variants}
    assert shares == {champion: pytest.approx(0.9), made.version: pytest.approx(0.1)}
    assert shop.shop.registry.version(MODEL, "champion").version == champion
    client.stop_learning(MODEL)
    client.cancel_job(release.job_id)
