"""A worker of a service, to be killed: `-m tunekit.testing.service_worker KIND URL JOURNAL`.

KIND is "full" (proposes here) or "thin" (asks the service). The journal exists once the study is
open, and gets a line for each result that the service has acknowledged. Two more arguments are
the seconds of a lease, and seconds that are added to the clock of this process.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

STUDY, N_TRIALS = "digits", 40


def loss(params: Mapping[str, Any], report: Callable[[int, float], object]) -> float:
    """Take long enough that a kill meets running trials, short enough for many rounds."""
    for step in range(3):
        time.sleep(0.01)
        report(step, params["x"] + step)
    return float(params["x"]) ** 2


def full(url: str, path: str, lease_s: float) -> None:
    """Work as `Study.optimize` does."""
    import tunekit as tk

    study = tk.load_study(STUDY, storage=url)
    journal = _opened(path)
    study.optimize(
        lambda trial: loss(trial.params, lambda step, value: trial.report(value, step)),
        total_trials=N_TRIALS,
        callbacks=lambda _, trial: _note(journal, trial.number, trial.metrics["value"]),
        progress=False,
        lease_s=lease_s,
    )


def thin(url: str, path: str, lease_s: float) -> None:
    """Work as a worker that asks the service for trials."""
    import tunekit.client
    from tunekit.errors import LeaseLost, TrialConflict

    with tunekit.client.connect(url, lease_s=lease_s) as client:
        study = client.study(STUDY)
        journal = _opened(path)
        while not study.is_over:
            trial = study.ask(wait_s=1.0)
            if trial is None:
                continue
            try:
                value = loss(trial.params, trial.report)
                if trial.tell(value):
                    _note(journal, trial.number, value)
            except (LeaseLost, TrialConflict):
                continue  # another worker has it
        while client.flush():  # what was told while the service was away
            time.sleep(0.05)


def _opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def _note(journal: int, number: int, value: float) -> None:
    """Write a line that survives the end of this process."""
    os.write(journal, f"{number} {value!r}\n".encode())
    os.fsync(journal)


def _set_clock(off_s: float) -> None:
    real = time.time
    time.time = lambda: real() + off_s


if __name__ == "__main__":
    kind, url, path, lease, off_s = sys.argv[1:]
    if float(off_s):
        _set_clock(float(off_s))
    {"full": full, "thin": thin}[kind](url, path, float(lease))
