"""What a cleanup removes, what it leaves, and how it goes on after a crash."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import insert

from shopkeeper.core.clock import SystemClock
from shopkeeper.core.errors import Conflict, Invalid, NotFound
from shopkeeper.core.ids import ulid
from shopkeeper.lifecycle.removal import Removal
from shopkeeper.lifecycle.retention import Keep, Retention
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.stores import imports as import_table
from shopkeeper.stores import registry as table
from shopkeeper.stores import schema, traffic

DAY = 86_400 * 1_000_000


class Later(SystemClock):
    """The machine's clock, some days ahead."""

    days = 0.0

    def wall(self) -> int:
        return super().wall() + int(self.days * DAY)


@pytest.fixture
def clock():
    return Later()


@pytest.fixture
def serving(registry):
    return Serving(registry)


@pytest.fixture
def removal(registry, serving):
    return Removal(registry, serving)


@pytest.fixture
def retention(db, home, clock, make_jobs, registry, removal):
    found: list[Retention] = []

    def hooks(jobs) -> None:
        found.append(Retention(db, home, clock, jobs, registry, removal, Keep(versions=2, days=10)))

    make_jobs(hooks=hooks)
    return found[0]


def removed(cleaned) -> list[str]:
    return sorted(one.id for one in cleaned.removed)


def test_a_dry_run_removes_nothing(retention, registry, add_version):
    for weight in range(4):
        add_version(float(weight))
    seen = retention.clean()
    assert removed(seen) == ["line/v1", "line/v2"]
    assert seen.bytes_freed == sum(one.bytes for one in seen.removed) > 100
    assert all(registry.folder(registry.version("line", n)).exists() for n in (1, 2, 3, 4))
    did = retention.clean(dry_run=False)
    assert (removed(did), did.bytes_freed) == (removed(seen), seen.bytes_freed)
    assert [registry.version("line", n).status for n in (1, 2, 3, 4)] == ["removed", "removed", "ready", "ready"]
    assert not registry.folder(registry.version("line", 1)).exists()
    assert retention.clean(dry_run=False).removed == []


def test_what_is_needed_stays(retention, registry, add_version, serving, db, clock):
    for weight in range(8):
        add_version(float(weight))
    for number in (1, 2, 3):
        registry.promote("line", number, force=True)  # champion 3, previous 2, and 1 was champion lately
    serving.drop(registry.version("line", 1))
    db.writer.run(
        lambda c: traffic.put(c, "line", "all", "shadow", {"version": 4, "share": 1.0}, now=1, by="", reason="")
    )
    serving.get("line", "5")
    done = retention.clean(dry_run=False)
    assert removed(done) == ["line/v6"]
    assert {one.id: one.reason for one in done.kept} == {
        "line/v1": "it was champion within 10 days",
        "line/v2": "it is the previous",
        "line/v3": "it is the champion",
        "line/v4": "it has traffic",
        "line/v5": "it is in memory",
    }
    clock.days = 11
    assert removed(retention.clean(dry_run=False)) == ["line/v1"]


def test_removed_versions_stay_removed(retention, registry, add_version, serving):
    for weight in range(4):
        add_version(float(weight))
    retention.clean(dry_run=False)
    with pytest.raises(Conflict, match="v1 was removed; import or train it again"):
        registry.promote("line", 1, force=True)
    assert registry.version("line", 1).status == "removed"
    with pytest.raises(NotFound):
        serving.get("line", "1")
    assert registry.versions("line")[2] == 4
    assert add_version(9.0).version == 5


def test_folders_of_finished_jobs(retention, home, clock):
    job = retention._jobs.submit("toy_count", {"steps": 1})
    retention._jobs.wait(job.job_id, 60)
    assert retention._jobs.logs(job.job_id)
    (home.jobs / "without-a-row").mkdir()
    assert retention.clean(["jobs"]).removed == []
    clock.days = 11
    assert removed(retention.clean(["jobs"], dry_run=False)) == sorted([job.job_id, "without-a-row"])
    assert list(home.jobs.iterdir()) == []
    assert retention._jobs.get(job.job_id).result["steps"] == 1
    assert retention._jobs.logs(job.job_id) == ""


def test_a_running_job_keeps_its_folder(retention, clock):
    running = retention._jobs.submit("toy_deaf", {})
    events = iter(retention._jobs.events(running.job_id))
    del events
    while not (retention._jobs.folder(running.job_id) / "work" / "pid").exists():
        retention._jobs.wait(running.job_id, 0.05)
    clock.days = 100
    assert retention.clean(["jobs"]).removed == []
    retention._jobs.cancel(running.job_id)


def test_strays(retention, registry, home, add_version, clock):
    folder = registry.folder(add_version())
    for name in ("v1.stray-x", "v7"):
        shutil.copytree(folder, folder.with_name(name))
    (home.artifacts / ".incoming" / "half").mkdir(parents=True)
    (home.artifacts / ".incoming" / "half" / "x").write_bytes(b"12345")
    assert retention.clean(["strays"]).removed == []
    clock.days = 1.1
    done = retention.clean(["strays"], dry_run=False)
    assert removed(done) == ["artifacts/.incoming/half", "artifacts/line/all/v1.stray-x", "artifacts/line/all/v7"]
    assert folder.exists()


def test_refused_rows_of_old_imports(retention, home, db, clock):
    for status in ("done", "failed"):
        name = f"{status}-{ulid()}"
        (home.imports / name).mkdir()
        (home.imports / name / "rejects-0000000001.csv").write_text("1,bad,x\n")
        (home.imports / name / "source.csv").write_text("a,b\n")

        def add(connection, name=name, status=status):
            import_table.add(connection, name, kind="orders", filename="x.csv", path="x", sha256="", columns=[],
                             plan={}, rows=1, now=clock.wall())  # fmt: skip
            import_table.finish(connection, name, status)

        db.writer.run(add)
    assert retention.clean(["rejects"]).removed == []
    clock.days = 11
    assert len(retention.clean(["rejects"], dry_run=False).removed) == 1
    assert sorted(path.name for path in home.imports.rglob("*.csv")) == [
        "rejects-0000000001.csv", "source.csv", "source.csv",
    ]  # fmt: skip


def test_as_a_job(retention, registry, add_version):
    for weight in range(3):
        add_version(float(weight))
    job = retention.submit(["versions"], dry_run=False, by="anna")
    ended = retention._jobs.wait(job.job_id, 60)
    assert ended.status == "done", ended.error
    assert [one["id"] for one in ended.result["removed"]] == ["line/v1"]
    assert registry.version("line", 1).status == "removed"


def test_unknown_policies(retention):
    with pytest.raises(Invalid, match="no policy 'everything'; there are: versions, jobs"):
        retention.submit(["everything"])


def test_killed_in_the_middle(retention, registry, home, add_version, installed):
    """The row says removed, the files are half gone: the next run takes the rest."""
    for weight in range(3):
        add_version(float(weight), content={"more.json": "{}"})
    code = f"""
import os
from pathlib import Path
from shopkeeper.core.clock import SystemClock
from shopkeeper.lifecycle import removal
from shopkeeper.lifecycle.registry import Registry
from shopkeeper.lifecycle.serving import Serving
from shopkeeper.stores.artifacts import ArtifactStore
from shopkeeper.stores.sql import open_database, sqlite_url
def half(path, **_):
    (path / "line.json").unlink()
    os._exit(9)
removal.shutil.rmtree = half
home = Path({str(home.path)!r})
registry = Registry(open_database(sqlite_url(home)), ArtifactStore(home / "artifacts"), SystemClock())
removal.Removal(registry, Serving(registry)).version("line", 1)
"""
    ended = subprocess.run([sys.executable, "-c", code], env={**os.environ, "PYTHONPATH": installed}, check=False)
    assert ended.returncode == 9
    first = registry.version("line", 1)
    assert (first.status, registry.folder(first).exists()) == ("removed", True)
    assert removed(retention.clean(dry_run=False)) == ["line/v1"]
    assert not registry.folder(first).exists()


def test_deleting_a_version(removal, registry, add_version, serving, db):
    for weight in range(3):
        add_version(float(weight))
    registry.promote("line", 2)
    with pytest.raises(Conflict, match="champion") as error:
        removal.version("line", "champion")
    assert error.value.code == "in_use"
    with pytest.raises(Conflict, match="candidate"):
        removal.version("line", 3)
    loaded = serving.get("line", "1")
    assert removal.version("line", 1) > 0
    assert serving.peek("line", "1") is None
    assert loaded.model.score_rows([{"x": 2.0}]) == [0.0]  # whoever holds it may finish
    with pytest.raises(Conflict, match="removed already"):
        removal.version("line", 1)
    with pytest.raises(NotFound):
        removal.version("line", 9)


def test_a_version_in_the_traffic(removal, registry, add_version, db):
    for weight in range(3):
        add_version(float(weight))
    plan = {"variants": [{"version": 1, "weight": 0.1}], "mode": "sticky"}
    db.writer.run(lambda c: traffic.put(c, "line", "all", "split", plan, now=1, by="", reason=""))
    with pytest.raises(Conflict, match="share of the traffic"):
        removal.version("line", 1)
    db.writer.run(lambda c: traffic.put(c, "line", "all", "split", None, now=2, by="", reason=""))
    removal.version("line", 1)


def test_deleting_a_model(removal, registry, add_version, home):
    for weight in range(2):
        add_version(float(weight))
    removal.model("line", by="anna")
    with pytest.raises(NotFound):
        registry.model("line")
    assert list(Path(home.artifacts / "line" / "all").iterdir()) == []
    assert add_version(3.0).version == 3  # numbers are never used again
    assert [one.status for one in registry.versions("line")[0]] == ["ready", "removed", "removed"]
    registry.promote("line", 3)
    with pytest.raises(Conflict, match="serves with v3") as error:
        removal.model("line")
    assert error.value.code == "serving"


def test_a_model_that_serves_is_deleted_by_force(removal, registry, add_version, serving, db):
    for weight in (1.0, 2.0):
        add_version(weight)
    registry.promote("line", 1)
    plan = {"variants": [{"version": 2, "weight": 1.0}], "mode": "sticky"}
    db.writer.run(lambda c: traffic.put(c, "line", "all", "split", plan, now=1, by="", reason=""))
    loaded = serving.get("line")
    removal.model("line", by="anna", force=True)
    assert loaded.model.score_rows([{"x": 2.0}]) == [2.0]  # whoever holds it may finish
    assert serving.peek("line") is None
    with pytest.raises(NotFound):
        serving.get("line")
    with db.read() as connection:
        assert traffic.versions_in_traffic(connection, "line", "all") == set()
        gone = [one for one in table.history(connection, "line", "all") if one.version is None]
    assert (gone[0].reason, gone[0].changed_by) == ("the model was deleted", "anna")


def test_what_a_deleted_model_answered_is_still_known(removal, registry, add_version, db):
    add_version()
    registry.promote("line", 1)
    at = registry.history("line")[0].time
    db.writer.run(
        lambda c: c.execute(
            insert(schema.aliases).values(model="line", scope="all", alias="champion", version=None, time=at + 5,
                                          changed_by="", reason="", forced=False)
        )
    )  # fmt: skip
    removal.model("line")
    assert registry.live_at("line", at + 1).version == 1
    with pytest.raises(NotFound):
        registry.live_at("line", at + 9)
