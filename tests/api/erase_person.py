"""One person in every store of a shop, with ids and values that occur nowhere else."""

from __future__ import annotations

import io
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

import msgspec
import polars as pl
from api_server import Running
from sqlalchemy import Connection, String, insert, select, type_coerce

from shopkeeper.core.clock import moment
from shopkeeper.core.records import Event
from shopkeeper.stores import schema
from shopkeeper.stores import withheld as withheld_table

V1 = "/api/v1"


def _odd(word: str) -> str:
    return f"{word}-{secrets.token_hex(8)}"


@dataclass
class Somebody:
    user_id: str = field(default_factory=lambda: _odd("person"))
    other_id: str = field(default_factory=lambda: _odd("formerly"))
    anonymous_id: str = field(default_factory=lambda: _odd("visitor"))
    seen_id: str = field(default_factory=lambda: _odd("device"))
    city: str = field(default_factory=lambda: _odd("city"))
    color: str = field(default_factory=lambda: _odd("color"))
    note: str = field(default_factory=lambda: _odd("note"))

    @property
    def needles(self) -> list[bytes]:
        return [value.encode() for value in vars(self).values()]


def fill(live: Running) -> Somebody:
    """Puts somebody into every store. Beside them goes a neighbour, `neighbour`, who has to stay as they are."""
    who = Somebody()
    http, shop = live.http, live.shop
    done(http.post(f"{V1}/bandit/initialize", json={"n_items": 4}))
    for stranger in (who.user_id, who.anonymous_id):  # before anybody knows them
        done(http.post(f"{V1}/personalization/recommend", json={"user_id": stranger, "scenario": "home"}))
        done(http.post(f"{V1}/bandit/recommend", json={"user_id": stranger}))
    done(http.post(f"{V1}/bandit/recommend", json={"user_id": "neighbour"}))
    events = [
        {
            "event_id": f"order-{who.user_id}-{n}", "event_type": "order", "user_id": who.user_id,
            "item_id": f"item-{n % 2}", "quantity": 2, "unit_price": 5, "context": {"note": who.note},
            "time": f"2026-03-{n + 1:02d}T10:00:00Z", "promotion": "spring" if n == 0 else None,
        }
        for n in range(20)
    ]  # fmt: skip
    events += [
        {"event_type": "view", "anonymous_id": who.anonymous_id, "item_id": "item-1"},
        {"event_type": "view", "user_id": who.user_id, "anonymous_id": who.seen_id, "item_id": "item-1"},
        {"event_type": "view", "anonymous_id": who.seen_id, "item_id": "item-2"},
        {"event_type": "view", "user_id": who.other_id, "item_id": "item-2"},
        {
            "event_type": "order", "user_id": "neighbour", "item_id": "item-1", "quantity": 1,
            "context": {"invited_by": who.user_id, "table": 5},
        },
        {"event_type": "follow", "user_id": "neighbour", "target_kind": "user", "target_id": who.user_id},
    ]  # fmt: skip
    done(http.post(f"{V1}/events", json=events), 202)
    done(http.put(f"{V1}/users/{who.user_id}", json={"attributes": {"city": who.city}}))
    done(http.put(f"{V1}/users/neighbour", json={"attributes": {"city": "Ulm", "friend": who.user_id}}))
    done(http.put(f"{V1}/users/{who.user_id}/consent", json={"marketing": False}))
    done(http.put(f"{V1}/users/neighbour/consent", json={"marketing": False}))
    preferences = {"user_id": who.user_id, "color": who.color}
    done(http.put(f"{V1}/personalization/preferences", json=preferences))
    profile = {"features": {"city": who.city, "tier": who.note}}
    done(http.put(f"{V1}/personalization/user/{who.user_id}/profile", json=profile))
    done(http.post(f"{V1}/identities", json={"anonymous_id": who.anonymous_id, "user_id": who.user_id}))
    merged = {"from_user_id": who.other_id, "into_user_id": who.user_id}
    done(http.post(f"{V1}/identities/merge", json=merged))
    shop.db.writer.run(lambda connection: _rows(connection, live, who))
    _files(live, who)
    done(http.post(f"{V1}/personalization/recommend", json={"user_id": who.other_id, "scenario": "home"}))
    _tried(live, who)
    exposures, drawn = shop.experimenting.trying.exposures, shop.suggesting.exploration.log
    until(lambda: not (shop.slatelog.waiting or exposures.waiting or drawn.waiting), 30)
    return who


def _tried(live: Running, who: Somebody) -> None:
    """Drawn slates and exposures of an experiment of theirs and of the neighbour's; lists of one that has not begun."""
    http = live.http
    plan = {"experiment_name": "two", "algorithms": {"ucb1": {}, "exp3": {}}}
    id = done(http.post(f"{V1}/bandit/experiments", json=plan)).json()["experiment_id"]
    for user_id in (who.user_id, "neighbour"):
        answer = done(http.post(f"{V1}/bandit/recommend", json={"user_id": user_id})).json()
        assert answer["experiments"], "known people take part"
        told = {"user_id": user_id, "metric": "smiles", "value": 1}
        done(http.post(f"{V1}/experiments/{id}/events", json=told))
    draft = {
        "name": "later", "target": {"scenario": "home"}, "variants": [{"name": "a"}, {"name": "b"}],
        "metric": "orders", "layer": "later", "allow": {who.user_id: "a", who.other_id: "b", "neighbour": "b"},
        "deny": [who.anonymous_id, who.seen_id],
    }  # fmt: skip
    done(http.post(f"{V1}/experiments", json=draft))


def _rows(connection: Connection, live: Running, who: Somebody) -> None:
    """What other parts of the shop keep of people: their tables, filled by hand."""
    row = live.shop.vocab.users.row(who.user_id)
    connection.execute(insert(schema.segment_spans).values(segment="recent", user_row=row, entered_at=1))
    sent = {"webhook_id": "w", "event": "entered", "status": "delivered", "attempts": 1, "created_at": 1}
    for at, about in enumerate((row, None)):
        payload = {"user_id": who.user_id}
        connection.execute(
            insert(schema.deliveries).values(
                **sent, delivery_id=f"{who.note[-16:]}{at}", user_row=about, payload=payload
            )
        )
    visit = {"number": 0, "made_at": 1, "noted_at": 1, "last_seq": 0, "scenario": "home", "scenario_version": 1}
    visit |= {"agent_id": "a", "key": "k", "state": [], "action": 0, "choice": 0, "propensity": 1.0, "shown": b""}
    for at, whose in enumerate(({"user_row": row}, {"user_id": who.user_id}, {"user_id": who.anonymous_id})):
        id = f"{who.note[-16:]}{at}"
        connection.execute(insert(schema.agent_visits).values(**visit, slate_id=id, visit_id=id, **whose))
    job = {"kind": "cleanup", "status": "done", "created_at": 1, "requested_by": "", "cancel_requested": False}
    job |= {"job_id": who.note[-16:], "attempt": 1, "progress": {"message": f"at {who.user_id}"}}
    told = {"params": {"users": [who.user_id]}, "result": {who.user_id: 1}, "error": f"user '{who.user_id}' is odd"}
    connection.execute(insert(schema.jobs).values(**job, **told, work_key=f"x:{who.user_id}"))
    data = {"message": f"reading {who.user_id}"}
    connection.execute(insert(schema.job_events).values(job_id=job["job_id"], seq=1, type="log", time=1, data=data))
    position = withheld_table.count(connection)
    coming = Event(
        event_type="order", user_id=who.user_id, item_id="item-1", quantity=3.0, event_id=f"coming-{who.user_id}",
        time=moment(2**50), context={"country": who.note},
    )  # fmt: skip

    values = {"position": position, "time": 2**50, "event": msgspec.to_builtins(coming)}
    connection.execute(insert(schema.withheld).values(**values))


def _files(live: Running, who: Somebody) -> None:
    home = live.shop.home
    folder = home.jobs / who.note[-16:]
    folder.mkdir()
    (folder / "log.txt").write_text(f"first line\nuser {who.user_id} was odd\nlast line\n")
    (folder / "left.bin").write_bytes(b"\0\1\2" + who.user_id.encode() + b"\0")
    with (home.logs / "server.log").open("a") as file:
        file.write(f'{{"path": "/api/v1/user/{who.user_id}", "status": 200}}\n' * 3)
    lines = ["user_id,item_id,quantity,unit_price,time"]
    for user in (who.user_id, "neighbour", who.other_id):
        lines += [f"{user},item-{n},1,4.5,2026-02-0{n + 1}T10:00:00Z" for n in range(3)]
    lines += [f"{who.user_id},item-1,much,4.5,2026-02-01T10:00:00Z"]
    upload(live, "orders.csv", "\n".join(lines).encode())
    frame = pl.DataFrame({"user_id": [who.user_id, "neighbour"], "city": [who.city, "Ulm"]})
    packed = io.BytesIO()
    frame.write_parquet(packed)
    upload(live, "users.parquet", packed.getvalue())


def upload(live: Running, name: str, content: bytes) -> str:
    made = live.http.post(f"{V1}/data/imports", files={"file": (name, content)})
    assert made.status_code < 300, made.text
    import_id: str = made.json()["import_id"]
    started = live.http.post(f"{V1}/data/imports/{import_id}/start", json={})
    assert started.status_code == 202, started.text
    assert live.shop.jobs.wait(started.json()["job_id"], 60).status == "done"
    return import_id


def erase(live: Running, user_id: str, mode: str) -> dict[str, Any]:
    """Asks for it and waits; the job's result."""
    asked = live.http.post(f"{V1}/users/{user_id}/erase", json={"confirm": user_id, "mode": mode})
    assert asked.status_code == 202, asked.text
    job = live.shop.jobs.wait(asked.json()["job_id"], 120)
    assert job.status == "done", job.error
    assert job.result is not None
    return job.result


def traces(live: Running, who: Somebody) -> list[str]:
    """Every place in a home's files and tables where anything of the person stands."""
    found = []
    for path in sorted(live.shop.home.path.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            found += [f"{path.name}: {needle.decode()}" for needle in who.needles if needle in data]
    with live.shop.db.read() as connection:
        for table in schema.metadata.sorted_tables:
            columns = [type_coerce(column, String) for column in table.columns]
            for row in connection.execute(select(*columns)):
                text = repr(tuple(row))
                found += [f"{table.name}: {text}" for needle in who.needles if needle.decode() in text]
    return found


def done(answer: Any, status: int | None = None) -> Any:
    assert answer.status_code == status or (status is None and answer.status_code < 300), answer.text
    return answer


def until(holds: Any, seconds: float = 20.0) -> None:
    """Waits for what follows on another thread."""
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
