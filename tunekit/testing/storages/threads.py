"""Tests rules that need several concurrent threads."""

# ruff: noqa: D102 - the name of a test is its sentence

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialState
from tunekit.storages.base import Lease
from tunekit.testing.storages.access import Access, Rules, start, tell

THREADS = 8


def _together(work: Callable[[int], list[Lease]]) -> list[Lease]:
    """Run `work` in all threads at once; return the leases they got."""
    barrier = threading.Barrier(THREADS)

    def run(i: int) -> list[Lease]:
        barrier.wait()
        return work(i)

    with ThreadPoolExecutor(THREADS) as pool:
        return [lease for got in pool.map(run, range(THREADS)) for lease in got]


class ThreadRules(Rules):
    """Rules: two workers never get the same trial, and no reader misses a change."""

    def test_no_trial_goes_to_two_workers_and_max_trials_is_exact(self, access: Access) -> None:
        access.enqueue(*[{"x": 1}] * 10)

        def work(i: int) -> list[Lease]:
            got: list[Lease] = []
            while new := access.claim(1 + i % 3, max_trials=60, worker=f"w{i}"):
                got += new
            return got

        leases = _together(work)
        assert sorted(lease.number for lease in leases) == list(range(60))
        assert all(lease.epoch == 1 for lease in leases)
        assert len(access.trials()) == 60

    def test_a_lease_that_ran_out_goes_to_one_worker(self, access: Access) -> None:
        access.expire(*access.claim(5))
        leases = _together(lambda i: access.claim(max_trials=5))
        assert sorted(leases, key=lambda lease: lease.number) == [Lease(n, 2) for n in range(5)]

    def test_one_of_many_tells_counts(self, access: Access) -> None:
        lease = access.take()
        statuses: list[str] = []

        def work(i: int) -> list[Lease]:
            statuses.extend(access.send(tell(lease, float(i))).statuses)
            return []

        _together(work)
        assert sorted(statuses) == ["conflict"] * (THREADS - 1) + ["ok"]
        assert access.kinds(0).count("told") == 1

    def test_a_reader_beside_writers_misses_nothing(self, access: Access) -> None:
        history = History((ObjectiveSpec("loss"),))
        written = threading.Semaphore(0)
        done = threading.Event()

        def read() -> None:
            last = False
            while not last:
                written.acquire()
                last = done.is_set()  # the next read is after the last write
                changes = access.storage.changes(access.id, history.cursor)
                assert all(t.seq > history.cursor for t in changes.trials)
                history.update(changes.trials, changes.cursor)

        def write(i: int) -> list[Lease]:
            while leases := access.claim(max_trials=80, worker=f"w{i}"):
                access.send(start(leases[0]))
                written.release()
                access.send(tell(leases[0]))
            return []

        with ThreadPoolExecutor(1) as reader:
            reading = reader.submit(read)
            try:
                _together(write)
            finally:
                done.set()
                written.release()
            reading.result()
        assert {t.number: t for t in history} == access.trials()
        assert len(history.complete()) == 80
        assert [e.seq for e in access.storage.events(access.id)] == list(range(1, 241))
        assert all(t.state is TrialState.COMPLETE for t in history)
