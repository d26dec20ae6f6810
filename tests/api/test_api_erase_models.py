from __future__ import annotations

import random
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from api_server import serving
from erase_person import done, erase

from shopkeeper.core.records import Event

USER = "somebody-who-leaves"


def orders() -> list[Event]:
    """Half of forty users buy often, half rarely; one of them has an id that occurs nowhere else."""
    dice, now = random.Random(1), datetime.now(UTC)
    return [
        Event(
            event_type="order", user_id=USER if user == 0 else f"user-{user}", item_id=f"item-{dice.randrange(30)}",
            time=now - timedelta(days=201 - day), quantity=1.0, unit_price=5.0,
        )
        for day in range(200)
        for user in range(40)
        if dice.random() < (0.002 if user % 2 else 0.1)
    ]  # fmt: skip


def contents(path: Path) -> list[bytes]:
    """A file, and what is packed in it."""
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as packed:
            return [packed.read(name) for name in packed.namelist()]
    return [path.read_bytes()]


def holding(folder: Path) -> list[Path]:
    """Files in which the id of the person who leaves stands, in any of its forms."""
    spelled = (USER.encode(), USER.encode("utf-32-le"))  # numpy keeps text as UTF-32
    files = [path for path in folder.rglob("*") if path.is_file()]
    return [path for path in files if any(form in part for part in contents(path) for form in spelled)]


@pytest.mark.timeout(300)
def test_models_that_learned_from_a_person_do_not_hold_their_id(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        assert running.shop.log.append(orders()).result().rejected == []
        for model in ("popularity", "item_knn", "ease", "fusion"):
            job = running.shop.releases.train(model, model, params={}, source=None, requested_by="anna")
            ended = running.shop.jobs.wait(job.job_id, 120)
            assert ended.status == "done", ended.error
        assert len([path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]) >= 8
        assert holding(tmp_path / "artifacts") == []
        done(running.http.get(f"/api/v1/user/{USER}"))
        assert erase(running, USER, "erase")["files"]["models"] == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_an_erasure_names_versions_that_hold_an_id_and_the_next_training_does_not(tmp_path: Path) -> None:
    brief = {"dim": 8, "num_walks": 2, "walk_length": 8, "epochs": 2}
    with serving(tmp_path) as running:

        def train() -> None:
            job = running.shop.releases.train("node2vec", "node2vec", params=brief, source=None, requested_by="anna")
            ended = running.shop.jobs.wait(job.job_id, 120)
            assert ended.status == "done", ended.error

        assert running.shop.log.append(orders()).result().rejected == []
        train()
        running.shop.registry.promote("node2vec", 1, force=True)
        assert done(running.http.post("/recall", json={"user_id": USER})).json()["item_ids"]
        named = erase(running, USER, "erase")["files"]["models"]
        assert named
        assert all(name.startswith("artifacts/node2vec/all/v1/") for name in named), named
        assert {tmp_path / name for name in named} == set(holding(tmp_path / "artifacts"))

        train()
        running.shop.registry.promote("node2vec", 2, force=True)
        first = "/api/v1/models/node2vec/versions/1"
        refused = running.http.delete(first)  # it is the previous one
        assert (refused.status_code, refused.json()["code"]) == (409, "in_use")
        done(running.http.delete(first, params={"force": True}))
        assert running.http.delete(f"{first[:-1]}2", params={"force": True}).status_code == 409  # the champion
        assert done(running.http.post("/recall", json={"user_id": USER})).json()["item_ids"] == []
        assert holding(tmp_path / "artifacts") == []
