"""WebSockets as uvicorn serves them, with what it leaves open: clients that never read, and the last words at the end.

A client that does not read is given up after some seconds: 1013, then the connection is cut. What waits for it is
bounded by the transport's buffer: nothing more is written while that is full. Messages are not compressed: a compressor
takes more memory than all else of an idle socket.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class SocketProtocol(WebSocketsSansIOProtocol):
    """`patience_s`: how long a client may leave the buffer full. `linger_s`: how long it may still take what is in it.
    `last_words_s`: how long the doors have to end a conversation by themselves when the server drains."""

    patience_s: ClassVar[float] = 5.0
    linger_s: ClassVar[float] = 2.0
    last_words_s: ClassVar[float] = 1.0
    _patience: asyncio.TimerHandle | None = None

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._patience is None:
            self._patience = self.loop.call_later(self.patience_s, self._give_up)

    def resume_writing(self) -> None:
        self._calm()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._calm()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        if self.close_sent or not self.handshake_complete:
            super().shutdown()
        else:
            self.loop.call_later(self.last_words_s, self._end)

    def _end(self) -> None:
        if not self.disconnected:
            super().shutdown()

    def _calm(self) -> None:
        if self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _give_up(self) -> None:
        self._patience = None
        if not self.close_sent and not self.transport.is_closing():
            self.stop_keepalive()
            self.conn.fail(1013, "this client does not read")
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.close_sent = True
            self.transport.write_eof()
            if self.read_paused:  # what the client still says is thrown away: unread, it would reset the last words
                self.read_paused = False
                self.transport.resume_reading()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": 1013})
        self.disconnected = True
        self.writable.set()  # whoever writes just now hears that nobody is there
        self.close_timer = self.loop.call_later(self.linger_s, self.transport.abort)  # else it is closed at once
