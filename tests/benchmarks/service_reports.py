"""Measures the processor time of a report through a service, beside Optuna on PostgreSQL.

    python tests/benchmarks/service_reports.py --trials 40 --reports 100

The client, the service with its processes and the database count together. A report is answered
with the stopper's decision; Optuna's is `report` and `should_prune` with the rule of the same
name. PostgreSQL is started here, with fsync off for both; each cell runs once before it counts.
"""

from __future__ import annotations

import argparse
import logging
import tempfile
from collections.abc import Callable
from pathlib import Path

from measure import client_cpu_s, server_cpu_s
from service_throughput import cpu_s, tunekit_server

from tunekit.testing.postgres import find_binaries, running_server

STOPPERS = {None: "NopPruner", "median": "MedianPruner"}


def curve(number: int, step: int) -> float:
    """Return the loss of a trial at a step: later trials are better, so that none is stopped."""
    return (1.0 + 1.0 / (1 + number)) / (1 + step)


def tunekit_cell(url: str, stopper: str | None, folder: Path) -> Callable[[int, int], None]:
    """Return a function that runs trials of a new study with the thin client."""
    import tunekit as tk
    from tunekit.client import connect

    logging.getLogger("tunekit").setLevel(logging.ERROR)
    space = {"x": tk.Float(0.0, 1.0)}
    name = str(stopper)
    tk.study(name, space=space, objectives="loss", sampler="random", stopper=stopper, storage=url)
    study = connect(url, spool=folder).study(name)

    def run(n: int, reports: int) -> None:
        def objective(trial: object) -> float:
            for step in range(reports):
                trial.report(step, curve(trial.number, step))  # type: ignore[attr-defined]
            return curve(trial.number, reports)  # type: ignore[attr-defined]

        study.run(objective, n)

    return run


def optuna_cell(url: str, pruner: str) -> Callable[[int, int], None]:
    """Return the same for Optuna."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        study_name=pruner,
        storage=url,
        sampler=optuna.samplers.RandomSampler(),
        pruner=getattr(optuna.pruners, pruner)(),
    )

    def run(n: int, reports: int) -> None:
        def objective(trial: optuna.Trial) -> float:
            trial.suggest_float("x", 0.0, 1.0)
            for step in range(reports):
                trial.report(curve(trial.number, step), step)
                if trial.should_prune():
                    raise optuna.TrialPruned
            return curve(trial.number, reports)

        study.optimize(objective, n_trials=n)

    return run


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument("--reports", type=int, default=100)
    n, reports = (a := parser.parse_args()).trials, a.reports
    binaries = find_binaries()
    if binaries is None:
        raise SystemExit("no PostgreSQL server is installed; install the package postgresql.")
    with tempfile.TemporaryDirectory() as folder, running_server(binaries) as server:
        own_url = server.new_database()
        url = server.new_database().replace("postgresql://", "postgresql+psycopg2://")
        print("| stopper | tunekit ms a report | Optuna ms | Optuna / tunekit | target |")
        print("|---|---|---|---|---|")
        with tunekit_server(own_url) as (address, pid):

            def cost(run: Callable[[int, int], None], *, served: bool) -> float:
                def used() -> float:
                    served_s = cpu_s(pid) if served else 0.0
                    return client_cpu_s() + server_cpu_s(server.pid) + served_s

                run(2, reports)
                before = used()
                run(n, reports)
                return 1e3 * (used() - before) / (n * reports)

            for stopper, pruner in STOPPERS.items():
                ours = cost(
                    tunekit_cell(address, stopper, Path(folder) / str(stopper)), served=True
                )
                theirs = cost(optuna_cell(url, pruner), served=False)
                print(
                    f"| {stopper} / {pruner} | {ours:.3f} | {theirs:.2f} "
                    f"| **{theirs / ours:.1f}x** | >= 15x |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
