"""A hundred swaps under a continuous client: nothing fails, and nobody is sent back to an older version."""

from __future__ import annotations

import itertools
import json
import os
import signal
import threading
from collections import Counter

import httpx
import pytest
import wiretoys
from api_server import Running

from shopkeeper.core.errors import Conflict

SWAPS = 100
ROW = b'{"data":[{"price":1.0}]}'


class Client(threading.Thread):
    """Asks without a pause, as one person, until it is told to stop."""

    def __init__(self, url: str, person: str) -> None:
        super().__init__(daemon=True)
        self.url, self.person = url, person
        self.ended = threading.Event()
        self.statuses: Counter[int] = Counter()
        self.versions: list[int] = []
        self.wrong: list[str] = []

    def run(self) -> None:
        headers = {"content-type": "application/json", "x-user-id": self.person}
        with httpx.Client(base_url=self.url, timeout=30, headers=headers) as http:
            while not self.ended.is_set():
                answer = http.post("/predictions/xgb", content=ROW)
                self.statuses[answer.status_code] += 1
                version = int(answer.headers.get("x-model-version", "v0")[1:])
                self.versions.append(version)
                if answer.status_code != 200 or answer.json() != {"predictions": [float(version)]}:
                    self.wrong.append(answer.text[:300])


def test_a_hundred_swaps_drop_no_request(tmp_path) -> None:
    with wiretoys.served(tmp_path) as wire:
        clients = [Client(wire.url, f"user-{n}") for n in range(3)]
        for client in clients:
            client.start()
        refused = _swap(wire)
        for client in clients:
            client.ended.set()
        for client in clients:
            client.join(60)
        champion = wire.shop.registry.model("xgb").aliases["champion"]

    for client in clients:
        assert client.wrong == []
        assert set(client.statuses) == {200}
        assert client.versions == sorted(client.versions)
        assert client.versions[-1] <= champion
        assert len(client.versions) > SWAPS / 2
    assert refused == ["artifact_broken", "artifact_broken"]
    assert len({version for client in clients for version in client.versions}) > SWAPS / 4


def _swap(wire: Running) -> list[str]:
    """Promotes version after version; between them a slow load, a killed job, and two versions that must be refused."""
    registry, made = wire.shop.registry, wire.shop.home.path / "made"
    numbers = itertools.count(3)
    refused = []
    for swap in range(SWAPS):
        wiretoys.Number.load_s = 1.0 if swap == 20 else 0.0
        if swap == 40:
            _kill_a_training(wire)
        if swap in (60, 80):
            strange = ["other"] if swap == 80 else None
            bad = wiretoys.add_version(registry, made, "xgb", float(next(numbers)), strange)
            if swap == 60:
                (registry.folder(bad) / "weight.json").write_text("9")
            with pytest.raises(Conflict) as caught:
                registry.promote("xgb", bad.version, force=True)
            refused.append(caught.value.code)
        # A version answers its own number: an answer of another one, or of two, would be seen.
        version = wiretoys.add_version(registry, made, "xgb", float(next(numbers)))
        registry.promote("xgb", version.version, force=True)
    return refused


def _kill_a_training(wire: Running) -> None:
    job = wire.shop.releases.train("popularity", "popularity")
    noted = wire.shop.jobs.folder(job.job_id) / "process.json"
    while not noted.exists():
        assert wire.shop.jobs.get(job.job_id).status in ("queued", "running")
    os.kill(json.loads(noted.read_text())["pid"], signal.SIGKILL)
    assert wire.shop.jobs.wait(job.job_id, 60).status == "failed"
