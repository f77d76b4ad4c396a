"""A proxy between clients and replicas of a service that loses, doubles and delays requests."""

from __future__ import annotations

import asyncio
import random
import re
import threading
from asyncio import StreamReader, StreamWriter
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

MAX_HEAD = 64 * 2**10

_LOST = (OSError, EOFError, asyncio.LimitOverrunError)


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of the requests that something happens to.

    Attributes:
        dropped: are applied, and their connection is closed without an answer.
        doubled: are sent to the service twice; the second answer arrives.
        delayed: are held back for up to `delay_s` seconds before they are sent.
    """

    dropped: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    delay_s: float = 0.2


class FaultyProxy:
    """Passes each request of HTTP to the first of its services that accepts connections.

    Attributes:
        port: where it listens.
        counts: requests by what happened to them.
        faults: what happens to further requests.
    """

    def __init__(self, ports: Sequence[int], faults: Faults, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self.faults = faults
        self.port = 0
        self._ports = ports
        self._random = random.Random(seed)  # noqa: S311 - repeats the same faults
        self._open: set[asyncio.Task[None]] = set()

    async def serve(self, opened: threading.Event, closed: asyncio.Event) -> None:
        """Serve until `closed` is set."""
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=MAX_HEAD)
        self.port = server.sockets[0].getsockname()[1]
        opened.set()
        await closed.wait()
        server.close()
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accept(self, reader: StreamReader, writer: StreamWriter) -> None:
        task = asyncio.ensure_future(self._connection(reader, writer))
        self._open.add(task)
        task.add_done_callback(self._open.discard)

    async def _connection(self, reader: StreamReader, writer: StreamWriter) -> None:
        try:
            with closing(writer):
                while await self._one(await _message(reader), writer):
                    pass
        except _LOST:
            pass  # one of the two ends has gone, which the other one sees now

    async def _one(self, request: bytes, writer: StreamWriter) -> bool:
        """Pass one request; return whether the connection goes on."""
        faults, self.counts["requests"] = self.faults, self.counts["requests"] + 1
        if self._draw("delayed", faults.delayed):
            await asyncio.sleep(self._random.uniform(0.0, faults.delay_s))
        answer = await self._answer(request)
        if self._draw("doubled", faults.doubled):
            answer = await self._answer(request)
        if self._draw("dropped", faults.dropped):
            return False
        writer.write(answer)
        await writer.drain()
        return True

    def _draw(self, name: str, share: float) -> bool:
        happens = self._random.random() < share
        self.counts[name] += happens
        return happens

    async def _answer(self, request: bytes) -> bytes:
        reader, writer = await self._service()
        with closing(writer):
            writer.write(request)
            return await _message(reader)

    async def _service(self) -> tuple[StreamReader, StreamWriter]:
        ports = self._random.sample(self._ports, len(self._ports))
        for port in ports[:-1]:
            try:
                return await asyncio.open_connection("127.0.0.1", port, limit=MAX_HEAD)
            except OSError:
                continue
        return await asyncio.open_connection("127.0.0.1", ports[-1], limit=MAX_HEAD)


async def _message(reader: StreamReader) -> bytes:
    """Read one request or answer with its body, whose length is in the head."""
    head = await reader.readuntil(b"\r\n\r\n")
    length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
    return head + (await reader.readexactly(int(length[1])) if length else b"")


@contextmanager
def faulty_proxy(
    ports: Sequence[int], faults: Faults | None = None, *, seed: int = 0
) -> Iterator[FaultyProxy]:
    """Run a proxy on a thread.

    Args:
        ports: loopback ports of the replicas.
        faults: by default none.
        seed: of the draws.
    """
    proxy = FaultyProxy(ports, faults or Faults(), seed)
    opened, closed = threading.Event(), asyncio.Event()
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=[proxy.serve(opened, closed)])
    thread.start()
    try:
        opened.wait()
        yield proxy
    finally:
        loop.call_soon_threadsafe(closed.set)
        thread.join()
        loop.close()
