"""The main function of the process that computes charts, one at a time."""

from __future__ import annotations

from functools import partial
from multiprocessing.connection import Connection

from tunekit.errors import TunekitError
from tunekit.service.charts.kept_studies import ChartStudies
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.helper_process import Refused, answer_all
from tunekit.storages.urls import open_storage


def main(queries: Connection, url: str) -> None:
    """Answer queries until the other end closes; `url` is that of the storage."""
    studies = ChartStudies(open_storage(url, must_exist=True))
    answer_all(queries, partial(_answer, studies))


def _answer(studies: ChartStudies, query: ChartQuery) -> str | Refused:
    try:
        return studies.chart(query)
    except TunekitError as error:
        return Refused(error.code, error.message)
