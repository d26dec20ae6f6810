"""Versions as files, over a real server: export, import, deletion, upload, deploy, cleanup, the registry's view."""

from __future__ import annotations

import io
import sys
import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import wiretoys
from api_server import Running

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))
from s3servers import KEYS, moto_server

V1 = "/api/v1/models"
REGISTRY = "/api/v1/model-registry"


@pytest.fixture
def wire(tmp_path: Path) -> Iterator[Running]:
    with wiretoys.served(tmp_path) as running:
        yield running


def archive(wire: Running, version: str = "1") -> bytes:
    answer = wire.http.get(f"{V1}/xgb/versions/{version}/export")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/gzip"
    return answer.content


def send(wire: Running, path: str, content: bytes, **fields: str):
    return wire.http.post(path, files={"file": ("x.tar.gz", content)}, data=fields)


def done(wire: Running, answer):
    assert answer.status_code == 202, answer.text
    return wire.shop.jobs.wait(answer.json()["job_id"], 60)


def test_out_and_in_again(wire: Running) -> None:
    content = archive(wire, "champion")
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        assert "version.json" in tar.getnames()
    made = send(wire, f"{V1}/moved/import", content)
    assert made.status_code == 201, made.text
    assert (made.json()["model"], made.json()["version"]) == ("moved", 1)
    assert made.headers["location"] == f"{V1}/moved/versions/1"
    again = send(wire, f"{V1}/moved/import", content)
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    held = wire.http.post(f"{V1}/moved/promote", json={"version": 1})
    assert (held.status_code, held.json()["code"]) == (409, "gate_says_no")
    forced = wire.http.post(f"{V1}/moved/promote", json={"version": 1, "force": True, "reason": "moved house"})
    assert forced.status_code == 200, forced.text
    row = {"data": [{"price": 3.0}]}
    assert wire.http.post("/predictions/moved", json=row).json() == wire.http.post("/predictions/xgb", json=row).json()
    assert list((wire.shop.home.artifacts / ".incoming").iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"hello", b"\x80\x04N."])
def test_what_is_no_archive(wire: Running, content: bytes) -> None:
    answer = send(wire, f"{V1}/moved/import", content)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_archive")


def test_not_a_form_and_too_large(tmp_path: Path) -> None:
    with wiretoys.served(tmp_path, upload_limit=2000) as wire:
        assert wire.http.post(f"{V1}/moved/import", json={}).status_code == 415
        assert wire.http.post(f"{V1}/moved/import", files={"other": b"x"}).status_code == 422
        assert send(wire, f"{V1}/moved/import", b"x" * 3000).status_code == 413


def test_reserved_and_odd_names(wire: Running) -> None:
    content = archive(wire)
    for name in ("status", "Odd", "a" * 65):
        assert send(wire, f"{V1}/{name}/import", content).status_code == 422


def test_deleting(wire: Running) -> None:
    used = wire.http.delete(f"{V1}/xgb/versions/champion")
    assert (used.status_code, used.json()["code"]) == (409, "in_use")
    serving = wire.http.delete(f"{V1}/xgb")
    assert (serving.status_code, serving.json()["code"]) == (409, "serving")
    send(wire, f"{V1}/moved/import", archive(wire))
    send(wire, f"{V1}/moved/import", archive(wire, "2"))
    assert wire.http.delete(f"{V1}/moved/versions/1").status_code == 204
    assert wire.http.get(f"{V1}/moved/versions/1").json()["status"] == "removed"
    assert wire.http.get(f"{V1}/moved/versions/1/export").status_code == 404
    assert wire.http.delete(f"{V1}/moved").status_code == 204
    assert wire.http.get(f"{V1}/moved").status_code == 404
    assert wire.http.delete(f"{V1}/moved").status_code == 404


def test_what_answered_then(wire: Running) -> None:
    now = wire.http.get(f"{V1}/xgb/live").json()
    assert now["variants"] == [{"version": 1, "weight": 1.0}]
    split = {"variants": [{"version": 1, "weight": 3}, {"version": 2, "weight": 1}]}
    assert wire.http.put(f"{V1}/xgb/traffic", json=split).status_code == 200
    shared = wire.http.get(f"{V1}/xgb/live").json()
    assert shared["variants"] == [{"version": 1, "weight": 0.75}, {"version": 2, "weight": 0.25}]
    assert shared["since"] > now["since"]
    then = wire.http.get(f"{V1}/xgb/live", params={"at": now["at"]}).json()
    assert (then["variants"], then["since"]) == (now["variants"], now["since"])
    before = wire.http.get(f"{V1}/xgb/live", params={"at": "2020-01-01T00:00:00Z"})
    assert (before.status_code, before.json()["code"]) == (404, "none_live")
    assert wire.http.get(f"{V1}/nothing/live").json()["code"] == "unknown_model"
    assert wire.http.get(f"{V1}/xgb/live", params={"at": "yesterday"}).status_code == 422


def test_upload_and_deploy(tmp_path: Path) -> None:
    with moto_server("models") as endpoint:
        store = {"s3_endpoint": endpoint, "s3_access_key": KEYS["access_key"], "s3_secret_key": KEYS["secret_key"]}
        with wiretoys.served(tmp_path, upload_url="s3://models/shop", **store) as wire:
            sent = done(wire, wire.http.post(f"{V1}/xgb/versions/champion/upload", json={}))
            assert sent.result["url"] == "s3://models/shop/xgb/model-1.tar.gz"
            entry = wire.http.get(f"{REGISTRY}/models/xgb").json()["versions"]["1"]
            assert (entry["s3_bucket"], entry["s3_key"]) == ("models", "shop/xgb/model-1.tar.gz")
            form = {"url": sent.result["url"], "force": True, "reason": "a copy"}
            got = done(wire, wire.http.post(f"{V1}/copy/deploy", json=form))
            assert (got.result["version"], got.result["promoted"]) == (1, True), got.error
            assert wire.http.post("/predictions/copy", json={"data": [{"price": 3.0}]}).status_code == 200
            bad = wire.http.post(f"{V1}/copy/deploy", json={"url": "http://elsewhere/x.tar.gz"})
            assert (bad.status_code, bad.json()["code"]) == (422, "bad_url")


def test_cleanup(wire: Running) -> None:
    keep = wire.shop.settings.keep_versions
    assert keep == 10
    looked = wire.http.post("/api/v1/operations/cleanup", params={"wait": True})
    assert looked.status_code == 200, looked.text
    assert looked.json() == {"dry_run": True, "removed": [], "bytes_freed": 0, "kept": []}
    job = done(wire, wire.http.post("/api/v1/operations/cleanup", params={"dry_run": False, "policies": "strays"}))
    assert job.result["dry_run"] is False
    assert wire.http.post("/api/v1/operations/cleanup", params={"policies": "all"}).status_code == 400


def test_waiting_ends_before_the_job_does(wire: Running) -> None:
    for name in ("first", "second", "third"):  # one worker: these are in the way
        wire.shop.releases.train(name, "popularity")
    late = wire.http.post("/api/v1/operations/cleanup", params={"wait": True, "timeout_s": 1})
    assert (late.status_code, late.json()["status"]) == (202, "queued")
    busy = wire.http.post("/api/v1/operations/cleanup")
    assert (busy.status_code, busy.json()["job_id"]) == (409, late.json()["job_id"])
    wire.http.post(f"{late.json()['job_url']}/cancel")
    told = wire.shop.jobs.wait(late.json()["job_id"], 60)
    assert told.status == "cancelled"


def test_waiting_for_a_job_that_is_cancelled(wire: Running) -> None:
    for name in ("first", "second", "third"):
        wire.shop.releases.train(name, "popularity")
    answers = []
    asking = threading.Thread(
        target=lambda: answers.append(wire.http.post("/api/v1/operations/cleanup", params={"wait": True}))
    )
    asking.start()
    while not (queued := wire.shop.jobs.list(kind="cleanup")[0]):
        asking.join(0.02)
    wire.shop.jobs.cancel(queued[0].job_id)
    asking.join(60)
    assert (answers[0].status_code, answers[0].json()["code"]) == (409, "job_cancelled")


def test_the_registrys_view(wire: Running) -> None:
    listed = wire.http.get(f"{REGISTRY}/models").json()
    assert listed["total_count"] == len(listed["models"]) > 1
    entry = wire.http.get(f"{REGISTRY}/models/xgb").json()
    assert entry["current_version"] == "1"
    assert entry["versions"]["1"]["status"] == "production"
    assert entry["versions"]["2"]["status"] == "staging"
    totals = wire.http.get(f"{REGISTRY}/stats").json()
    assert totals["total_models"] == listed["total_count"]
    assert totals["total_bytes"] > 0
    assert wire.http.get(f"{REGISTRY}/validate").json()["errors"] == []
    folder = wire.shop.registry.folder(wire.shop.registry.version("xgb"))
    (folder / "weight.json").write_text("9")
    checked = wire.http.get(f"{REGISTRY}/validate").json()
    assert checked["valid_models"] == checked["total_models"] - 1
    assert "is broken" in checked["errors"][0]
    assert wire.http.get(f"{REGISTRY}/models/nothing").status_code == 404
    assert wire.http.get(f"{REGISTRY}/models/nothing/download").status_code == 404


def test_the_registrys_upload_and_deletion(wire: Running) -> None:
    content = wire.http.get(f"{REGISTRY}/models/xgb/download", params={"version": "2"}).content
    path = f"{REGISTRY}/models/upload"
    taken = send(wire, path, content, name="moved", version="their-7")
    assert taken.status_code == 200, taken.text
    assert (taken.json()["model_id"], taken.json()["success"]) == ("moved", True)
    assert taken.json()["entry"]["versions"]["1"]["status"] == "staging"
    refused = {
        "x.safetensors": "no algorithm here loads bare weights",
        "x.pt": "pickles and .pt files are refused",
        "x.pkl": "pickles and .pt files are refused",
    }
    for name, words in refused.items():
        answer = wire.http.post(path, files={"file": (name, b"x")}, data={"name": "moved"})
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong_format")
        assert words in answer.json()["detail"]
    gone = wire.http.delete(f"{REGISTRY}/models/moved")
    assert gone.status_code == 200
    assert gone.json()["success"] is True


def test_scopes(tmp_path: Path) -> None:
    with wiretoys.served(tmp_path, api_key="a-key-that-nobody-guesses") as wire:
        for method, path in (
            ("GET", f"{V1}/xgb/versions/1/export"),
            ("POST", f"{V1}/x/import"),
            ("DELETE", f"{V1}/xgb"),
        ):
            assert (
                wire.http.request(method, path, files={"file": b"x"} if method == "POST" else None).status_code == 401
            )
