"""Starts workers of one study of a service, and checks its database when they have ended."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from pathlib import Path
from subprocess import Popen

import tunekit as tk
from tunekit.testing.killable import Processes, wait_for
from tunekit.testing.service_worker import N_TRIALS, STUDY
from tunekit.testing.told_results import StoredStudy

WORKER = "tunekit.testing.service_worker"


class ServiceWorkers:
    """Workers of a new study, each with a journal of its acknowledged results.

    Args:
        processes: start the workers.
        url: of the project.
        folder: of the journals and spools; must not exist.
        database: URL of the database behind the service.

    Attributes:
        stored: the study in the database.
    """

    def __init__(self, processes: Processes, url: str, folder: Path, database: str) -> None:
        self._processes, self._url, self._folder = processes, url, folder
        self._folder.mkdir()
        self._journals: list[Path] = []
        self._killed: list[Popen[bytes]] = []
        self.all: list[Popen[bytes]] = []
        study = tk.study(
            STUDY,
            space=tk.Space(x=tk.Float(-1, 1)),
            storage=url,
            sampler="random",
            seed=11,
            max_retries=1000,
            attrs={"max_trials": N_TRIALS},
        )
        with closing(study.storage):
            project = url.rpartition("/")[2] or "default"
        self.stored = StoredStudy(database, f"{project}/{STUDY}")

    def add(
        self,
        *kinds: str,
        lease_s: float = 3.0,
        off_s: float = 0.0,
        token: str | None = None,
    ) -> list[Popen[bytes]]:
        """Start workers; return when they have opened the study.

        Args:
            kinds: "full" or "thin".
            lease_s: seconds after which others take over what a worker holds.
            off_s: how far their clocks are off.
            token: by default that of the environment.
        """
        started = [self._start(kind, (lease_s, off_s), token) for kind in kinds]
        for process, journal in zip(started, self._journals[-len(kinds) :], strict=True):
            wait_for(partial(_has_begun, process, journal), "for a worker to open the study")
            assert journal.exists(), self._processes.log(process)
        return started

    def expect_end(self, process: Popen[bytes]) -> None:
        """Not ask of a worker that it succeeds, because it is killed or refused."""
        self._killed.append(process)

    def wait_for_results(self, n: int) -> None:
        """Wait until the study has `n` results."""
        wait_for(lambda: self.stored.n_told >= n, f"for {n} results")

    def finish(self, *, token: str | None = None) -> int:
        """Let new workers end the study, check it; return the number of acknowledged results."""
        self._processes.finish([w for w in self.all if w not in self._killed])
        # The thin one sends what is left in the spool.
        self._processes.finish(self.add("thin", "full", token=token))
        with closing(self.stored):
            return self.stored.check_finished(N_TRIALS, self._journals)

    def log(self, process: Popen[bytes]) -> str:
        """Return what a worker has written."""
        return self._processes.log(process)

    def _start(self, kind: str, times: tuple[float, float], token: str | None) -> Popen[bytes]:
        journal = self._folder / f"{len(self._journals)}.txt"
        self._journals.append(journal)
        environment = {"XDG_STATE_HOME": str(self._folder / "state")}
        if token is not None:
            environment["TUNEKIT_TOKEN"] = token
        process = self._processes.start(
            "-m", WORKER, kind, self._url, journal, *times, environment=environment
        )
        self.all.append(process)
        return process


def _has_begun(process: Popen[bytes], journal: Path) -> bool:
    return journal.exists() or process.poll() is not None
