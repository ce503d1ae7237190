"""Our WebSocket protocol for the web server: api/server.py names it.

It is the server's own, but for what a thousand long connections need: small buffers, so that who
takes nothing is noticed soon and costs little; a way to cut off who cannot be told goodbye any more
(ASGI has none); no compression, which would cost more than everything else; and 1001 at the end.
"""

from __future__ import annotations

import asyncio
import socket
from typing import Any, Final

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request

from api.live.connection import ABORT
from api.live.protocol import MAX_MESSAGE_BYTES, Close

# What one connection may hold unsent, in bytes: as much again in the kernel as here.
SEND_BUFFER: Final = 65_536
# Who takes nothing for so long, with its buffers full, is gone or might as well be.
STUCK_S: Final = 20.0
# How long whoever was told goodbye has to say it, too.
FAREWELL_S: Final = 5.0
PING_EVERY_S: Final = 20.0


class LiveProtocol(WebSocketsSansIOProtocol):
    """The server's protocol, bounded."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.available_extensions = []
        self.conn.max_message_size = MAX_MESSAGE_BYTES
        self.close_timeout = FAREWELL_S
        self.ping_interval = self.ping_timeout = PING_EVERY_S
        self._stuck: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Bound the buffers."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=SEND_BUFFER)
        if (raw := transport.get_extra_info("socket")) is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is left to cut off."""
        self._take_again()
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Lend the application a way to cut this connection off."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.handshake_complete:
            extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
            extensions[ABORT] = self.transport.abort

    def pause_writing(self) -> None:
        """The client takes nothing: it has a while to begin again."""
        super().pause_writing()
        self._stuck = self.loop.call_later(STUCK_S, self.transport.abort)

    def resume_writing(self) -> None:
        """It does again."""
        self._take_again()
        super().resume_writing()

    def keepalive_timeout(self) -> None:
        """Who answers no ping cannot be waited for to take what is left."""
        super().keepalive_timeout()
        self.loop.call_later(FAREWELL_S, self.transport.abort)

    async def send(self, message: Any) -> None:
        """As the server's; but who does not answer a goodbye is cut off, whatever is unsent."""
        await super().send(message)
        if self.close_timer is not None:
            self.close_timer.cancel()
            self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def shutdown(self) -> None:
        """Tell the client that the server goes away, before the server says something else."""
        if not self.handshake_complete or self.close_sent or self.transport.is_closing():
            super().shutdown()
            return
        self.stop_keepalive()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": Close.GOING_AWAY})
        self.conn.send_close(Close.GOING_AWAY, "GOING_AWAY")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.transport.close()
        self.loop.call_later(FAREWELL_S, self.transport.abort)

    def _take_again(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None
