"""Doors for vectors and recall over HTTP, beside a plain door with a constant vector; what a cache would save."""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import polars as pl
from cachetools import TTLCache

from benchmarks import record
from benchmarks.load import Load, measure, request
from benchmarks.processes import alive, ask, running, sample_shop, until
from benchmarks.suggest_quality import written
from benchmarks.tower_sets import LastWatch, last_watch
from shopkeeper import plugins
from shopkeeper.lifecycle.views import Seen, View, seen

_SECONDS = 3.0
_ROUNDS = 3
_CONNECTIONS = (1, 16)
_ASKED = 500
_HISTORY = 50
_SHORT: dict[str, list[str]] = {
    "two_tower": ["--epochs", "1", "--batch-size", "128", "--lr", "0.003"],
    "youtube_dnn": ["--epochs", "1", "--batch-size", "128", "--lr", "0.003"],
    "node2vec": ["--epochs", "1", "--num-walks", "2"],
    "dssm": ["--epochs", "1"],
}
"""What a vector takes does not depend on how long was learned."""


@dataclass(frozen=True)
class Door:
    """`bodies` of requests to `path`, which `model` answers in the `view` as rows of the same names."""

    name: str
    path: str
    model: str
    view: View
    bodies: list[dict[str, Any]]


def main() -> None:
    """`--dry`: only prints."""
    written("embeddings_http", "Vectors over HTTP", _PROTOCOL, _tables, [_NOTE])


def _tables() -> list[dict[str, Any]]:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder, sample_shop(Path(folder)) as url:
        task = last_watch(tuning=False)
        doors = _doors(task)
        _train(Path(folder), url, task)
        with _plain(Path(folder)) as plain:
            http = _over_http(int(url.rsplit(":", 1)[1]), plain, doors)
        return [*http, _inside(Path(folder) / "home", doors)]


_PROTOCOL = (
    "`shopkeeper up` as it starts by default, the load generator on the same two cores, loopback, keep-alive, each "
    f"connection asks again when it was answered; {_ASKED} different requests in turn, {_SECONDS:.0f} s a cell, "
    f"{_ROUNDS} rounds "
    "in which the doors take turns, median by throughput. Models of 64 numbers a vector: `two_tower`, `youtube_dnn` "
    "and `node2vec` of MovieLens-1M (6,040 users, 3,416 movies), `dssm` of WikiQA, each after one pass, for the time "
    "of an answer does not depend on how long was learned. The plain door is FastAPI with pydantic models and answers "
    "one constant vector of 64 numbers. **Inside**: the same rows through the same view in one process; and what a "
    "cache would do with the same requests where it always hits: the row as bytes, look-up in a dict with an age."
)
_NOTE = (
    "A cache may save at most the time inside, less its own; the difference is what an answer over HTTP could gain if "
    "every request came twice within its time."
)


def _doors(task: LastWatch) -> list[Door]:
    ids, films = task.data.orders.item_ids, task.data.items
    users = range(_ASKED)
    said = [task.traits(user) for user in users]
    taken = [[ids[item] for item in task.known[user][:_HISTORY][::-1]] for user in users]
    features = [{"user_features": {f"user_{name}": value for name, value in one.items()}} for one in said]
    histories = [{**one, "history_item_ids": items} for one, items in zip(features, taken, strict=True)]
    items = [
        {"item_features": {f"item_{name}": value for name, value in films[row].items()}} for row in list(films)[:_ASKED]
    ]
    asked = pl.read_parquet(record.SHARED_DATA / "wikiqa" / "WikiQA-test.parquet")["Question"].unique().sort()
    queries = [{"query_features": {"query": text}} for text in asked.to_list()[:_ASKED]]
    wanted = [{"user_id": f"u{user}", "top_k": 100} for user in users]
    return [
        Door("/user_embedding, features", "/user_embedding", "two_tower", "user", features),
        Door(
            f"/user_embedding, features and history of {_HISTORY}",
            "/user_embedding",
            "youtube_dnn",
            "user",
            histories,
        ),
        Door("/item_embedding, features", "/item_embedding", "two_tower", "item", items),
        Door("/query_embedding, text", "/query_embedding", "dssm", "query", queries),
        Door("/recall, 100 items", "/recall", "node2vec", "recall", wanted),
    ]


def _train(folder: Path, url: str, task: LastWatch) -> None:
    """In the running shop, by its command line."""
    home = str(folder / "home")
    lines, pairs = folder / "lines.csv", folder / "pairs.csv"
    _lines(task).write_csv(lines)
    wiki = pl.read_parquet(record.SHARED_DATA / "wikiqa" / "WikiQA-train.parquet")
    wiki.select(query="Question", doc="Sentence", label="Label").write_csv(pairs)
    shopkeeper = str(Path(sys.executable).with_name("shopkeeper"))
    for model, short in _SHORT.items():
        more = ["--set", "from_col=user_id", "--set", "to_col=item_id"] if model == "node2vec" else []
        data = ["--data", str(pairs if model == "dssm" else lines)]
        learn = [shopkeeper, "train", model, "--home", home, *data, *short, *more, "--no-promote"]
        subprocess.run(learn, check=True, stdout=subprocess.DEVNULL)
        ask(f"{url}/api/v1/models/{model}/promote", {"version": 1, "force": True})
        print(f"{model} serves", flush=True)


def _lines(task: LastWatch) -> pl.DataFrame:
    orders = task.data.orders
    users, items = orders.user.tolist(), orders.item.tolist()
    told: dict[str, list[Any]] = {
        "user_id": [f"u{user}" for user in users],
        "item_id": [orders.item_ids[item] for item in items],
    }
    for name in task.data.users[0]:
        told[f"user_{name}"] = [task.data.users[user][name] for user in users]
    for name in next(iter(task.data.items.values())):
        told[f"item_{name}"] = [task.data.items[item][name] for item in items]
    return pl.DataFrame(told)


@contextmanager
def _plain(folder: Path) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    script = Path(__file__).with_name("peers") / "vector_fastapi.py"
    with running([sys.executable, str(script)], {"PORT": str(port)}, folder) as process:
        until(process, lambda: alive(f"http://127.0.0.1:{port}/openapi.json"))
        yield port


def _over_http(port: int, plain: int, doors: list[Door]) -> list[dict[str, Any]]:
    constant = "plain FastAPI, constant vector"
    asked = [(door.name, port, [_request(door, body) for body in door.bodies]) for door in doors]
    asked.append((constant, plain, asked[0][2]))
    found: dict[tuple[str, int], list[Load]] = {}
    for turn in range(_ROUNDS):
        for connections in _CONNECTIONS:
            for name, where, requests in asked[turn % len(asked) :] + asked[: turn % len(asked)]:
                load = measure(where, requests, connections, _SECONDS)
                found.setdefault((name, connections), []).append(load)
                print(name, connections, round(load.per_second), round(load.p50, 3), round(load.p99, 3), flush=True)
    tables = []
    for connections in _CONNECTIONS:
        rows = []
        for name, _, _ in asked:
            load = sorted(found[(name, connections)], key=lambda one: one.per_second)[_ROUNDS // 2]
            rows.append([name, load.per_second, load.p50, load.p99, load.errors])
        title = f"{connections} connection{'s' if connections > 1 else ''}"
        tables.append({"title": title, "columns": ["door", "answers/s", "P50 ms", "P99 ms", "errors"], "rows": rows})
    return tables


def _request(door: Door, body: dict[str, Any]) -> bytes:
    return request(door.path, json.dumps(body).encode())


def _inside(home: Path, doors: list[Door]) -> dict[str, Any]:
    rows = []
    for door in doors:
        folder = next((home / "artifacts" / door.model).glob("all/v*"))
        asked = seen(plugins.algorithm(door.model).model.load(folder), door.view, door.model)
        kept: TTLCache[bytes, Any] = TTLCache(10 * len(door.bodies), 600)
        for body in door.bodies:
            kept[_key(door, body)] = asked.score_rows([body])[0]
        answered = _micros(door, partial(_answered, asked))
        looked_up = _micros(door, partial(_looked_up, kept, door))
        rows.append([door.name, door.model, answered, looked_up, (answered - looked_up) / 1000])
    columns = ["what", "model", "answered anew, us", "from a cache, us", "a cache could save, ms"]
    return {"title": "Inside: the model, and a cache in front of it", "columns": columns, "rows": rows}


def _answered(asked: Seen, body: dict[str, Any]) -> Any:
    return asked.score_rows([body])


def _looked_up(kept: TTLCache[bytes, Any], door: Door, body: dict[str, Any]) -> Any:
    return kept[_key(door, body)]


def _key(door: Door, body: dict[str, Any]) -> bytes:
    return hashlib.blake2b(f"{door.model}/1/{door.view}".encode() + msgspec.json.encode(body), digest_size=16).digest()


def _micros(door: Door, work: Callable[[dict[str, Any]], Any]) -> float:
    """Median of one row, of three rounds over all."""
    taken = list[float]()
    for _ in range(3):
        for body in door.bodies:
            began = time.perf_counter()
            work(body)
            taken.append(time.perf_counter() - began)
    return float(np.median(taken)) * 1e6


if __name__ == "__main__":
    main()
