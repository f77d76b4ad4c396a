"""The process that computes charts, as the service sees it.

Charts take CPU for up to seconds. On a thread they would share the interpreter with the requests
of workers, and take about half of it; in a process of their own they leave all of it to them.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess

from tunekit.errors import ServiceBusy, TunekitError
from tunekit.service.charts import process_main
from tunekit.service.charts.queries import ChartQuery, Refused
from tunekit.storages.http.connection import class_of

MAX_WAITING = 32
"""Queries that may wait; a further one is refused."""
DEADLINE_S = 600.0
"""Seconds for one chart, including the first reading of a long study; then it hangs."""


class ChartProcess:
    """One process, started with the first query and again after its end.

    Args:
        url: of the storage, with its password.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tunekit-charts")
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._queries: Connection | None = None
        self._is_closed = False
        self._n_waiting = 0

    @property
    def pid(self) -> int | None:
        """Return the id of the process, `None` before the first query."""
        return None if self._process is None else self._process.pid

    async def text(self, query: ChartQuery) -> str:
        """Return the JSON form of a chart.

        Raises:
            ServiceBusy: too many queries wait, this one took too long, or the process was killed.
            TunekitError: what the query raised.
        """
        if self._n_waiting >= MAX_WAITING:
            raise ServiceBusy("too many charts are waiting to be computed; try again soon.")
        self._n_waiting += 1
        try:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._thread, self._ask, query)
        finally:
            self._n_waiting -= 1
        if isinstance(answer, Refused):
            raise _error_of(answer)
        return answer

    def close(self) -> None:
        """End the process; a query at work is refused."""
        with self._lock:
            self._is_closed = True
            self._end()
        self._thread.shutdown()

    def _ask(self, query: ChartQuery) -> str | Refused:
        try:
            queries = self._started()
            queries.send(query)
            if queries.poll(DEADLINE_S):
                answer: str | Refused = queries.recv()
                return answer
            why = f"took more than {DEADLINE_S:g} s"
        except (EOFError, OSError):
            why = "was broken off, because its process ended"
        with self._lock:
            self._end()
        raise ServiceBusy(f"the chart {why}; try again, or ask for fewer points.")

    def _started(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise EOFError
            if self._queries is None:
                context = multiprocessing.get_context("spawn")
                ours, theirs = context.Pipe()
                process = context.Process(
                    target=process_main.main, args=(theirs, self._url), name="tunekit-charts",
                    daemon=True,
                )  # fmt: skip
                process.start()
                theirs.close()
                self._process, self._queries = process, ours
            return self._queries

    def _end(self) -> None:
        """End the process; the lock is held."""
        process, queries, self._process, self._queries = self._process, self._queries, None, None
        if process is not None:
            process.kill()
            process.join()
            process.close()
        if queries is not None:
            queries.close()


def _error_of(answer: Refused) -> TunekitError:
    cls = class_of(answer.code)
    error = cls.__new__(cls)
    TunekitError.__init__(error, answer.message)
    return error
