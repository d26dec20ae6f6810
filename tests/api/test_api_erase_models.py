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


@pytest.mark.timeout(300)
def test_models_that_learned_from_a_person_do_not_hold_their_id(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        assert running.shop.log.append(orders()).result().rejected == []
        for model in ("popularity", "item_knn", "ease", "fusion"):
            job = running.shop.releases.train(model, model, params={}, source=None, requested_by="anna")
            ended = running.shop.jobs.wait(job.job_id, 120)
            assert ended.status == "done", ended.error
        files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
        assert len(files) >= 8
        spelled = (USER.encode(), USER.encode("utf-32-le"))  # numpy keeps text as UTF-32
        assert not [path for path in files for part in contents(path) if any(form in part for form in spelled)]
        done(running.http.get(f"/api/v1/user/{USER}"))
        assert erase(running, USER, "erase")["files"]["models"] == []
