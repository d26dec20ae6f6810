"""A door that answers too late, and a server that answers nothing: what the page says of either, and that it does not
ask for ever."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from streamlit.testing.v1 import AppTest

SCRIPT = """
import streamlit as st
from shopkeeper.console import asking
from shopkeeper.console.connection import client, told

st.session_state["runs"] = st.session_state.get("runs", 0) + 1
asking.begin()
if st.session_state["runs"] < 9:
    with told():
        if st.button("Do it"):
            client().call("POST", "/door", dict)
        st.write(client().get("/door", dict)["said"])
    st.write("the rest")
"""


@dataclass
class Door:
    """`/door` does not answer to the methods in `late`. While the server `hangs` nothing is answered, until it was
    looked for so often."""

    late: set[str] = field(default_factory=set)
    hangs: int = 0
    asked: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    pytest.importorskip("streamlit")
    from shopkeeper.console import connection

    door = Door()

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            door.asked.append(f"{self.command} {self.path}")
            looks = self.path == "/readyz"
            hung = door.hangs > 0
            door.hangs -= hung and looks
            if hung or (not looks and self.command in door.late):
                door.over.wait(20)
                return
            body = b'{"ready": true, "reasons": []}' if looks else b'{"said": "it is here"}'
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Quiet."""

    for method in ("GET", "POST"):
        setattr(Handler, f"do_{method}", Handler.answer)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("SHOPKEEPER_URL", f"http://127.0.0.1:{server.server_port}")
    monkeypatch.setattr(connection, "_PATIENCE_S", 0.5)
    monkeypatch.setattr(connection, "_SHORT_S", 0.3)
    yield door
    door.over.set()
    server.shutdown()
    server.server_close()


def _page() -> AppTest:
    from streamlit.testing.v1 import AppTest

    return AppTest.from_string(SCRIPT, default_timeout=60).run()


def test_a_door_that_answers_too_late_is_told_in_words_and_asked_once(door: Door) -> None:
    door.late = {"GET"}
    page = _page()
    assert ["has not answered this" in one.value for one in page.error] == [True]
    assert [one.value for one in page.markdown] == ["the rest"]
    assert door.asked == ["GET /door", "GET /readyz"]


def test_what_was_to_be_done_and_took_too_long_is_not_passed_over(door: Door) -> None:
    door.late = {"POST"}
    page = _page()
    page.button[0].click().run()
    assert ["it may be done already" in one.value for one in page.error] == [True]
    assert door.asked.count("POST /door") == 1


def test_a_server_that_answers_nothing_is_waited_for(door: Door) -> None:
    door.hangs = 4
    page = _page()
    assert [one.value for one in page.markdown] == ["it is here", "the rest"]
    assert not page.error
    assert page.session_state["runs"] == 3  # noticed, held, and made anew
    assert "shop_away" not in page.session_state
