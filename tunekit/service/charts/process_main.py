"""The main function of the process that computes charts, one at a time."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from multiprocessing.connection import Connection

from tunekit.errors import TunekitError
from tunekit.service.charts.kept_studies import KeptStudies
from tunekit.service.charts.queries import ChartQuery, Refused
from tunekit.storages.urls import open_storage
from tunekit.threads import one_thread


def main(queries: Connection, url: str) -> None:
    """Answer queries until the other end closes; `url` is that of the storage."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the service ends this one
    threading.Thread(target=_end_with_parent, daemon=True).start()
    studies = KeptStudies(open_storage(url, must_exist=True))
    with one_thread():
        while True:
            try:
                query: ChartQuery = queries.recv()
            except (EOFError, OSError):
                return
            queries.send(_answer(studies, query))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _answer(studies: KeptStudies, query: ChartQuery) -> str | Refused:
    try:
        return studies.chart(query)
    except TunekitError as error:
        return Refused(error.code, error.message)
