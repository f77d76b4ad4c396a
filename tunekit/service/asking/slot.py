"""The service's handle of one suggesting process: starts it, asks it, ends it when it hangs."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from typing import Any

from tunekit.errors import TunekitError
from tunekit.service.asking import slot_process
from tunekit.service.asking.jobs import READY, Answer, Crashed, Job, Refused
from tunekit.storages.http.connection import error_of

READING_S = 300.0
"""Seconds for the start of a process and its reading of a study, before the deadline counts."""

log = logging.getLogger("tunekit.service")


class SlotEnded(Exception):
    """A suggesting process ended before it answered; the text says why."""


class SlotLate(SlotEnded):
    """A suggesting process was ended because it missed its deadline."""


class Slot:
    """One suggesting process, started with its first job and again after its end.

    Args:
        url: of the storage, with its password.
        deadline_s: seconds for a job, once its study is read.
    """

    def __init__(self, url: str, deadline_s: float) -> None:
        self._url = url
        self._deadline_s = deadline_s
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="tunekit-slot")
        self._lock = threading.Lock()
        self._process: SpawnProcess | None = None
        self._jobs: Connection | None = None
        self._is_closed = False

    @property
    def pid(self) -> int | None:
        """Return the process id, `None` before the first job."""
        return None if self._process is None else self._process.pid

    async def do(self, job: Job, *, least_s: float = 0.0) -> Answer:
        """Return the answer to a job; jobs wait for each other.

        Args:
            job: what to do.
            least_s: seconds to give it although the deadline is shorter.

        Raises:
            SlotLate: it missed its deadline.
            SlotEnded: its process was killed or crashed.
            TunekitError: what the job raised.
        """
        if self._is_closed:
            raise SlotEnded("the service is shutting down")
        loop = asyncio.get_running_loop()
        answer = await loop.run_in_executor(self._thread, self._ask, job, least_s)
        if isinstance(answer, Refused):
            raise error_of(answer.code, answer.message)
        if isinstance(answer, Crashed):
            log.error("study %s: a suggestion failed\n%s", job.study.name, answer.traceback)
            raise TunekitError(
                f"the sampler or stopper of the study failed with a {answer.kind}; the log of the "
                "service has the details."
            )
        return answer

    def close(self) -> None:
        """End the process; a job at work ends with `SlotEnded`."""
        with self._lock:
            self._is_closed = True
            self._end()
        self._thread.shutdown()

    def _ask(self, job: Job, least_s: float) -> Answer | Refused | Crashed:
        try:
            jobs = self._started()
            jobs.send(job)
            answer = self._received(jobs, READING_S, "was not ready")
            if answer == READY:
                timeout_s = max(self._deadline_s, least_s)
                answer = self._received(jobs, timeout_s, "did not answer")
        except (EOFError, OSError):
            with self._lock:
                self._end()
            raise SlotEnded("the process of the sampler ended") from None
        checked: Answer | Refused | Crashed = answer
        return checked

    def _received(self, jobs: Connection, timeout_s: float, what: str) -> Any:
        if jobs.poll(timeout_s):
            return jobs.recv()
        with self._lock:
            self._end()
        raise SlotLate(f"the sampler {what} within {timeout_s:g} s")

    def _started(self) -> Connection:
        with self._lock:
            if self._is_closed:
                raise EOFError
            if self._jobs is None:
                context = multiprocessing.get_context("spawn")
                ours, theirs = context.Pipe()
                self._jobs = ours
                self._process = context.Process(
                    target=slot_process.main, args=(theirs, self._url), name="tunekit-suggest",
                    daemon=True,
                )  # fmt: skip
                self._process.start()
                theirs.close()
            return self._jobs

    def _end(self) -> None:
        """End the process; the lock is held."""
        process, jobs, self._process, self._jobs = self._process, self._jobs, None, None
        if process is not None:
            process.kill()
            process.join()
            process.close()
        if jobs is not None:
            jobs.close()
