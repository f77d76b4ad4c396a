"""Reads what pgbench writes: its log of transactions and its summary."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

_TPS = re.compile(r"^tps = ([0-9.]+) \((?:without|excluding)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Transactions:
    """What the log of a run says.

    Attributes:
        latencies_s: of the transactions that succeeded.
        failed: number of those that did not, after all retries.
    """

    latencies_s: list[float]
    failed: int


def read_log(folder: Path) -> Transactions:
    """Return the transactions in the log files of a folder, one file a thread.

    A line is: client, number, microseconds or why it failed, script, second, microsecond.
    """
    latencies: list[float] = []
    failed = 0
    for file in folder.glob("log.*"):
        for line in file.read_text(encoding="ascii", errors="replace").splitlines():
            fields = line.split()
            if len(fields) < 6:
                continue  # cut off with the run
            if fields[2].isdigit():
                latencies.append(int(fields[2]) * 1e-6)
            else:
                failed += fields[2] != "skipped"
    return Transactions(latencies, failed)


def transactions_per_second(summary: str) -> float | None:
    """Return the rate that pgbench found, connecting left out; `None` where it says none."""
    found = _TPS.search(summary)
    return float(found[1]) if found and float(found[1]) > 0 else None
