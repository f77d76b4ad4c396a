"""Watches the memory of a service while 64 clients ask, report and tell without a pause.

    python tests/benchmarks/service_soak.py --minutes 30

Prints the resident memory of the server and of its suggesting processes every minute. The studies
are several, and a client leaves a study after 500 trials for a new one, as a team does.
"""

from __future__ import annotations

import argparse
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

import tunekit as tk
import tunekit.client
from tunekit.storages.urls import open_storage

CLIENTS = 64
TRIALS = 500
"""Trials of a study, after which its clients begin another one."""


class Soak:
    """Runs clients against a service until told to stop.

    Args:
        url: of the service with a project.
        spool: folder of the clients.

    Attributes:
        n_told: trials that have ended; `told` is notified of each.
    """

    def __init__(self, url: str, spool: Path) -> None:
        self.url = url
        self.n_told = 0
        self.told = threading.Condition()
        self._spool = spool
        self._ended = threading.Event()
        self._storage = open_storage(url)
        self._threads = [
            threading.Thread(target=self._run, args=[n], name=f"client-{n}")
            for n in range(CLIENTS)
        ]

    def start(self) -> None:
        """Start the clients."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Let each client finish its trial, and end."""
        self._ended.set()
        for thread in self._threads:
            thread.join()
        self._storage.close()

    @property
    def is_alive(self) -> bool:
        """Return whether any client still works."""
        return any(thread.is_alive() for thread in self._threads)

    def _run(self, client_number: int) -> None:
        group, round_number = client_number % 4, 0
        while not self._ended.is_set():
            name = f"soak-{group}-{round_number}"
            tk.study(
                name, space={"x": tk.Float(0, 1)}, objectives="loss", sampler="random", seed=1,
                stopper="median", storage=self._storage,
            )  # fmt: skip
            with tunekit.client.connect(
                self.url, spool=self._spool / str(client_number)
            ) as client:
                self._work(client.study(name))
            round_number += 1

    def _work(self, study: tunekit.client.ServiceStudy) -> None:
        while not self._ended.is_set():
            trial = study.ask(wait_s=1.0)
            if trial is None:
                return
            try:
                for step in range(3):
                    trial.report(step, trial.params["x"] / (step + 1))
                trial.tell(trial.params["x"])
            except tk.TrialStopped:
                trial.tell(state="stopped")
            with self.told:
                self.n_told += 1
                self.told.notify_all()
            if trial.number >= TRIALS:
                return


def resident_mib(pid: int) -> tuple[float, float]:
    """Return the resident memory in MiB of a process, and of its children together.

    The children of the service are the processes that suggest. They keep the trials that they
    have read, up to a fixed number, so they grow until they have that many.
    """
    process = psutil.Process(pid)
    children = sum(p.memory_info().rss for p in process.children(recursive=True))
    return process.memory_info().rss / 2**20, children / 2**20


def watch(pid: int, soak: Soak, minutes: float) -> list[float]:
    """Return the memory of the server at ten or more times; print all of it."""
    seen = []
    until = time.monotonic() + 60 * minutes
    while time.monotonic() < until:
        time.sleep(min(60.0, 6 * minutes))
        server, children = resident_mib(pid)
        seen.append(server)
        print(f"{soak.n_told:7d} trials, {server:6.1f} MiB, children {children:6.1f} MiB")
    return seen


@contextmanager
def running_server(folder: Path) -> Iterator[tuple[str, int]]:
    """Serve a database in a folder; yield the URL and the process id."""
    log = folder / "serve.log"
    command = [sys.executable, "-m", "tunekit", "serve", "--no-accounts", "--port", "0"]
    with log.open("w") as file:
        server = subprocess.Popen([*command, "--storage", str(folder / "soak.db")], stderr=file)
    try:
        while not (found := re.search(r"tunekit serves (\S+) ", log.read_text())):
            assert server.poll() is None, log.read_text()
            time.sleep(0.05)
        yield found[1], server.pid
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait()


def main() -> None:
    """Serve, soak and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30.0)
    minutes = parser.parse_args().minutes
    with tempfile.TemporaryDirectory() as name, running_server(Path(name)) as (url, pid):
        soak = Soak(f"{url}/soak", Path(name) / "spool")
        soak.start()
        with soak.told:  # from then on all processes are there
            soak.told.wait_for(lambda: soak.n_told > 0, timeout=240)
        seen = watch(pid, soak, minutes)
        soak.stop()
    print(f"growth of the second half: {seen[-1] - seen[len(seen) // 2]:+.1f} MiB")


if __name__ == "__main__":
    main()
