"""Spreads the studies over a fixed number of suggesting processes."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

from tunekit.errors import ServiceBusy
from tunekit.records import CONTINUE, Checkpoint, Decision
from tunekit.service.asking.jobs import (
    Answer,
    Decide,
    FindRoom,
    Job,
    KeepCheckpoints,
    Propose,
    Proposed,
    Room,
)
from tunekit.service.asking.slot import Slot
from tunekit.service.helper_process import ProcessEnded, ProcessLate

FALLBACK_S = 30.0
"""Seconds for the Sobol points of a new process, which has to load its libraries first."""

log = logging.getLogger("tunekit.service")


@dataclass(frozen=True, slots=True)
class PoolSettings:
    """How suggestions are made.

    Attributes:
        slots: number of processes.
        deadline_s: seconds for one call of a sampler or stopper.
        queue: number of requests for trials that may wait at the same time.
    """

    slots: int = 2
    deadline_s: float = 10.0
    queue: int = 256


class SuggestionPool:
    """Suggesting processes, each with its own studies, so that each keeps what it has read.

    The stopper of a study works in another process than its sampler, if there are several: a
    report does not wait for a long suggestion. A proposal is a pure function of what is stored,
    so a process that ends loses nothing but time.

    Args:
        url: of the storage, with its password.
        settings: sizes and times.
    """

    def __init__(self, url: str, settings: PoolSettings) -> None:
        self.settings = settings
        self._slots = [Slot(url, settings.deadline_s) for _ in range(settings.slots)]

    @property
    def pids(self) -> list[int]:
        """Return the ids of the processes that run."""
        return [slot.pid for slot in self._slots if slot.pid is not None]

    async def find_room(self, job: FindRoom) -> Room:
        """Return how many trials may be claimed; without an answer, as many as are wanted.

        Raises:
            TunekitError: the study cannot be asked for trials.
        """
        try:
            answer = await self._do_again(job, lane=0)
        except ProcessEnded as ended:
            log.warning("study %s: %s", job.study.name, ended)
            return Room(is_fixed=False, most=job.most)
        assert isinstance(answer, Room)
        return answer

    async def propose(self, job: Propose) -> Proposed:
        """Return params for claimed trials; if the sampler hangs or dies, Sobol points.

        Raises:
            ServiceBusy: there is no process to ask.
            TunekitError: the study was deleted.
        """
        try:
            answer = await self._do_again(job, lane=0)
        except ProcessEnded as ended:
            why = f"a Sobol point, because {ended}"
            log.warning("study %s: %s", job.study.name, why)
            try:
                answer = await self._slot(job, 0).do(
                    replace(job, fallback=why), least_s=FALLBACK_S
                )
            except ProcessEnded as again:
                raise ServiceBusy(f"no params were proposed ({again}); ask again.") from None
        assert isinstance(answer, Proposed)
        return answer

    async def decide(self, job: Decide) -> list[Decision]:
        """Return the stopper's decisions; trials go on if it hangs or dies.

        Raises:
            TunekitError: the study was deleted, or its stopper cannot judge it.
        """
        try:
            answer = await self._do_again(job, lane=1)
        except ProcessEnded as ended:
            log.warning("study %s: no decision: %s", job.study.name, ended)
            return [CONTINUE] * len(job.batches)
        assert isinstance(answer, list)
        return answer

    async def keep_checkpoints(self, job: KeepCheckpoints) -> tuple[Checkpoint, ...]:
        """Return the checkpoints of a trial to keep.

        Raises:
            ServiceBusy: there is no process to ask.
            TunekitError: the study was deleted.
        """
        try:
            answer = await self._do_again(job, lane=1)
        except ProcessEnded as ended:
            raise ServiceBusy(f"the checkpoint was not noted ({ended}); send it again.") from None
        assert isinstance(answer, tuple)
        return answer

    def close(self) -> None:
        """End all processes."""
        for slot in self._slots:
            slot.close()

    async def _do_again(self, job: Job, *, lane: int) -> Answer:
        """Do a job, in a new process if that of the first try was killed."""
        slot = self._slot(job, lane)
        try:
            return await slot.do(job)
        except ProcessLate:
            raise
        except ProcessEnded:
            return await slot.do(job)

    def _slot(self, job: Job, lane: int) -> Slot:
        return self._slots[(job.study.id + lane) % len(self._slots)]
