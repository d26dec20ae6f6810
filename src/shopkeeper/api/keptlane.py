"""Kept slates, answered where their bytes come in: nothing is read that was said before word by word.

A client says the same head with every request; only the body and its length change. What a head means does not change
either: once the parser and the middleware have let one in, it need not be read again. So such heads are remembered, and
a request that is one of them with a body that the cache knows is answered at once, by the bytes that the long way would
have sent. Whatever else comes, and whatever comes while the server is not at ease, goes the long way.
"""

from __future__ import annotations

import time
from typing import Any, Final

from uvicorn._types import HTTPScope
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from shopkeeper.api.fastlane import RECOMMEND
from shopkeeper.api.middleware import Gatehouse, new_request_id
from shopkeeper.bootstrap import Shop

_LINE: Final = b"POST %s HTTP/1.1\r\n" % RECOMMEND.encode()
_END: Final = b"\r\n\r\n"
_HEADS: Final = 512
_HEAD: Final = 2048  # bytes; longer ones are not remembered
_OF_ONE_REQUEST: Final = frozenset({b"x-request-id", b"traceparent", b"transfer-encoding"})

Headers = list[tuple[bytes, bytes]]


class KeptLane:
    """What the connections of one server have in common. `heads`: the length of the body that each announces."""

    def __init__(self, shop: Shop, gate: Gatehouse) -> None:
        self.heads: dict[bytes, int] = {}
        self._shop = shop
        self._gate = gate
        self._more: Headers | None = None
        self._start = b""

    def answer(self, body: bytes, more: Headers) -> bytes | None:
        """The whole answer to a body behind a remembered head. `more`: the headers that the server adds to all.

        None: the long way has it, or tells what is wrong.
        """
        began = time.perf_counter()
        if not self._gate.at_ease:
            return None
        slate = self._shop.slates.again(body)
        if slate is None:
            return None
        if more is not self._more:  # another second has another date
            self._more = more
            self._start = b"HTTP/1.1 200 OK\r\n%bcontent-type: application/json\r\ncontent-length: " % b"".join(
                b"%b: %b\r\n" % header for header in more
            )
        answer = b"%b%d\r\nx-request-id: %b\r\n\r\n%b" % (self._start, len(slate), new_request_id().encode(), slate)
        self._gate.count(RECOMMEND, "POST", 200, time.perf_counter() - began)
        return answer

    def learn(self, head: bytes, scope: HTTPScope) -> None:
        """Remembers a head that the parser read as this scope, when all that follow it will be let in."""
        lengths = [value for name, value in scope["headers"] if name == b"content-length"]
        plain = _OF_ONE_REQUEST.isdisjoint(name for name, _ in scope["headers"])
        if plain and len(lengths) == 1 and int(lengths[0]) and self._gate.lets_in({**scope}, "p"):
            if len(self.heads) >= _HEADS:
                self.heads.clear()
            self.heads[head] = int(lengths[0])


class HttpProtocol(HttpToolsProtocol):
    """One connection."""

    def __init__(self, *args: Any, lane: KeptLane, **more: Any) -> None:
        super().__init__(*args, **more)
        self._lane = lane
        self._between = True  # the parser has read whole requests only
        self._begun = b""  # a remembered head whose body has not come
        self._heard = 0.0

    def data_received(self, data: bytes) -> None:
        if self._begun:
            data, self._begun = self._begun + data, b""
        if not data.startswith(_LINE) or not self._idle():
            super().data_received(data)
            return
        end = data.find(_END) + 4
        length = self._lane.heads.get(data[:end])
        if length is None:
            self._read(data, end)
        elif len(data) == end:
            self._begun = data  # many clients send the body by itself
        elif len(data) != end + length or not self._answered(data[end:]):
            super().data_received(data)

    def _idle(self) -> bool:
        """Nothing of a request or an answer is under way."""
        last: RequestResponseCycle | None = self.cycle
        done = last is None or last.response_complete
        return done and self._between and not self.pipeline and not self.flow.write_paused

    def _answered(self, body: bytes) -> bool:
        answer = self._lane.answer(body, self.server_state.default_headers)
        if answer is None:
            return False
        self.transport.write(answer)
        self.server_state.total_requests += 1
        self._heard = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(
                self.timeout_keep_alive, self.timeout_keep_alive_handler
            )
        return True

    def _read(self, data: bytes, end: int) -> None:
        """The long way, with a look at what the parser made of the head."""
        before = self.cycle
        super().data_received(data)
        cycle = self.cycle
        if cycle is before or not cycle.keep_alive or cycle.waiting_for_100_continue or not 4 <= end <= _HEAD:
            return
        if self.scope["http_version"] == "1.1":
            self._lane.learn(data[:end], self.scope)

    # -- what the connection does beside

    def on_message_begin(self) -> None:
        self._between = False
        super().on_message_begin()

    def on_message_complete(self) -> None:
        self._between = True
        super().on_message_complete()

    def timeout_keep_alive_handler(self) -> None:
        """Looked at once in a while, and not put off with every request."""
        self.timeout_keep_alive_task = None
        left = self._heard + self.timeout_keep_alive - self.loop.time()
        if self._begun:
            self._go_on()
        elif left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self.timeout_keep_alive_handler)
        else:
            super().timeout_keep_alive_handler()

    def shutdown(self) -> None:
        self._go_on()
        super().shutdown()

    def _go_on(self) -> None:
        """A request that has begun is the long way's from now on."""
        if self._begun:
            data, self._begun = self._begun, b""
            super().data_received(data)
