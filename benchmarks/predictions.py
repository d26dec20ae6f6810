"""`POST /predictions/xgb` beside other servers with the same trees: plain FastAPI, LitServe, MLServer.

The peers are installed into environments of their own, below the system's temporary folder, and kept there.
"""

from __future__ import annotations

import json
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import record
from benchmarks.load import Load, measure, request
from benchmarks.processes import alive, ask, ready, running, sample_shop, until

_SECONDS = 4.0
_ROUNDS = 3
_CELLS = ((1, 1), (1, 32), (256, 1), (256, 8))
_PEERS = Path(__file__).with_name("peers")
_XGBOOST = "xgboost-cpu==3.2.0"


@dataclass(frozen=True)
class Served:
    """A server under test: its name, its port, and how it wants its rows."""

    name: str
    port: int
    ask: Callable[[list[dict[str, float]]], bytes]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder, sample_shop(Path(folder)) as url:
        port = int(url.rsplit(":", 1)[1])
        names: list[str] = ask(f"{url}/api/v1/models/xgb/versions/champion")["feature_names"]
        model = _exported(Path(folder), names)
        with (
            _peer("plain FastAPI", model, "plain_fastapi", None, 18081) as fastapi,
            _peer("LitServe", model, "lit_serve", ["litserve==0.2.19", _XGBOOST, "numpy"], 18082) as lit,
            _mlserver(model, 18083) as ml,
        ):
            servers = [
                Served("Shopkeeper, /predictions", port, _rows),
                Served("Shopkeeper, /v2 infer", port, lambda rows: _tensor(rows, names, "FP64")),
                Served("plain FastAPI + pydantic", fastapi, _rows),
                Served("LitServe 0.2.19", lit, _rows),
                Served("MLServer 1.7.1, parallel_workers=0", ml, lambda rows: _tensor(rows, names, "FP32")),
            ]
            _check_equal(servers, names)
            measured = _measure(servers, names)
    record.write(
        "predictions",
        "Predictions beside other servers",
        "One XGBoost model (the seeded sample's, 7 features) behind each server, as each starts by default, except "
        "that MLServer's worker process is off: it does not start with current uvloop. Load generator on the same two "
        "cores, keep-alive connections, each asks again when it was answered. "
        f"{_SECONDS:.0f} s a cell, {_ROUNDS} rounds in which the servers take turns, median by throughput. All answers "
        "were compared first. Shopkeeper also checks keys and limits, gives request ids, counts and logs; the peers "
        "do not.",
        [
            {
                "title": f"{rows} row{'s' if rows > 1 else ''} a request, {connections} connection"
                f"{'s' if connections > 1 else ''}",
                "columns": ["server", "requests/s", "P50 ms", "P99 ms", "errors", "ratio to plain FastAPI"],
                "rows": _table(servers, measured, (rows, connections)),
            }
            for rows, connections in _CELLS
        ],
    )


def _measure(servers: list[Served], names: list[str]) -> dict[tuple[str, int, int], list[Load]]:
    draw = random.Random(42)
    payloads = {rows: [_draw(draw, names, rows) for _ in range(50)] for rows, _ in _CELLS}
    found: dict[tuple[str, int, int], list[Load]] = {}
    for turn in range(_ROUNDS):
        for rows, connections in _CELLS:
            for server in servers[turn % len(servers) :] + servers[: turn % len(servers)]:
                asked = [server.ask(payload) for payload in payloads[rows]]
                load = measure(server.port, asked, connections, _SECONDS)
                found.setdefault((server.name, rows, connections), []).append(load)
                print(server.name, rows, connections, round(load.per_second), round(load.p50, 3), flush=True)
    return found


def _table(
    servers: list[Served], measured: dict[tuple[str, int, int], list[Load]], cell: tuple[int, int]
) -> list[list[Any]]:
    def median(name: str) -> Load:
        return sorted(measured[(name, *cell)], key=lambda load: load.per_second)[_ROUNDS // 2]

    plain = median("plain FastAPI + pydantic").per_second
    return [
        [one.name, (load := median(one.name)).per_second, load.p50, load.p99, load.errors, load.per_second / plain]
        for one in servers
    ]


def _draw(draw: random.Random, names: list[str], rows: int) -> list[dict[str, float]]:
    return [{name: round(draw.uniform(0, 1), 4) for name in names} for _ in range(rows)]


def _rows(rows: list[dict[str, float]]) -> bytes:
    return request("/predictions/xgb", json.dumps({"data": rows}).encode())


def _tensor(rows: list[dict[str, float]], names: list[str], datatype: str) -> bytes:
    order = sorted(names) if datatype == "FP64" else names  # our door takes the features sorted by their names
    data = [row[name] for row in rows for name in order]
    body = {"inputs": [{"name": "input0", "shape": [len(rows), len(names)], "datatype": datatype, "data": data}]}
    return request("/v2/models/xgb/infer", json.dumps(body).encode())


def _check_equal(servers: list[Served], names: list[str]) -> None:
    """Every server gives the same scores for the same rows."""
    rows = _draw(random.Random(7), names, 20)
    told = {server.name: _answer(server, rows) for server in servers}
    first = told[servers[0].name]
    for name, values in told.items():
        worst = max(abs(a - b) for a, b in zip(first, values, strict=True))
        if worst > 1e-5:
            raise SystemExit(f"{name} answers differently, by up to {worst}")


def _answer(server: Served, rows: list[dict[str, float]]) -> list[float]:
    head, _, body = server.ask(rows).partition(b"\r\n\r\n")
    path = head.split()[1].decode()
    found = ask(f"http://127.0.0.1:{server.port}{path}", json.loads(body))
    values: list[float] = found["predictions"] if "predictions" in found else found["outputs"][0]["data"]
    return values


def _exported(folder: Path, names: list[str]) -> Path:
    """The model's trees and names, and the script that every peer loads them with."""
    made = folder / "model"
    made.mkdir()
    shutil.copy(next((folder / "home" / "artifacts" / "xgb").glob("all/v*/trees.ubj")), made / "trees.ubj")
    (made / "names.json").write_text(json.dumps(names))
    return made


@contextmanager
def _peer(name: str, model: Path, script: str, packages: list[str] | None, port: int) -> Iterator[int]:
    python = sys.executable if packages is None else str(_environment(script, packages) / "bin" / "python")
    environment = {"MODEL": str(model), "PORT": str(port)}
    with running([python, str(_PEERS / f"{script}.py")], environment, model) as process:
        until(process, lambda: alive(f"http://127.0.0.1:{port}/openapi.json"))
        print(f"{name} serves", flush=True)
        yield port


@contextmanager
def _mlserver(model: Path, port: int) -> Iterator[int]:
    home = _environment("ml_server", ["mlserver==1.7.1", "uvloop<0.22", _XGBOOST, "numpy"])
    served = model / "xgb"
    served.mkdir()
    for script in ("model.py", "ml_server.py"):
        shutil.copy(_PEERS / script, served / script)
    (served / "model-settings.json").write_text(json.dumps({"name": "xgb", "implementation": "ml_server.Trees"}))
    settings = {"http_port": port, "grpc_port": port + 100, "metrics_port": port + 200, "parallel_workers": 0}
    (model / "settings.json").write_text(json.dumps({**settings, "debug": False}))
    environment = {"MODEL": str(model), "PYTHONPATH": str(served)}
    with running([str(home / "bin" / "mlserver"), "start", str(model)], environment, model) as process:
        until(process, lambda: ready(f"http://127.0.0.1:{port}/v2/models/xgb/ready"))
        yield port


def _environment(name: str, packages: list[str]) -> Path:
    """A virtual environment with these packages, made once."""
    home = Path(tempfile.gettempdir()) / "shopkeeper-bench-peers" / name
    if not (home / "ready").exists():
        shutil.rmtree(home, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
        subprocess.run([str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", *packages], check=True)
        (home / "ready").touch()
    return home


if __name__ == "__main__":
    main()
