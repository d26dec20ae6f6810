"""Training forms that name a database or a store: what is told at once, what is kept, and that no secret is."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from api_server import Running, serving

sys.path.insert(0, str(Path(__file__).parents[1] / "sources"))

import databases
import s3servers

KEY = "a-key-that-nobody-guesses"
TRAIN = "/api/v1/models/visits/train"
SECRETS = ("Tomate 7", "very-secret-key", "AKTESTKEY", "hush-hush")


@pytest.fixture(scope="module")
def database() -> Iterator[databases.Server]:
    with databases.mariadb() as server:
        rows = [f"({n % 17}, {n % 5}, {int(n % 17 > 8)})" for n in range(400)]
        server.run("CREATE TABLE visits (x int, y int, bought int)", f"INSERT INTO visits VALUES {', '.join(rows)}")
        yield server


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with s3servers.moto_server("shop") as endpoint:
        content = io.BytesIO(b"x,bought\n" + b"".join(b"%d,%d\n" % (n % 17, n % 17 > 8) for n in range(400)))
        s3servers.client(endpoint).put_object(Bucket="shop", Key="visits.csv", Body=content)
        yield endpoint


def finished(running: Running, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    form = {"algorithm": "xgb", "params": {"trees": 20}, "source": source, **more}
    queued = running.http.post(TRAIN, json=form)
    assert queued.status_code == 202, queued.text
    running.shop.jobs.wait(queued.json()["job_id"], 120)
    found: dict[str, Any] = running.http.get(f"/api/v1/jobs/{queued.json()['job_id']}").json()
    return found


def stacked(running: Running, versions: list[int], source: dict[str, Any]) -> dict[str, Any]:
    queued = running.http.post("/api/v1/models/visits/stack", json={"versions": versions, "source": source})
    assert queued.status_code == 202, queued.text
    running.shop.jobs.wait(queued.json()["job_id"], 120)
    found: dict[str, Any] = running.http.get(f"/api/v1/jobs/{queued.json()['job_id']}").json()
    return found


def everything(running: Running) -> bytes:
    """All that the shop has written: database, logs, results, artifacts."""
    return b"".join(path.read_bytes() for path in running.shop.home.path.rglob("*") if path.is_file())


def test_rows_of_a_database_and_a_store_and_no_secret_anywhere(
    tmp_path: Path, database: databases.Server, bucket: str, caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    caplog.set_level(logging.DEBUG)
    stored = {"kind": "oss", "path": "s3://shop/visits.csv", "endpoint": bucket, **s3servers.KEYS, "label": "bought"}
    with serving(tmp_path) as running:
        told = [
            finished(running, database.source(table="visits", label="bought"), version="of-the-database"),
            finished(running, database.source(query="SELECT x, bought FROM visits", label="bought")),
            finished(running, stored),
            finished(running, database.source(table="visits", label="bought", password="hush-hush")),
            finished(running, {**stored, "path": "s3://nowhere/x.csv"}),
        ]
        assert [job["status"] for job in told] == ["done", "done", "done", "failed", "failed"]
        assert told[0]["params"]["source"] == {
            "kind": "mysql", "host": "127.0.0.1", "port": database.port, "user": "anna", "database": "shop",
            "table": "visits", "label": "bought",
        }  # fmt: skip
        champion = running.http.get("/api/v1/models/visits").json()["aliases"]["champion"]
        member = 1 if champion != 1 else 2
        told.append(stacked(running, [member, champion], database.source(table="visits", label="bought")))
        assert (told[-1]["status"], "password" in told[-1]["params"]["source"]) == ("done", False)
        version = running.http.get("/api/v1/models/visits/versions/of-the-database").json()
        assert (version["version"], version["label"], version["data"]["table"]) == (1, "of-the-database", "visits")
        answers = [running.http.get(f"/api/v1/jobs/{job['job_id']}/{part}").text for job in told for part in
                   ("logs", "events")]  # fmt: skip
        answers += [
            str(told),
            running.http.get("/api/v1/models/visits/versions").text,
            caplog.text,
            *capfd.readouterr(),
        ]
        kept = everything(running)
    assert b"anna" in kept, "what is not secret is kept, so a secret would be found"
    for secret in SECRETS:
        assert secret not in "".join(answers)
        assert secret.encode() not in kept + everything_at(tmp_path)


def everything_at(home: Path) -> bytes:
    return b"".join(path.read_bytes() for path in home.rglob("*") if path.is_file())


def test_a_secret_does_not_outlive_the_process_and_the_job_says_so(
    tmp_path: Path, database: databases.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The job waits in the queue while the shop is restarted."""
    with serving(tmp_path) as running:
        blocked = running.shop.jobs
        blocked.stop()
        form = {"algorithm": "xgb", "source": database.source(table="visits", label="bought")}
        job_id = running.http.post(TRAIN, json=form).json()["job_id"]
    with serving(tmp_path) as running:
        job = running.shop.jobs.wait(job_id, 60)
        assert (job.status, job.error is not None and "shop was restarted" in job.error) == ("failed", True)
    with serving(tmp_path) as running:
        running.shop.jobs.stop()
        job_id = running.http.post(TRAIN, json=form).json()["job_id"]
    with serving(tmp_path, mysql_user=database.user, mysql_password=database.password) as running:
        assert running.shop.jobs.wait(job_id, 120).status == "done"


def test_secrets_are_dropped_when_a_job_ends_or_never_begins(live: Running, database: databases.Server) -> None:
    kept = live.shop.sources._kept
    finished(live, database.source(table="visits", label="bought"))
    finished(live, database.source(table="visits", label="bought", password="hush-hush"))
    assert kept == {}
    form = {"algorithm": "xgb", "source": database.source(table="visits", label="bought"), "version": "v3"}
    assert live.http.post(TRAIN, json=form).status_code == 422
    assert kept == {}


@pytest.mark.parametrize(
    ("source", "word"),
    [
        ({"kind": "mysql", "tabel": "x"}, "tabel"),
        ({"kind": "mysql", "table": "x", "port": 0}, "port"),
        ({"kind": "mysql", "table": "x", "port": "many"}, "port"),
        ({"kind": "mysql", "table": "x", "path": "/x"}, "path"),
        ({"kind": "mysql"}, "query"),
        ({"kind": "mysql", "query": "DROP TABLE x"}, "only reads"),
        ({"kind": "mysql", "table": "x", "host": "/run/mysqld.sock"}, "host"),
        ({"kind": "oss", "path": "/etc/passwd"}, "s3://"),
        ({"kind": "oss"}, "path"),
        ({"kind": "file"}, "path"),
        ({"kind": "file", "path": "x.csv", "options": {"delimeter": ";"}}, "delimeter"),
        ({"kind": "file", "path": "x.csv", "format": "avro"}, "format"),
        ({"kind": "file", "path": "x.csv", "features": "x"}, "features"),
    ],
)
def test_a_form_that_cannot_be_is_told_at_once(live: Running, source: dict[str, Any], word: str) -> None:
    answer = live.http.post(TRAIN, json={"algorithm": "xgb", "source": {"password": "hush-hush", **source}})
    if source["kind"] in ("file", "oss"):
        answer = live.http.post(TRAIN, json={"algorithm": "xgb", "source": source})
    assert answer.status_code == 422, answer.text
    assert word in answer.text
    assert "hush-hush" not in answer.text


def test_behind_a_key_only_servers_that_are_listed(tmp_path: Path, database: databases.Server, bucket: str) -> None:
    stored = {"kind": "oss", "path": "s3://shop/visits.csv", "endpoint": bucket, "label": "bought"}
    rows = {"kind": "mysql", "host": "127.0.0.1", "port": database.port, "database": "shop", "table": "visits",
            "label": "bought"}  # fmt: skip
    known = {"mysql_host": "127.0.0.1", "mysql_port": database.port, "mysql_user": database.user,
             "mysql_password": database.password}  # fmt: skip
    with serving(tmp_path / "a", api_key=KEY, source_hosts=f"localhost, {bucket.removeprefix('http://')}") as running:
        running.http.headers["x-api-key"] = KEY
        assert finished(running, {**stored, **s3servers.KEYS})["status"] == "done"
        for source in (rows, {**stored, "endpoint": "http://169.254.169.254"}, {**stored, "endpoint": None}):
            answer = running.http.post(TRAIN, json={"algorithm": "xgb", "source": source})
            assert (answer.status_code, answer.json()["code"]) == (403, "source_not_allowed")
    with serving(tmp_path / "b", api_key=KEY, **known) as running:
        running.http.headers["x-api-key"] = KEY
        assert finished(running, rows)["status"] == "done"
        other = {**rows, "host": "localhost"}
        assert running.http.post(TRAIN, json={"algorithm": "xgb", "source": other}).status_code == 403


def test_a_version_has_a_name_of_its_own(live: Running, tmp_path: Path) -> None:
    (tmp_path / "rows.csv").write_text("x,bought\n" + "".join(f"{n % 17},{int(n % 17 > 8)}\n" for n in range(200)))
    source = {"kind": "file", "path": str(tmp_path / "rows.csv"), "label": "bought"}
    first = finished(live, source, version="spring-sale")
    assert first["status"] == "done", first
    unnamed = finished(live, source)
    found = live.http.get("/api/v1/models/visits/versions/spring-sale").json()
    assert found["version"] == first["result"]["version"]
    stamp = live.http.get(f"/api/v1/models/visits/versions/{unnamed['result']['version']}").json()["label"]
    assert len(stamp) >= len("20261126-142100")
    assert live.http.get(f"/api/v1/models/visits/versions/{stamp}").json()["version"] == unnamed["result"]["version"]
    answer = live.http.post("/predictions/visits/spring-sale", json={"data": [{"x": 16}]})
    assert answer.status_code == 200, answer.text
    form = {"algorithm": "xgb", "source": source}
    again = live.http.post(TRAIN, json={**form, "version": "spring-sale"})
    assert (again.status_code, again.json()["code"]) == (409, "exists")
    for name in ("v3", "12", "champion", "with space", "-x", "ä"):
        assert live.http.post(TRAIN, json={**form, "version": name}).status_code == 422, name
