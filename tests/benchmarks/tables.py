"""The tables of the benchmark: each runs its cells and prints ratios beside their targets."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from measure import CELLS, command_cpu_s, run_cell

LIBRARIES = ("tunekit", "optuna")


@dataclass(frozen=True)
class Database:
    """Where a table is measured: its name, the URL of each library's own part, its server."""

    name: str
    urls: dict[str, str]
    postmaster: int | None = None


@dataclass(frozen=True)
class Sizes:
    """How much is run."""

    trials: tuple[int, ...]
    report_trials: int
    reports: int
    workers: int
    worker_trials: int
    repeats: int


FULL = Sizes((1_000, 10_000), 20, 100, 8, 50, 7)
QUICK = Sizes((60, 120), 2, 20, 2, 10, 1)


def row(cells: Iterable[object]) -> str:
    """Return one line of a Markdown table."""
    return "| " + " | ".join(str(c) for c in cells) + " |"


def table(title: str, head: list[str], rows: Iterable[list[object]]) -> None:
    """Print a Markdown table, row by row as they are measured."""
    print(f"\n### {title}\n")
    print(row(head))
    print(row(["---"] * len(head)), flush=True)
    for cells in rows:
        print(row(cells), flush=True)


def ratio(theirs: float, ours: float) -> str:
    """Return how many times more the peer needs."""
    return f"{theirs / ours:.1f}x" if ours > 0 else "-"


def throughput(databases: list[Database], sizes: Sizes) -> dict[tuple[str, str, int], Any]:
    """Print the cost of a trial; return all cells by database, library and size."""
    measured: dict[tuple[str, str, int], Any] = {}
    targets = {"SQLite": ">= 30x", "PostgreSQL": ">= 15x"}

    def rows() -> Iterable[list[object]]:
        for database in databases:
            for n in sizes.trials:
                for library in LIBRARIES:
                    measured[database.name, library, n] = run_cell(
                        "trials",
                        library,
                        database.urls[library],
                        n=n,
                        study=f"trials-{n}",
                        postmaster=database.postmaster,
                    )
                ours, theirs = (measured[database.name, x, n] for x in LIBRARIES)
                yield [
                    database.name,
                    n,
                    f"{ours['client_ms']:.2f} + {ours['server_ms']:.2f}",
                    f"{theirs['client_ms']:.2f} + {theirs['server_ms']:.2f}",
                    f"**{ratio(theirs['cpu_ms'], ours['cpu_ms'])}**",
                    targets[database.name],
                    f"{ours['per_s']:.0f}",
                    f"{theirs['per_s']:.0f}",
                ]

    table(
        "Processor time of a trial (no-op objective, 10 floats, random sampler, one process)",
        [
            "database",
            "trials",
            "tunekit ms (client + server)",
            "Optuna ms (client + server)",
            "Optuna / tunekit",
            "target",
            "tunekit trials/s",
            "Optuna trials/s",
        ],
        rows(),
    )
    return measured


def growth(measured: dict[tuple[str, str, int], Any], n: int) -> None:
    """Print what the last trials cost against the first, and the memory that stays."""
    table(
        f"First against last trials of {n}",
        ["database", "library", "first ms", "last ms", "last / first", "target (tunekit)"],
        (
            [
                database,
                library,
                f"{m['first_ms']:.2f}",
                f"{m['last_ms']:.2f}",
                f"**{m['last_ms'] / max(m['first_ms'], 1e-9):.2f}**",
                "<= 1.20",
            ]
            for (database, library, size), m in measured.items()
            if size == n
        ),
    )
    names = dict.fromkeys(database for database, _, _ in measured)
    table(
        f"Resident memory of the process after {n} trials: all of it, and what the trials added",
        [
            "database",
            "tunekit MiB (all, added)",
            "Optuna MiB (all, added)",
            "tunekit / Optuna (all, added)",
            "target",
        ],
        (
            [
                name,
                "{rss_mib:.1f}, {grown_mib:.1f}".format(**measured[name, "tunekit", n]),
                "{rss_mib:.1f}, {grown_mib:.1f}".format(**measured[name, "optuna", n]),
                ", ".join(
                    "**{:.2f}**".format(
                        measured[name, "tunekit", n][key]
                        / max(measured[name, "optuna", n][key], 1e-9)
                    )
                    for key in ("rss_mib", "grown_mib")
                ),
                "<= 0.50",
            ]
            for name in names
        ),
    )


def opening(databases: list[Database], sizes: Sizes) -> None:
    """Print the cost of opening the largest study of the first table and reading its trials."""
    n = sizes.trials[-1]

    def rows() -> Iterable[list[object]]:
        for database in databases:
            cells = [
                min(
                    (
                        run_cell("opening", x, database.urls[x], study=f"trials-{n}")
                        for _ in range(2)
                    ),
                    key=lambda cell: cell["cpu_s"],
                )
                for x in LIBRARIES
            ]
            assert all(cell["trials"] == n for cell in cells), cells
            ours, theirs = (cell["cpu_s"] for cell in cells)
            speedup = f"**{ratio(theirs, ours)}**"
            yield [database.name, f"{ours:.2f}", f"{theirs:.2f}", speedup, ">= 10x"]

    table(
        f"Opening a study of {n} trials, reading all and the best (client's CPU, no imports)",
        ["database", "tunekit s", "Optuna s", "Optuna / tunekit", "target"],
        rows(),
    )


def reports(databases: list[Database], sizes: Sizes) -> None:
    """Print the cost of a report, against Optuna without a pruning rule and as it comes."""

    def rows() -> Iterable[list[object]]:
        for database in databases:

            def cell(library: str, **options: object) -> dict[str, float]:
                return run_cell(
                    "reports",
                    library,
                    database.urls[library],  # noqa: B023 - called before the next database
                    n=sizes.report_trials,
                    reports=sizes.reports,
                    postmaster=database.postmaster,  # noqa: B023
                    **options,
                )

            ours = cell("tunekit", study="reports")
            for pruner in ("NopPruner", "MedianPruner"):
                theirs = cell("optuna", study=f"reports-{pruner}", pruner=pruner)
                yield [
                    database.name,
                    pruner,
                    f"{ours['cpu_ms']:.3f}",
                    f"{theirs['cpu_ms']:.3f}",
                    f"**{ratio(theirs['cpu_ms'], ours['cpu_ms'])}**",
                    ">= 15x",
                    f"{ours['per_s']:.0f}",
                    f"{theirs['per_s']:.0f}",
                ]

    table(
        f"Processor time of a report ({sizes.reports} a trial; Optuna: report + should_prune)",
        [
            "database",
            "Optuna's pruner",
            "tunekit ms",
            "Optuna ms",
            "Optuna / tunekit",
            "target",
            "tunekit reports/s",
            "Optuna reports/s",
        ],
        rows(),
    )


def shared_per_s(library: str, database: Database, sizes: Sizes, n: int) -> float:
    """Return the trials per second of several processes on one study, start-up excluded."""
    url = database.urls[library]
    request = {"library": library, "url": url, "study": "shared", "n": n}
    run_cell("create", library, url, study="shared")
    command = [sys.executable, str(CELLS), json.dumps({**request, "scenario": "worker"})]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    workers = [subprocess.Popen(command, **pipes) for _ in range(sizes.workers)]  # type: ignore[call-overload]
    for worker in workers:
        assert worker.stdout.readline() == "ready\n"
    begin = time.perf_counter()
    for worker in workers:
        worker.stdin.write("go\n")
        worker.stdin.flush()
    for worker in workers:
        worker.communicate()
        assert worker.returncode == 0
    return sizes.workers * n / (time.perf_counter() - begin)


def shared(databases: list[Database], sizes: Sizes) -> None:
    """Print the trials per second of several processes on one PostgreSQL study."""

    def rows() -> Iterable[list[object]]:
        for database in databases:
            # The faster one runs ten times as much, so that both are measured over seconds.
            ours = shared_per_s("tunekit", database, sizes, sizes.worker_trials * 10)
            theirs = shared_per_s("optuna", database, sizes, sizes.worker_trials)
            speedup = f"**{ours / theirs:.1f}x**"
            yield [database.name, f"{ours:.0f}", f"{theirs:.1f}", speedup, ">= 15x"]

    table(
        f"{sizes.workers} processes on one study",
        ["database", "tunekit trials/s", "Optuna trials/s", "tunekit / Optuna", "target"],
        rows(),
    )


def startup(sizes: Sizes) -> None:
    """Print the processor time of importing and of asking for help."""
    folder = Path(sys.executable).parent
    # tunekit imports its parts when they are first used, so the bare import alone says little.
    first_study = ("import tunekit; tunekit.study()", "import optuna; optuna.create_study()")
    commands = {
        "import": [[sys.executable, "-c", f"import {x}"] for x in LIBRARIES],
        "import and first study": [[sys.executable, "-c", code] for code in first_study],
        "--help": [[str(folder / x), "--help"] for x in LIBRARIES],
    }

    def rows() -> Iterable[list[object]]:
        for what, pair in commands.items():
            ours, theirs = (command_cpu_s(command, repeats=sizes.repeats) for command in pair)
            speedup = f"**{ratio(theirs, ours)}**"
            yield [what, f"{1e3 * ours:.0f}", f"{1e3 * theirs:.0f}", speedup, "> 1x"]

    table(
        f"Start-up, processor time, best of {sizes.repeats} (bare Python included)",
        ["what", "tunekit ms", "Optuna ms", "Optuna / tunekit", "target"],
        rows(),
    )


def reading(databases: list[Database], sizes: Sizes) -> None:
    """Print what questions to a long study cost, on the first database."""
    database, long = databases[0], sizes.trials[-1] // 2
    questions = [
        ("front", "front of 2 objectives", long, "<= 10 ms"),
        ("first_table", "first trials_dataframe", long, "<= 200 ms"),
        ("first_importance", "first importance (PED-ANOVA)", long, "<= 400 ms"),
        ("first_proposal", "first proposal, default sampler", sizes.trials[0], "<= 500 ms"),
        ("median_report", "report under the median rule", sizes.trials[0] // 10, "<= 0.1 ms"),
        ("median_report", "report under the median rule", sizes.trials[0], "<= 0.1 ms, flat"),
    ]

    def rows() -> Iterable[list[object]]:
        for scenario, what, n, target in questions:
            ours, theirs = (
                run_cell(
                    scenario,
                    x,
                    database.urls[x],
                    n=n,
                    study=f"{scenario}-{n}",
                    pruner="MedianPruner",
                )
                for x in LIBRARIES
            )
            assert ours["n"] == theirs["n"] or scenario == "first_table", (ours, theirs)
            speedup = f"**{ratio(theirs['cpu_s'], ours['cpu_s'])}**"
            ms = [f"{1e3 * cell['cpu_s']:.3g}" for cell in (ours, theirs)]
            yield [what, n, *ms, speedup, target]

    table(
        "Questions to a study of many trials, the first time (client's CPU)",
        ["what", "earlier trials", "tunekit ms", "Optuna ms", "Optuna / tunekit", "target"],
        rows(),
    )
