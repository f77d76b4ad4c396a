"""One cell of the benchmark in a process of its own; prints what it measured as JSON.

Both libraries get the same work: 10 floats, the random sampler, an objective that does nothing,
the same database with the same settings, logs and progress off. Optuna has no pruning rule, as
tunekit has no stopper, except where a cell names its default one.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import reading
from measure import client_cpu_s, rss_mib, server_cpu_s

N_PARAMS = 10
NAMES = [f"x{i}" for i in range(N_PARAMS)]
SQLITE_PRAGMAS = ("PRAGMA journal_mode = WAL", "PRAGMA synchronous = NORMAL")


class Tunekit:
    """The calls of tunekit that the scenarios need."""

    def __init__(self, url: str) -> None:
        import tunekit

        self.tk = tunekit
        self.url = url

    def create(self, name: str) -> Any:
        space = self.tk.Space({name: self.tk.Float(0.0, 1.0) for name in NAMES})
        return self.tk.study(name, space=space, storage=self.url, sampler="random", seed=1)

    def load(self, name: str) -> Any:
        return self.tk.load_study(name, storage=self.url)

    def run(self, study: Any, n: int, at_trial: Callable[[int], None], n_reports: int = 0) -> None:
        def objective(trial: Any) -> float:
            at_trial(trial.number)
            for step in range(n_reports):
                trial.report(0.0, step)
            return 0.0

        study.optimize(objective, n_trials=n)


class Optuna:
    """The same calls of Optuna."""

    def __init__(self, url: str, pruner: str) -> None:
        import optuna
        from sqlalchemy import event
        from sqlalchemy.engine import Engine

        self.optuna = optuna
        self.url = url
        self.pruner = getattr(optuna.pruners, pruner)()
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        if url.startswith("sqlite"):

            @event.listens_for(Engine, "connect")
            def configure(connection: Any, record: object) -> None:
                for pragma in SQLITE_PRAGMAS:
                    connection.execute(pragma)

    def create(self, name: str) -> Any:
        return self.optuna.create_study(
            study_name=name,
            storage=self.url,
            sampler=self.optuna.samplers.RandomSampler(seed=1),
            pruner=self.pruner,
        )

    def load(self, name: str) -> Any:
        return self.optuna.load_study(
            study_name=name,
            storage=self.url,
            sampler=self.optuna.samplers.RandomSampler(seed=1),
            pruner=self.pruner,
        )

    def run(self, study: Any, n: int, at_trial: Callable[[int], None], n_reports: int = 0) -> None:
        def objective(trial: Any) -> float:
            at_trial(trial.number)
            for name in NAMES:
                trial.suggest_float(name, 0.0, 1.0)
            for step in range(n_reports):
                trial.report(0.0, step)
                trial.should_prune()
            return 0.0

        study.optimize(objective, n_trials=n)


def trials(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Run `n` trials; the cost of all, of the first and of the last `window`, the memory.

    The first ten trials also pay for imports, connections and prepared statements, so the window
    and the growth of memory begin after them; the cost of all includes them.
    """
    n, postmaster = request["n"], request.get("postmaster")
    window = min(500, n // 4)
    cpu: dict[int, float] = {}
    rss: dict[int, float] = {}

    def at_trial(number: int) -> None:
        if number in (10, 10 + window, n - 1 - window, n - 1):
            cpu[number] = client_cpu_s() + server_cpu_s(postmaster)
            rss[number] = rss_mib()

    study = library.create(request["study"])
    client, server, wall = client_cpu_s(), server_cpu_s(postmaster), time.perf_counter()
    library.run(study, n, at_trial)
    wall = time.perf_counter() - wall
    client, server = client_cpu_s() - client, server_cpu_s(postmaster) - server
    gc.collect()
    after = rss_mib()
    return {
        "client_ms": 1e3 * client / n,
        "server_ms": 1e3 * server / n,
        "cpu_ms": 1e3 * (client + server) / n,
        "per_s": n / wall,
        "first_ms": 1e3 * (cpu[10 + window] - cpu[10]) / window,
        "last_ms": 1e3 * (cpu[n - 1] - cpu[n - 1 - window]) / window,
        "rss_mib": after,
        "grown_mib": after - rss[10],
    }


def reports(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Run trials with many reports; the cost of one report, trials included."""
    n, each, postmaster = request["n"], request["reports"], request.get("postmaster")
    study = library.create(request["study"])
    cpu, wall = client_cpu_s() + server_cpu_s(postmaster), time.perf_counter()
    library.run(study, n, lambda number: None, each)
    wall = time.perf_counter() - wall
    cpu = client_cpu_s() + server_cpu_s(postmaster) - cpu
    return {"cpu_ms": 1e3 * cpu / (n * each), "per_s": n * each / wall}


def opening(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Open a study that is there, read all its trials and its best value.

    A small study of the same database is opened before, so that imports are left out.
    """
    warm = f"warm-{os.getpid()}"
    library.run(library.create(warm), 2, lambda number: None)
    assert len(library.load(warm).trials) == 2
    cpu = client_cpu_s()
    study = library.load(request["study"])
    n = len(study.trials)
    best = study.best_value
    return {"cpu_s": client_cpu_s() - cpu, "trials": n, "best": best}


def create(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Create the study that several processes are to share."""
    library.create(request["study"])
    return {}


def worker(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Be one of several processes: open the study, wait for the word, run `n` trials."""
    study = library.load(request["study"])
    print("ready", flush=True)
    sys.stdin.readline()
    library.run(study, request["n"], lambda number: None)
    return {}


OWN = (trials, reports, opening, create, worker)
SCENARIOS = {f.__name__: f for f in (*OWN, *reading.SCENARIOS)}


def main() -> None:
    """Run the cell that the first argument describes."""
    request = json.loads(sys.argv[1])
    library: Any
    if request["library"] == "tunekit":
        library = Tunekit(request["url"])
    else:
        # Without a rule unless asked for: neither library then decides anything.
        library = Optuna(request["url"], request.get("pruner", "NopPruner"))
    print(json.dumps(SCENARIOS[request["scenario"]](library, request)))


if __name__ == "__main__":
    main()
