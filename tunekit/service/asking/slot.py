"""The service's handle of one suggesting process."""

from __future__ import annotations

import logging
from functools import partial
from multiprocessing.connection import Connection

from tunekit.errors import TunekitError
from tunekit.service.asking import slot_process
from tunekit.service.asking.jobs import READY, Answer, Crashed, Job
from tunekit.service.helper_process import HelperProcess, Refused, received
from tunekit.storages.http.connection import error_of

READING_S = 300.0
"""Seconds for the start of a process and its reading of a study, before the deadline counts."""

log = logging.getLogger("tunekit.service")


class Slot(HelperProcess):
    """One suggesting process.

    Args:
        url: of the storage, with its password.
        deadline_s: seconds for a job, once its study is read.
    """

    def __init__(self, url: str, deadline_s: float) -> None:
        super().__init__(slot_process.main, url, name="tunekit-suggest")
        self._deadline_s = deadline_s

    async def do(self, job: Job, *, least_s: float = 0.0) -> Answer:
        """Return the answer to a job; jobs wait for each other.

        Args:
            job: what to do.
            least_s: seconds to give it although the deadline is shorter.

        Raises:
            ProcessLate: it missed its deadline.
            ProcessEnded: its process was killed or crashed.
            TunekitError: what the job raised.
        """
        timeout_s = max(self._deadline_s, least_s)
        answer = await self.ask(partial(_answer_to, job, timeout_s))
        if isinstance(answer, Refused):
            raise error_of(answer.code, answer.message)
        if isinstance(answer, Crashed):
            log.error("study %s: a suggestion failed\n%s", job.study.name, answer.traceback)
            raise TunekitError(
                f"the sampler or stopper of the study failed with a {answer.kind}; the log of the "
                "service has the details."
            )
        return answer


def _answer_to(job: Job, timeout_s: float, jobs: Connection) -> Answer | Refused | Crashed:
    jobs.send(job)
    answer = received(jobs, READING_S, "the sampler was not ready")
    if answer == READY:
        answer = received(jobs, timeout_s, "the sampler did not answer")
    checked: Answer | Refused | Crashed = answer
    return checked
