"""The load generator against real servers on loopback: what it counts is what happened."""

import itertools
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest
from benchmarks.load import beside, measure, offered, summed
from benchmarks.load_engine import Plan, Taken, drive
from benchmarks.load_mix import FEEDBACK, MARK, RECOMMEND, Asker
from benchmarks.load_wires import Frames, Http, post, text_frame
from websockets.sync.server import ServerConnection, serve

OK = b'HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{"cache_hit":true }\n'
MISS = b'HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{"cache_hit":false}\n'
BUSY = b"HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nlate"
WRONG = b"HTTP/1.1 500 Internal Server Error\r\ncontent-length: 4\r\n\r\noops"


@contextmanager
def answering(answer: Callable[[int, socket.socket], bool]) -> Iterator[int]:
    """A server whose `answer` gets the number of the request (one body of two bytes each) and the connection; False
    closes it. Yields the port."""
    listener = socket.create_server(("127.0.0.1", 0))
    numbers, connections = itertools.count(), []

    def talk(connection: socket.socket) -> None:
        with connection:
            waiting = b""
            while data := connection.recv(65536):
                waiting += data
                while (end := waiting.find(b"\r\n\r\n{}")) >= 0:
                    waiting = waiting[end + 6 :]
                    if not answer(next(numbers), connection):
                        return

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            connections.append(threading.Thread(target=talk, args=(connection,), daemon=True))
            connections[-1].start()

    acceptor = threading.Thread(target=accept)
    acceptor.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        acceptor.join(10)
        for thread in connections:
            thread.join(10)


def plan(port: int, connections: int = 1, due: list[float] | None = None, **more) -> Plan:
    order = np.zeros(1, dtype=np.int32)
    moments = None if due is None else np.array(due)
    return Plan(port, [post("/", b"{}")], order, connections, 0.3, more.pop("wire", Http()), due=moments, **more)


def always(reply: bytes) -> Callable[[int, socket.socket], bool]:
    return lambda _, connection: connection.sendall(reply) is None


def test_a_latency_of_an_open_loop_counts_from_the_moment_the_request_was_due():
    def slow(_: int, connection: socket.socket) -> bool:
        time.sleep(0.01)
        connection.sendall(OK)
        return True

    with answering(slow) as port:
        taken = drive(plan(port, due=[0.0] * 20))
    assert len(taken.milliseconds) == 20
    assert (np.diff(taken.milliseconds) > 0).all()
    assert (taken.milliseconds >= 10 * np.arange(1, 21)).all()  # each waited for all before it
    assert taken.unanswered == 0


def test_a_closed_loop_asks_on_every_connection_and_counts_what_was_answered():
    with answering(always(OK)) as port:
        load = measure(port, [post("/", b"{}")], connections=3, seconds=0.2)
    assert load.errors == 0
    assert load.requests > 3
    assert load.per_second == pytest.approx(load.requests / 0.2)
    assert load.p50 <= load.p99 <= load.p999


def test_hits_and_misses_refusals_and_errors_are_told_apart():
    replies = (OK, OK, MISS, BUSY, WRONG)
    with answering(lambda at, to: to.sendall(replies[at % 5]) is None) as port:
        taken = drive(plan(port, due=[0.0] * 50, mark=MARK))
    assert taken.outcomes == {"ok": 30, "shed": 10, "error": 10}
    assert (taken.hits, taken.misses) == (20, 10)
    load = summed(plan(port), taken)
    assert (load.errors, load.shed, load.hit_rate) == (20, 10, pytest.approx(2 / 3))
    assert "503" in load.samples[0]


def test_an_answer_in_pieces_is_one_answer():
    def dribble(_: int, connection: socket.socket) -> bool:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(0, len(OK), 7):
            connection.sendall(OK[at : at + 7])
        return True

    with answering(dribble) as port:
        taken = drive(plan(port, connections=2, due=[0.0] * 30, mark=MARK))
    assert taken.outcomes == {"ok": 30}
    assert taken.hits == 30


def test_a_connection_that_the_server_closes_is_a_failure_and_another_takes_its_place():
    with answering(lambda at, to: at % 4 != 3 and to.sendall(OK) is None) as port:
        taken = drive(plan(port, due=[0.0] * 20))
    assert taken.outcomes == {"ok": 15, "lost": 5}
    assert summed(plan(port), taken).errors == 5


def test_who_never_answers_is_not_waited_for_forever(monkeypatch):
    monkeypatch.setattr("benchmarks.load_engine._PATIENCE_S", 0.3)
    with answering(lambda *_: True) as port:
        taken = drive(plan(port, connections=2, due=[0.0] * 5))
    assert taken.unanswered == 5
    assert summed(plan(port), taken).errors == 5


def test_what_was_asked_while_warming_up_is_not_counted():
    with answering(always(OK)) as port:
        taken = drive(plan(port, due=[0.0, 0.0, 0.11, 0.12], warm_s=0.1))
    assert len(taken.milliseconds) == 2


def test_a_load_beside_something_else_ends_with_it():
    asked = threading.Event()

    def answer(_: int, connection: socket.socket) -> bool:
        asked.set()
        connection.sendall(OK)
        return True

    with answering(answer) as port:
        whole = Plan(port, [post("/", b"{}")], np.zeros(1, dtype=np.int32), 4, 3600.0, Http(), due=offered(200, 3600.0))
        with beside(whole) as found:
            assert asked.wait(60)
    assert found[0].errors == 0
    assert 0 < found[0].requests < len(whole.due)


def test_arrivals_come_at_the_rate_and_not_in_step():
    moments = offered(1000.0, 20.0)
    gaps = np.diff(moments)
    assert len(moments) == 20_000
    assert (gaps > 0).all()
    assert 1 / gaps.mean() == pytest.approx(1000, rel=0.05)
    assert gaps.std() == pytest.approx(gaps.mean(), rel=0.05)


def test_websocket_clients_are_welcomed_and_answered_whatever_the_size():
    sizes = (10, 125, 126, 300, 65_535, 65_536, 70_000)
    welcomed = []

    def talk(connection: ServerConnection) -> None:
        welcomed.append(json.loads(connection.recv())["user_id"])
        connection.send('{"type":"connected"}')
        for at, message in enumerate(connection):
            if message == "wrong":
                connection.send('{"type":"error","message":"no"}')
            else:
                connection.send("x" * sizes[at % len(sizes)])

    with serve(talk, "127.0.0.1", 0, compression=None, max_size=None) as server:
        threading.Thread(target=server.serve_forever).start()
        port = server.socket.getsockname()[1]
        wire = Frames("/", [b'{"user_id":"a"}', b'{"user_id":"b"}'])
        payloads = [text_frame(b"ask"), text_frame(b"wrong"), text_frame(b"x" * 1000)]
        order = np.array([0, 1, 2, 0], dtype=np.int32)
        taken: Taken = drive(Plan(port, payloads, order, 2, 1.0, wire, due=np.zeros(40)))
        server.shutdown()
    assert sorted(welcomed) == ["a", "b"]
    assert taken.outcomes == {"ok": 30, "error": 10}


def test_a_server_without_the_websocket_is_told_at_once():
    with answering(always(WRONG)) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as connection:
        connection.sendall(b"\r\n\r\n{}")  # what this server answers to
        with pytest.raises(OSError, match="no WebSocket"):
            Frames("/", [b"{}"]).open(connection)


def asked(payload: bytes) -> tuple[str, str]:
    body = json.loads(payload.partition(b"\r\n\r\n")[2])
    return body["user_id"], json.dumps(body.get("context"))


def test_a_set_share_of_a_mix_was_never_asked_before():
    asker = Asker([f"u{n}" for n in range(50)], ["i"])
    warm = {asked(payload) for payload in asker.hits(10).payloads}
    seen = set(warm)
    for _ in range(2):
        mix = asker.at_rate(0.8, 1000, 10)
        questions = [asked(mix.payloads[at]) for at in mix.order]
        fresh = [question for question in questions if question not in warm]
        assert len(fresh) == len(set(fresh)) == 200
        assert not seen & set(fresh)
        seen |= set(fresh)


def test_a_mix_by_zipf_repeats_the_first_users_and_holds_feedback():
    mix = Asker([f"u{n}" for n in range(1000)], ["i1", "i2"]).zipf(20_000, feedback=0.05)
    kinds = mix.kinds[mix.order]
    assert (kinds == FEEDBACK).mean() == pytest.approx(0.05, abs=0.01)
    counts = np.bincount(mix.order[kinds == RECOMMEND])
    assert counts.max() / counts.sum() == pytest.approx(1 / np.log(1000 * np.exp(0.577)), abs=0.02)
    fed = [json.loads(mix.payloads[at].partition(b"\r\n\r\n")[2]) for at in mix.order[kinds == FEEDBACK]]
    assert {one["item_id"] for one in fed} == {"i1", "i2"}
    assert {one["feedback_type"] for one in fed} == {"view", "click", "like", "purchase"}
