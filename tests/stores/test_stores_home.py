from __future__ import annotations

import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from shopkeeper.core.errors import Conflict
from shopkeeper.stores.home import Home

_HOLD = """
import sys
from shopkeeper.stores.home import Home
home = Home(sys.argv[1])
with home.lock():
    home.announce("http://127.0.0.1:9")
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_holder_at_a_time_and_the_second_is_told_who(tmp_path: Path) -> None:
    home = Home(tmp_path / "shop")
    with home.lock():
        home.announce("http://127.0.0.1:1234", console="http://127.0.0.1:5678")
        assert home.live_url() == "http://127.0.0.1:1234"
        told = f"process {os.getpid()} serving http://127.0.0.1:1234"
        with pytest.raises(Conflict, match=told), Home(home.path).lock():
            pass
        assert home.server() is not None
    assert home.live_url() is None
    with home.lock():
        assert home.live_url() is None


def test_a_killed_holder_leaves_the_home_free(tmp_path: Path) -> None:
    home = Home(tmp_path)
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert home.live_url() == "http://127.0.0.1:9"
    with pytest.raises(Conflict, match=str(holder.pid)), home.lock():
        pass
    holder.kill()
    holder.communicate()
    assert home.live_url() is None
    with home.lock():
        assert home.server() is not None


def test_the_folders_are_made_for_their_owner_only(tmp_path: Path) -> None:
    home = Home(tmp_path / "shop")
    assert not home.exists
    assert home.server() is None
    home.make()
    for folder in (home.path, home.artifacts, home.jobs, home.imports, home.logs):
        assert folder.stat().st_mode & 0o777 == 0o700
    assert home.sql_url == f"sqlite:///{home.path}/shop.db"


def test_whoever_only_looks_does_not_keep_a_server_from_starting(tmp_path: Path) -> None:
    home = Home(tmp_path)
    going = threading.Event()

    def look() -> None:
        while not going.is_set():
            home.live_url()

    with home.lock():
        pass
    with ThreadPoolExecutor(1) as pool:
        looker = pool.submit(look)
        try:
            for _ in range(50):
                with home.lock():
                    assert home.server() is not None
        finally:
            going.set()
        looker.result(30)
