"""The process that computes charts, as the service sees it."""

from __future__ import annotations

from functools import partial
from multiprocessing.connection import Connection

from tunekit.errors import ServiceBusy
from tunekit.service.charts import process_main
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.helper_process import HelperProcess, ProcessEnded, Refused, received
from tunekit.storages.http.connection import error_of

MAX_WAITING = 32
"""Queries that may wait; a further one is refused."""
DEADLINE_S = 600.0
"""Seconds for one chart, including the first reading of a long study; then it hangs."""


class ChartProcess(HelperProcess):
    """One process, which answers one query after the other.

    Args:
        url: of the storage, with its password.
    """

    def __init__(self, url: str) -> None:
        super().__init__(process_main.main, url, name="tunekit-charts")
        self._n_waiting = 0

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
            answer = await self.ask(partial(_answer_to, query))
        except ProcessEnded as ended:
            raise ServiceBusy(
                f"the chart was not computed ({ended}); try again, or ask for fewer points."
            ) from None
        finally:
            self._n_waiting -= 1
        if isinstance(answer, Refused):
            raise error_of(answer.code, answer.message)
        return answer


def _answer_to(query: ChartQuery, queries: Connection) -> str | Refused:
    queries.send(query)
    answer: str | Refused = received(queries, DEADLINE_S, "it was not ready")
    return answer
