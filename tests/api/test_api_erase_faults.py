from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
from api_server import serving
from erase_person import V1, done, erase, fill, traces

DYING = Path(__file__).parent / "dying_shop.py"


@pytest.mark.parametrize("place", ["files", "events", "person", "swept"])
def test_an_erasure_that_was_killed_is_finished_at_the_next_start(tmp_path: Path, place: str) -> None:
    with serving(tmp_path) as running:
        who = fill(running)
        last = running.shop.log.last_seq
    killed = subprocess.run([sys.executable, DYING, tmp_path, who.user_id, place], timeout=150, check=False)
    assert killed.returncode == -signal.SIGKILL
    with serving(tmp_path) as again:
        job = again.shop.jobs.list(kind="erase")[0][0]
        finished = again.shop.jobs.wait(job.job_id, 200)
        assert finished.status == "done", finished
        assert traces(again, who) == []
        assert again.shop.log.last_seq == last
        assert again.http.get(f"{V1}/users/{who.user_id}").status_code == 404
        assert again.http.get(f"{V1}/users/neighbour/consent").json()["marketing"] is False


def test_erasing_under_load_gives_nothing_but_the_person_or_404(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        who = fill(running)
        gone = threading.Event()
        answers: list[tuple[str, int, str]] = []

        def ask(at: int) -> None:
            import httpx

            with httpx.Client(base_url=running.url, timeout=30) as http:
                recommend = {"user_id": who.user_id, "n_recommendations": 3, "deadline_ms": 5000}
                while not gone.is_set():
                    known = True
                    for path in (f"user/{who.user_id}", f"explain/{who.user_id}", f"users/{who.user_id}/consent"):
                        answer = http.get(f"{V1}/{path}")
                        answers.append((path, answer.status_code, answer.text))
                        known = known and answer.status_code == 200
                    if known:  # else it is a stranger who asks, and what a stranger calls themselves is noted
                        slate = http.post(f"{V1}/personalization/recommend", json=recommend)
                        answers.append(("recommend", slate.status_code, slate.text))
                    event = {"event_type": "view", "user_id": f"bystander-{at}", "item_id": "item-1"}
                    answers.append(("events", http.post(f"{V1}/events", json=event).status_code, ""))

        askers = [threading.Thread(target=ask, args=(at,)) for at in range(3)]
        for asker in askers:
            asker.start()
        try:
            erase(running, who.user_id, "erase")
        finally:
            gone.set()
            for asker in askers:
                asker.join(60)
        wrong = [one for one in answers if one[1] not in (200, 202) and not (one[1] == 404 and who.user_id in one[0])]
        assert wrong == []
        assert {status for path, status, _ in answers if path == "recommend"} == {200}
        assert running.http.get(f"{V1}/user/{who.user_id}").status_code == 404
        assert traces(running, who) == []


def test_a_training_that_reads_does_not_keep_bytes_alive(tmp_path: Path) -> None:
    """A reader that began before holds an old state for a while: the erasure waits for it, then sweeps."""
    with serving(tmp_path) as running:
        who = fill(running)
        with running.shop.db.read() as connection:
            connection.exec_driver_sql("SELECT count(*) FROM events").scalar()
            threading.Timer(3.0, connection.close).start()
            erase(running, who.user_id, "anonymise")
        assert traces(running, who) == []


def test_a_shop_that_cannot_sweep_yet_opens_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shopkeeper.stores.sweep._TRIES", 1)
    with serving(tmp_path) as running:
        fill(running)
        running.shop.meta.set("erase.unswept", "1").result()
        with closing(sqlite3.connect(tmp_path / "shop.db", isolation_level=None)) as reader:
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM events").fetchone()
            running.shop.meta.set("newer", "1").result()
            running.shop.erasure.recover()
        assert running.shop.meta.get("erase.unswept") == "1"
    with serving(tmp_path) as again:
        assert not again.shop.meta.get("erase.unswept")


def test_the_same_erasure_twice_at_once_is_one(tmp_path: Path) -> None:
    with serving(tmp_path) as running:
        who = fill(running)
        first = done(running.http.post(f"{V1}/users/{who.user_id}/erase", json={"confirm": who.user_id}), 202)
        second = running.http.post(f"{V1}/users/{who.user_id}/erase", json={"confirm": who.user_id})
        assert (second.status_code, second.json()["code"]) == (409, "busy")
        assert second.json()["job_id"] == first.json()["job_id"]
        assert running.shop.jobs.wait(first.json()["job_id"], 120).status == "done"
        assert traces(running, who) == []
