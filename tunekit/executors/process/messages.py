"""The driver's end of the connection to a worker: it never waits for the other end.

A worker may be frozen in the middle of a message, or read nothing. So what has arrived is kept
until a message is whole, and what cannot be sent yet is kept until there is room. The frames are
those of `multiprocessing.connection.Connection`, which the worker uses.
"""

from __future__ import annotations

import os
import struct
from collections import deque

_CHUNK = 1 << 18
_LARGE = -1
"""Instead of a length: the length follows in eight bytes, because four are too few."""


class Messages:
    """One end of a connected stream socket, which it owns from now on.

    Args:
        descriptor: of the socket.
    """

    def __init__(self, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._descriptor = descriptor
        self._received = bytearray()
        self._unsent: deque[memoryview] = deque()

    def fileno(self) -> int:
        """Return the descriptor, readable when there is something to receive."""
        return self._descriptor

    @property
    def has_unsent(self) -> bool:
        """Return whether `flush` has something to do once there is room."""
        return bool(self._unsent)

    def send(self, message: bytes) -> None:
        """Send a message, as much of it as there is room for; `flush` sends the rest.

        Raises:
            OSError: the peer is gone.
        """
        size = len(message)
        is_large = size > 0x7FFFFFFF
        header = struct.pack("!iQ", _LARGE, size) if is_large else struct.pack("!i", size)
        self._unsent.append(memoryview(header + message))
        self.flush()

    def flush(self) -> None:
        """Send what could not be sent before, as much of it as there is room for.

        Raises:
            OSError: the peer is gone.
        """
        while self._unsent:
            try:
                n = os.write(self._descriptor, self._unsent[0][:_CHUNK])
            except BlockingIOError:
                return
            rest = self._unsent[0][n:]
            if rest:
                self._unsent[0] = rest
            else:
                self._unsent.popleft()

    def receive(self) -> tuple[list[bytes], bool]:
        """Return the messages that have arrived as a whole, and whether the peer is there."""
        is_there = True
        while True:
            try:
                chunk = os.read(self._descriptor, _CHUNK)
            except BlockingIOError:
                break
            except OSError:
                is_there = False
                break
            self._received += chunk
            if len(chunk) < _CHUNK:  # an end of the stream is empty, and comes again
                is_there = bool(chunk)
                break
        return self._whole(), is_there

    def _whole(self) -> list[bytes]:
        found, at = [], 0
        while len(self._received) - at >= 4:
            (size,) = struct.unpack_from("!i", self._received, at)
            begin = at + 4
            if size == _LARGE:
                if len(self._received) - begin < 8:
                    break
                (size,) = struct.unpack_from("!Q", self._received, begin)
                begin += 8
            if len(self._received) < begin + size:
                break
            found.append(bytes(self._received[begin : begin + size]))
            at = begin + size
        del self._received[:at]
        return found

    def close(self) -> None:
        """Close the connection."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
