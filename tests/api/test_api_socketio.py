"""Trainings over Socket.IO, by the library's own client; without the extra the path is not there."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

import httpx
import pytest
from api_server import KEY, Running, serving
from stock_orders import opened

socketio = pytest.importorskip("socketio")
pytest.importorskip("aiohttp")  # of the client


class Heard:
    """A client that keeps what it hears."""

    def __init__(self) -> None:
        self.client = socketio.AsyncClient(reconnection=False)
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.done = asyncio.Event()
        self.gone = asyncio.Event()
        self.client.on("*", self._hear)
        self.client.on("disconnect", lambda *_: self.gone.set())

    def _hear(self, name: str, data: dict[str, Any]) -> None:
        self.events.append((name, data))
        if name == "training_done":
            self.done.set()


def run(work: Coroutine[Any, Any, Any]) -> Any:
    async def bounded() -> Any:
        async with asyncio.timeout(90):
            return await work

    return asyncio.run(bounded())


@pytest.mark.parametrize("transport", ["websocket", "polling"])
def test_a_client_hears_a_training_to_its_end(stock: Running, transport: str) -> None:
    form = {"training_mode": "product", "product_id": "mug", "model_type": "seasonal_naive"}

    async def listen() -> Heard:
        heard = Heard()
        await heard.client.connect(stock.url, transports=[transport])
        job = (await asyncio.to_thread(stock.http.post, "/api/training", json=form)).json()["data"]["task_id"]
        told = await heard.client.call("join", {"task_id": job})
        assert (told["ok"], told["job"]["job_id"]) == (True, job)
        await heard.done.wait()
        first = heard.events[0][1]["seq"]
        heard.events.clear()
        heard.done.clear()
        assert (await heard.client.call("join", {"task_id": job, "after": first}))["ok"] is True
        await heard.done.wait()
        assert heard.events[0][1]["seq"] == first + 1
        await heard.client.eio.disconnect(abort=True)  # a client that polls would wait for its last answer
        return heard

    heard = run(listen())
    name, last = heard.events[-1]
    assert (name, last["type"], last["data"]["status"]) == ("training_done", "done", "done")
    assert {name for name, _ in heard.events} <= {f"training_{what}" for what in ("progress", "status", "log", "done")}


def test_what_cannot_be_joined_is_told(stock: Running) -> None:
    async def ask() -> list[dict[str, Any]]:
        heard = Heard()
        await heard.client.connect(stock.url)
        wrong = [{"task_id": "none"}, {"task": "x"}, "text", None, {"task_id": "none", "after": -1}]
        told = [await heard.client.call("join", one) for one in wrong]
        told.append(await heard.client.call("leave", {"task_id": "none"}))
        assert heard.client.connected
        await heard.client.disconnect()
        return told

    answers = run(ask())
    assert not any(one["ok"] for one in answers)
    assert [one.get("code") for one in answers[:-1]] == ["unknown_job"] + ["wrong_value"] * 4


def test_a_key_is_asked_for_as_everywhere(tmp_path: Path) -> None:
    async def knock(url: str) -> None:
        for auth in (None, {"api_key": "wrong"}, "text"):
            with pytest.raises(socketio.exceptions.ConnectionError):
                await Heard().client.connect(url, auth=auth, wait_timeout=5)
        for known in ({"auth": {"api_key": KEY}}, {"headers": {"X-API-Key": KEY}}):
            heard = Heard()
            await heard.client.connect(url, **known)
            assert (await heard.client.call("join", {"task_id": "none"}))["code"] == "unknown_job"
            await heard.client.disconnect()

    with serving(tmp_path / "home", api_key=KEY) as running:
        run(knock(running.url))


def test_a_server_that_stops_sends_its_clients_away(tmp_path: Path) -> None:
    async def stay(running: Running) -> None:
        clients = [Heard(), Heard()]
        await clients[0].client.connect(running.url, transports=["websocket"])
        await clients[1].client.connect(running.url, transports=["polling"])
        running.server.should_exit = True
        for one in clients:
            await one.gone.wait()

    with serving(tmp_path / "home", filled=False) as running:
        opened(running.shop)
        run(stay(running))


def test_too_many_clients_are_sent_away(stock: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    from shopkeeper.api.socketio import SocketIO

    monkeypatch.setattr(SocketIO, "_full", lambda _: True)
    answer = stock.http.get("/socket.io/", params={"EIO": 4, "transport": "polling"})
    assert (answer.status_code, answer.json()["code"]) == (429, "too_many_clients")


def test_without_the_extra_the_path_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import shopkeeper.api.socketio as ours

    monkeypatch.setattr(ours, "find_spec", lambda _: None)
    with serving(tmp_path / "home", filled=False) as running:
        asked = {"EIO": 4, "transport": "polling"}
        assert running.http.get("/socket.io/", params=asked).status_code == 404
        assert httpx.post(f"{running.url}/socket.io/", params=asked, content=b"40").status_code == 404
