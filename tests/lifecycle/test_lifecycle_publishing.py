"""Versions go to a bucket and come back, over a real S3 server."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))
from s3servers import KEYS, client, fragile_server, moto_server, stubborn_server

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.lifecycle.exchange import Exchange
from shopkeeper.lifecycle.jobs import JobService
from shopkeeper.lifecycle.publishing import Publishing
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.shelf import ARCHIVE
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.home import Home
from shopkeeper.stores.sql import open_database

URL = "s3://models/shop"


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with moto_server("models") as address:
        yield address


@pytest.fixture
def make(make_jobs, registry, home):
    """A publishing service over this home, reaching the store at an address."""

    def made(address: str) -> Publishing:
        found: list[Publishing] = []
        exchange = Exchange(registry, home.artifacts, SystemClock())

        def hooks(jobs: JobService) -> None:
            found.append(Publishing(jobs, registry, exchange, lambda _: {"endpoint": address, **KEYS}))

        make_jobs(hooks=hooks)
        return found[0]

    return made


@pytest.fixture
def second(tmp_path, installed, endpoint):
    """The same in another home."""
    home = Home(tmp_path / "second").make()
    db = open_database(home.sql_url)
    registry = Registry(db, ArtifactStore(home.artifacts), SystemClock())
    jobs = JobService(db, home, SystemClock(), environment={"PYTHONPATH": installed})
    exchange = Exchange(registry, home.artifacts, SystemClock())
    publishing = Publishing(jobs, registry, exchange, lambda _: {"endpoint": endpoint, **KEYS})
    jobs.start()
    yield publishing
    jobs.stop()
    db.close()


def done(publishing: Publishing, job):
    ended = publishing._jobs.wait(job.job_id, 60)
    assert ended.status == "done", ended.error
    return ended.result


def failed(publishing: Publishing, job) -> str:
    ended = publishing._jobs.wait(job.job_id, 60)
    assert ended.status == "failed"
    return ended.error


def test_up_and_down_again(make, endpoint, registry, add_version, second):
    publishing = make(endpoint)
    add_version(1.0)
    add_version(2.0)
    registry.promote("line", 1)
    told = done(publishing, publishing.upload("line", 1, "all", URL, "anna"))
    assert (told["bucket"], told["key"]) == ("models", "shop/line/model-1.tar.gz")
    done(publishing, publishing.upload("line", "v2", "all", URL, "anna"))

    s3 = client(endpoint)
    stored = s3.head_object(Bucket="models", Key=told["key"])
    assert stored["ContentLength"] == told["bytes"]
    entries = json.loads(s3.get_object(Bucket="models", Key="shop/line/registry.json")["Body"].read())
    assert {number: entry["status"] for number, entry in entries.items()} == {"1": "production", "2": "staging"}
    assert entries["1"]["s3_key"] == told["key"]
    assert set(entries["1"]) >= {"version", "files", "registered_at", "status", "s3_bucket", "s3_key"}
    assert s3.get_object(Bucket="models", Key="shop/line/.current_version")["Body"].read() == b"1\n"

    held = done(second, second.deploy("line", URL, by="ben"))
    assert (held["version"], held["imported"], held["promoted"]) == (1, True, False)
    assert "HOLD" in held["why_not"]
    again = done(second, second.deploy("line", URL, force=True, reason="the same data", by="ben"))
    assert (again["version"], again["imported"], again["promoted"]) == (1, False, True)
    assert done(second, second.deploy("line", URL, version="v2", promote=False, by="ben"))["version"] == 2
    direct = done(second, second.deploy("copy", f"{URL}/line/model-2.tar.gz", promote=False, by="ben"))
    assert direct["version"] == 1
    champion = second._registry.version("line")
    assert champion.data["imported_from"]["created_by"] == "anna"
    assert second._registry.history("line")[0].reason == "the same data"


def test_what_is_promoted_can_still_be_brought_in_anew(make, endpoint, add_version, second, monkeypatch):
    """A shop that is killed while it promotes begins at the archive again."""
    publishing = make(endpoint)
    add_version(1.0)
    done(publishing, publishing.upload("line", 1, "all", URL, "anna"))
    done(second, second.deploy("line", URL, version="v1", promote=False, by="ben"))
    promote, there = second._registry.promote, []

    def promoted(*which, **how):
        there.extend(second._jobs.folder(job.job_id).glob(f"work/{ARCHIVE}"))
        return promote(*which, **how)

    monkeypatch.setattr(second._registry, "promote", promoted)
    job = second.deploy("line", URL, version="v1", force=True, by="ben")
    assert done(second, job)["promoted"] is True
    assert len(there) == 1
    assert not there[0].exists()


def test_keys_are_stored_nowhere(make, endpoint, add_version, home, registry):
    publishing = make(endpoint)
    add_version()
    done(publishing, publishing.upload("line", 1, "all", URL, "anna"))
    for path in home.path.rglob("*"):
        if path.is_file():
            assert KEYS["secret_key"].encode() not in path.read_bytes(), path


def test_what_cannot_begin(make, endpoint, registry, add_version):
    publishing = make(endpoint)
    version = add_version()
    for url in ("http://models", "s3://", "models", "s3://key:secret@models"):
        with pytest.raises(Invalid):
            publishing.upload("line", 1, "all", url, "anna")
    with pytest.raises(NotFound):
        publishing.upload("line", 7, "all", URL, "anna")
    with pytest.raises(Invalid, match="no number"):
        publishing.deploy("line", URL, version="latest")
    registry.mark(version, "removed")
    with pytest.raises(Conflict, match="were removed"):
        publishing.upload("line", 1, "all", URL, "anna")


def test_stores_that_fail(make, endpoint, add_version, registry):
    add_version()
    publishing = make(endpoint)
    assert "no bucket 'elsewhere'" in failed(publishing, publishing.upload("line", 1, "all", "s3://elsewhere", "anna"))
    assert ".current_version; say which" in failed(publishing, publishing.deploy("nothing", URL))
    assert "does not exist" in failed(publishing, publishing.deploy("line", URL, version="77"))


def test_a_store_that_refuses_to_write(make, add_version, registry):
    add_version()
    with stubborn_server() as address:
        publishing = make(address)
        assert "refused to write" in failed(publishing, publishing.upload("line", 1, "all", URL, "anna"))


def test_a_store_that_goes_away_half_way(make, add_version, registry):
    with stubborn_server(breaks_off=True) as address:
        publishing = make(address)
        assert failed(publishing, publishing.deploy("line", f"{URL}/model-1.tar.gz"))
    assert registry.models() == []


def test_a_store_that_hangs_up_during_the_upload(make, add_version, registry, home):
    """The probe passed and half of the archive was sent: nothing is noted, and nothing stays behind."""
    add_version(content={"noise.json": os.urandom(60_000).hex()})
    with fragile_server(largest=10_000) as (address, kept):
        publishing = make(address)
        told = failed(publishing, publishing.upload("line", 1, "all", URL, "anna"))
        assert "cannot write s3://models/shop/line/model-1.tar.gz" in told
        assert kept == {}
    assert not list(home.jobs.rglob("*.tar.gz"))


def test_a_changed_archive_in_the_bucket(make, endpoint, add_version, second):
    publishing = make(endpoint)
    add_version(4.0, model="bent")
    told = done(publishing, publishing.upload("bent", 1, "all", URL, "anna"))
    s3 = client(endpoint)
    content = s3.get_object(Bucket="models", Key=told["key"])["Body"].read()
    s3.put_object(Bucket="models", Key=told["key"], Body=content[:-20])
    assert "SHA-256" in failed(second, second.deploy("bent", URL, version="1"))
    assert "archive is refused" in failed(second, second.deploy("bent", f"{URL}/bent/model-1.tar.gz"))
    for body in (b"[]", b'{"1": {"a": "\xff"}}'):
        s3.put_object(Bucket="models", Key="shop/bent/registry.json", Body=body)
        assert "is no registry" in failed(publishing, publishing.upload("bent", 1, "all", URL, "anna"))
