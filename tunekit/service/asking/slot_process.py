"""The main function of a suggesting process: does jobs for studies, one at a time."""

from __future__ import annotations

import traceback
from collections import OrderedDict
from multiprocessing.connection import Connection

from tunekit import registry
from tunekit.errors import TunekitError, UnknownStudy
from tunekit.service.asking.jobs import (
    READY,
    Answer,
    Crashed,
    Decide,
    FindRoom,
    Job,
    Propose,
    StudyRef,
)
from tunekit.service.asking.kept_study import KeptStudy
from tunekit.service.helper_process import Refused, answer_all
from tunekit.storages.base import Storage
from tunekit.storages.urls import open_storage

MAX_STUDIES = 100
MAX_TRIALS = 100_000
"""Trials that a process keeps of several studies; one alone may have more."""


def main(jobs: Connection, url: str) -> None:
    """Do the jobs that arrive until the other end closes; `url` is that of the storage."""
    storage = open_storage(url, must_exist=True)
    registry.refuse_foreign_code()
    studies = KeptStudies(storage)
    answer_all(jobs, lambda job: _answer(studies, job, jobs))


def _answer(studies: KeptStudies, job: Job, jobs: Connection) -> Answer | Refused | Crashed:
    try:
        kept = studies.current(job.study)
        jobs.send(READY)
        return _done(kept, job)
    except TunekitError as error:
        if isinstance(error, UnknownStudy):
            studies.forget(job.study)
        return Refused(error.code, error.message)
    except Exception as error:  # a fault in a sampler costs its study only
        studies.forget(job.study)
        return Crashed(type(error).__name__, traceback.format_exc())


def _done(kept: KeptStudy, job: Job) -> Answer:
    if isinstance(job, FindRoom):
        return kept.find_room(job.want, job.most)
    if isinstance(job, Propose):
        return kept.propose(job.leases, job.fallback)
    if isinstance(job, Decide):
        return kept.decide(job.batches)
    return kept.keep_checkpoints(job.batch)


class KeptStudies:
    """The studies that a process has read, the least recently used ones only while they fit."""

    def __init__(self, storage: Storage, max_trials: int = MAX_TRIALS) -> None:
        self._storage = storage
        self._max_trials = max_trials
        self._kept: OrderedDict[int, KeptStudy] = OrderedDict()

    def __contains__(self, study_id: int) -> bool:
        return study_id in self._kept

    def current(self, study: StudyRef) -> KeptStudy:
        """Return a study as it is stored now.

        Raises:
            UnknownStudy: it was deleted.
            InvalidArgument: it needs code of users.
        """
        kept = self._kept.get(study.id)
        if kept is None:
            record = self._storage.record(study.id)
            kept = self._kept[study.id] = KeptStudy(self._storage, record)
        self._kept.move_to_end(study.id)
        kept.refresh()
        while len(self._kept) > 1 and self._is_full():
            self._kept.popitem(last=False)
        return kept

    def _is_full(self) -> bool:
        n_trials = sum(map(len, self._kept.values()))
        return len(self._kept) > MAX_STUDIES or n_trials > self._max_trials

    def forget(self, study: StudyRef) -> None:
        """Drop what is kept of a study."""
        self._kept.pop(study.id, None)
