"""Messages over TCP between a driver and the workers it has on a Ray cluster.

A Ray call costs about a millisecond of CPU and a report waits for its decision, so neither
reports nor tasks go through Ray: each worker keeps one connection to its driver, as Ray's own
processes do among each other. Nothing is unpickled before the peer has shown the driver's
token, which only reaches the workers through Ray.
"""

from __future__ import annotations

import hmac
import pickle
import select
import socket
from typing import Any

SEND_S = 30.0
CONNECT_S = 30.0
TOKEN_BYTES = 32
_LENGTH_BYTES = 8
# A machine that lost its power says no goodbye: it is given up after about 35 s of silence.
_KEEPALIVE = {"TCP_KEEPIDLE": 15, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 4}


class MessageChannel:
    """One end of a connection that carries pickled messages in both directions.

    Args:
        connected: a connected TCP socket, which the line owns from now on.
        token: token that the peer must send first; `None` if we send it.
    """

    def __init__(self, connected: socket.socket, token: bytes | None = None) -> None:
        connected.setblocking(False)
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in _KEEPALIVE.items():
            if hasattr(socket, name):
                connected.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
        self._socket = connected
        self._token = token
        self._buffer = bytearray()

    @classmethod
    def connect(cls, address: tuple[str, int], token: bytes) -> MessageChannel:
        """Return a line to a driver that knows the token.

        Raises:
            OSError: the address does not answer.
        """
        line = cls(socket.create_connection(address, CONNECT_S))
        try:
            line._send_bytes(token)
        except OSError:
            line.close()
            raise
        return line

    def fileno(self) -> int:
        """Return the file descriptor, which is readable when messages have arrived."""
        return self._socket.fileno()

    def send(self, *message: Any) -> None:
        """Send a message.

        Raises:
            OSError: the peer is gone, or has not read for half a minute.
        """
        data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        self._send_bytes(len(data).to_bytes(_LENGTH_BYTES, "big") + data)

    def receive(self) -> tuple[list[tuple[Any, ...]], bool]:
        """Return the messages that have arrived and whether the peer is still there.

        It never waits. A peer with a wrong token is treated as gone.
        """
        is_there = self._fill()
        if self._token is not None:
            if len(self._buffer) < TOKEN_BYTES:
                return [], is_there
            if not hmac.compare_digest(bytes(self._buffer[:TOKEN_BYTES]), self._token):
                return [], False
            self._token = None
            del self._buffer[:TOKEN_BYTES]
        return self._unpacked(), is_there

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def _fill(self) -> bool:
        while True:
            try:
                chunk = self._socket.recv(1 << 16)
            except (BlockingIOError, InterruptedError):
                return True
            except OSError:
                return False
            self._buffer += chunk
            if len(chunk) < 1 << 16:  # an end of the stream is empty and comes again
                return bool(chunk)
            if self._token is not None and len(self._buffer) > TOKEN_BYTES:
                return True

    def _unpacked(self) -> list[tuple[Any, ...]]:
        messages = []
        at = 0
        while len(self._buffer) - at >= _LENGTH_BYTES:
            begin = at + _LENGTH_BYTES
            end = begin + int.from_bytes(self._buffer[at:begin], "big")
            if len(self._buffer) < end:
                break
            messages.append(pickle.loads(self._buffer[begin:end]))  # noqa: S301 - has the token
            at = end
        del self._buffer[:at]
        return messages

    def _send_bytes(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            try:
                view = view[self._socket.send(view) :]
            except BlockingIOError:
                if not select.select([], [self._socket], [], SEND_S)[1]:
                    raise TimeoutError(f"the peer has read nothing for {SEND_S:g} s") from None
