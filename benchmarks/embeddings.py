"""A wide embedding table: one memory-mapped array, or shards in processes of their own? What a look-up costs."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks import record

_ROWS, _WIDTH = 2_000_000, 64
_SHARDS = 2
_ASKED = (1, 20, 200)
_TIMES = 2000


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="shopkeeper-bench-") as folder:
        path = Path(folder) / "vectors.npy"
        _write(path)
        rows = [*_mapped(path), *_sharded(path)]
        shared = _memory_of_two(path)
    size = _ROWS * _WIDTH * 4 / 2**20
    record.write(
        "embeddings",
        "Embeddings: one array or shards",
        f"{_ROWS:,} vectors of {_WIDTH} float32 ({size:,.0f} MiB), uniform random rows, seed 42; median and 99th "
        f"percentile of {_TIMES:,} look-ups after a first pass over the file. Mapped: a read-only `numpy` memory map "
        f"in the serving process. Sharded: {_SHARDS} processes, each with its part in memory, asked over pipes with "
        "raw bytes (no pickle), all shards at once. Memory: the proportional share (PSS) of two processes that both "
        "read the map.",
        [
            {"title": "Time of a look-up", "columns": ["how", "vectors", "P50 us", "P99 us"], "rows": rows},
            {
                "title": "Two serving processes over one map",
                "columns": ["what", "MiB"],
                "rows": [["the file", size], ["both processes together (PSS), without the interpreter", shared]],
            },
        ],
    )


def _write(path: Path) -> None:
    table = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(_ROWS, _WIDTH))
    draw = np.random.default_rng(42)
    for at in range(0, _ROWS, 200_000):
        table[at : at + 200_000] = draw.standard_normal((200_000, _WIDTH), dtype=np.float32)
    table.flush()


def _mapped(path: Path) -> list[list[Any]]:
    table = np.load(path, mmap_mode="r")
    table.sum()
    return [["mapped", asked, *_timed(lambda ids: table[ids], asked)] for asked in _ASKED]


def _sharded(path: Path) -> list[list[Any]]:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(_SHARDS)]
    workers = [
        context.Process(target=_shard, args=(str(path), number, pipe[1]), daemon=True)
        for number, pipe in enumerate(pipes)
    ]
    for worker in workers:
        worker.start()
    ends = [pipe[0] for pipe in pipes]
    for end in ends:
        end.recv_bytes()

    def look(ids: np.ndarray) -> np.ndarray:
        found = np.empty((len(ids), _WIDTH), dtype=np.float32)
        places = [np.flatnonzero(ids % _SHARDS == number) for number in range(_SHARDS)]
        for end, place in zip(ends, places, strict=True):
            end.send_bytes((ids[place] // _SHARDS).tobytes())
        for end, place in zip(ends, places, strict=True):
            found[place] = np.frombuffer(end.recv_bytes(), dtype=np.float32).reshape(-1, _WIDTH)
        return found

    rows = [[f"{_SHARDS} shards", asked, *_timed(look, asked)] for asked in _ASKED]
    for worker in workers:
        worker.terminate()
        worker.join()
    return rows


def _shard(path: str, number: int, end: Connection) -> None:
    part = np.array(np.load(path, mmap_mode="r")[number::_SHARDS])
    end.send_bytes(b"ready")
    while True:
        end.send_bytes(part[np.frombuffer(end.recv_bytes(), dtype=np.int64)].tobytes())


def _timed(look: Any, asked: int) -> tuple[float, float]:
    draw = np.random.default_rng(7)
    taken = []
    for _ in range(_TIMES):
        ids = draw.integers(0, _ROWS, asked)
        began = time.perf_counter()
        look(ids)
        taken.append((time.perf_counter() - began) * 1e6)
    return float(np.median(taken)), float(np.percentile(taken, 99))


def _memory_of_two(path: Path) -> float:
    context = multiprocessing.get_context("spawn")
    pipes = [context.Pipe() for _ in range(2)]
    workers = [context.Process(target=_reader, args=(str(path), pipe[1]), daemon=True) for pipe in pipes]
    for worker in workers:
        worker.start()
    before = [pipe[0].recv() for pipe in pipes]
    after = []
    for pipe in pipes:
        pipe[0].send(None)
    for pipe in pipes:
        pipe[0].recv()
    for worker in workers:
        after.append(psutil.Process(worker.pid).memory_full_info().pss)
    for worker in workers:
        worker.terminate()
        worker.join()
    return float(sum(after) - sum(before)) / 2**20


def _reader(path: str, end: Connection) -> None:
    table = np.load(path, mmap_mode="r")
    end.send(psutil.Process(os.getpid()).memory_full_info().pss)
    end.recv()
    table.sum()
    end.send(None)
    end.recv()


if __name__ == "__main__":
    main()
