"""`shopkeeper up --grpc-port`: the second port opens, is told, closes with the server, and is refused in words."""

from __future__ import annotations

import json
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from shopkeeper.api.grpc_messages import SERVICE

ARGUMENTS = ["up", "--shop", "empty", "--port", "0", "--no-console", "--no-train", "--json"]
UP = [sys.executable, "-m", "shopkeeper", *ARGUMENTS]


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_port_is_told_answers_and_closes(tmp_path: Path) -> None:
    port = free_port()
    command = [*UP, "--home", str(tmp_path / "home"), "--grpc-port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        assert select.select([process.stdout], [], [], 120)[0]
        told: dict[str, Any] = json.loads(process.stdout.readline())
        assert told["grpc"] == f"127.0.0.1:{port}"
        with grpc.insecure_channel(told["grpc"]) as channel:
            live = channel.unary_unary(f"/{SERVICE}/ServerLive")
            assert live(b"", timeout=20) == b"\x08\x01"  # field 1: true
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0
            with pytest.raises(grpc.RpcError):
                live(b"", timeout=5)
    finally:
        process.kill()
        process.wait(30)


def refused(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run([*command, "--home", str(home)], capture_output=True, text=True, timeout=120, check=False)
    assert not home.exists()  # nothing was opened for it
    return done


def test_a_port_that_is_taken_is_told_before_anything_is_opened(tmp_path: Path, taken: int) -> None:
    done = refused(tmp_path / "home", *UP, "--grpc-port", str(taken))
    assert done.returncode == 6
    assert "--grpc-port" in done.stderr


def test_one_port_for_two_servers_is_refused(tmp_path: Path) -> None:
    port = str(free_port())
    done = refused(tmp_path / "home", *UP, "--grpc-port", port, "--console-port", port)
    assert done.returncode == 6
    assert "twice" in done.stderr


def test_without_its_libraries_the_extra_is_named(tmp_path: Path) -> None:
    program = "import sys; sys.modules['grpc'] = None; from shopkeeper.cli.main import main; main(sys.argv[1:])"
    done = refused(tmp_path / "home", sys.executable, "-c", program, *ARGUMENTS, "--grpc-port", "50051")
    assert done.returncode == 7
    assert "shopkeeper[grpc]" in done.stderr
