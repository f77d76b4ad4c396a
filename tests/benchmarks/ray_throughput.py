"""Throughput on Ray: `python tests/benchmarks/ray_throughput.py` prints the tables as Markdown.

tunekit's Ray executor stands beside Ray Tune (`Tuner`, random search, `reuse_actors`), in one
run on one cluster of this machine, one process a cell. Processor time is that of the cell's
process, of all below it and of the whole cluster, between two moments of the run at which both
are busy (the end of the trial `WARM` and of the last one), so start and end are not in it; they
are in "first trial", which counts from the start of the process to the first objective's.

`--simulated` runs 10,000 trials on 1,000 slots of a virtual clock instead.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "surrogates")]

WORKERS = 2
WARM = 20
TARGET = 15
BORN = psutil.Process().create_time()


class Meter:
    """Reads the clock and the processor seconds of this process, its children and a cluster."""

    def __init__(self, cluster: int) -> None:
        self._roots = [os.getpid(), cluster]  # Tune pickles the callback that holds this
        self._begin: tuple[float, dict[Any, float]] | None = None
        self.wall_s = self.cpu_s = 0.0

    def mark(self, n_done: int, last: int) -> None:
        """Note that so many trials have ended, of `last`."""
        if n_done == WARM:
            self._begin = time.perf_counter(), self._used()
        elif n_done == last:
            assert self._begin is not None
            begin, before = self._begin
            self.wall_s = time.perf_counter() - begin
            used = self._used()
            self.cpu_s = sum(v - before.get(k, 0.0) for k, v in used.items())

    def _used(self) -> dict[Any, float]:
        used = {}
        roots = [psutil.Process(pid) for pid in self._roots]
        for process in {p for r in roots for p in [r, *r.children(recursive=True)]}:
            try:
                used[process.pid, process.create_time()] = sum(process.cpu_times()[:2])
            except psutil.Error:
                continue
        return used


def noop(trial: Any) -> dict[str, float]:
    return {"value": 1.0, "at": time.time()}


def tune_noop(config: dict[str, float]) -> dict[str, float]:
    return {"value": 1.0, "at": time.time()}


def reporter(trial: Any) -> float:
    for step in range(trial.params["n"]):
        trial.report(1.0, step)
    return 1.0


def tune_reporter(config: dict[str, int]) -> None:
    from ray import tune

    for _ in range(config["n"]):
        tune.report({"value": 1.0})


def tunekit_trials(meter: Meter, n: int, address: str, url: str | None) -> float:
    import tunekit as tk
    from tunekit.executors.ray.executor import RayExecutor

    study = tk.study("s", space={"x": tk.Float(0, 1)}, storage=url, sampler="random", seed=1)
    n_done = iter(range(1, n + 1))
    study.optimize(
        noop,
        n_trials=n,
        executor=RayExecutor(WORKERS, address=address),
        callbacks=lambda study, trial: meter.mark(next(n_done), n),
    )
    return min(t.metrics["at"] for t in study.trials) - BORN


def tunekit_reports(meter: Meter, n: int, address: str, url: str | None) -> float:
    import tunekit as tk
    from tunekit.executors.ray.executor import RayExecutor

    space = tk.Space(n=tk.Int(1, n))
    study = tk.study("r", space=space, storage=url, sampler="random", seed=1)
    for count in (WARM, n):
        study.enqueue_trial({"n": count})
    marks = iter([(WARM, n), (n, n)])
    study.optimize(
        reporter,
        n_trials=2,
        executor=RayExecutor(1, address=address),
        callbacks=lambda study, trial: meter.mark(*next(marks)),
    )
    return 0.0


def tune_run(function: Any, space: dict[str, Any], n: int, workers: int, on_trial: Any) -> Any:
    from ray import tune

    class Ended(tune.Callback):
        def on_trial_complete(self, iteration: int, trials: Any, trial: Any, **info: Any) -> None:
            on_trial()

    tuner = tune.Tuner(
        tune.with_resources(function, {"cpu": 1}),
        param_space=space,
        tune_config=tune.TuneConfig(
            num_samples=n, reuse_actors=True, max_concurrent_trials=workers
        ),
        run_config=tune.RunConfig(verbose=0, storage_path=tempfile.mkdtemp(), callbacks=[Ended()]),
    )
    return tuner.fit()


def tune_trials(meter: Meter, n: int, address: str, url: str | None) -> float:
    import ray
    from ray import tune

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    n_done = iter(range(1, n + 1))
    space = {"x": tune.uniform(0, 1)}
    results = tune_run(tune_noop, space, n, WORKERS, lambda: meter.mark(next(n_done), n))
    return min(r.metrics["at"] for r in results) - BORN


def tune_reports(meter: Meter, n: int, address: str, url: str | None) -> float:
    import ray
    from ray import tune

    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    marks = iter([(WARM, n), (n, n)])
    space = {"n": tune.grid_search([WARM, n])}
    tune_run(tune_reporter, space, 1, 1, lambda: meter.mark(*next(marks)))
    return 0.0


CELLS = {
    "tunekit trials": tunekit_trials,
    "tunekit reports": tunekit_reports,
    "tune trials": tune_trials,
    "tune reports": tune_reports,
}


def run_cell(name: str, n: int, cluster: Any, url: str | None = None) -> dict[str, float]:
    """Run one cell in its own process and return what it measured."""
    request = json.dumps([name, n, cluster.pid, cluster.address, url])
    command = [sys.executable, __file__, "--cell", request]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = [x for x in done.stdout.splitlines() if x.startswith("{")]
    if done.returncode or not lines:
        raise RuntimeError(f"the cell {request} failed:\n{done.stderr[-4000:]}")
    return json.loads(lines[-1])


def cell(request: str) -> None:
    """Measure one cell and print it."""
    name, n, pid, address, url = json.loads(request)
    meter = Meter(pid)
    first_s = CELLS[name](meter, n, address, url)
    n_measured = n if name.endswith("reports") else n - WARM
    figures = {"rate": n_measured / meter.wall_s, "cpu_ms": meter.cpu_s / n_measured * 1e3}
    print("\n" + json.dumps({**figures, "first_s": first_s}))


def compare(n_trials: int, n_reports: int) -> None:
    """Print the table of trials and the one of reports."""
    from tests.executors.ray_cluster import running_cluster

    with running_cluster(num_cpus=WORKERS) as cluster, tempfile.TemporaryDirectory() as folder:
        for what, n in (("trials", n_trials), ("reports", n_reports)):
            peer = run_cell(f"tune {what}", n, cluster)
            rows = [(f"Ray Tune, {n}", peer)]
            for name, size, url in (
                (f"tunekit in memory, {n}", n, None),
                (f"tunekit in memory, {10 * n}", 10 * n, None),
                (f"tunekit on SQLite, {n}", n, f"sqlite:///{folder}/{what}.db"),
                (f"tunekit on SQLite, {10 * n}", 10 * n, f"sqlite:///{folder}/{what}10.db"),
            ):
                rows.append((name, run_cell(f"tunekit {what}", size, cluster, url)))
            print(f"\n### {what.capitalize()} on Ray, {WORKERS} workers; target {TARGET}x\n")
            print(f"| | {what}/s | x | CPU ms | less by | first trial s |")
            print("|---|--:|--:|--:|--:|--:|")
            for name, got in rows:
                faster = got["rate"] / peer["rate"]
                less = peer["cpu_ms"] / max(got["cpu_ms"], 1e-3)
                first = f"{got['first_s']:.1f}" if got["first_s"] else ""
                print(
                    f"| {name} | {got['rate']:.0f} | {faster:.1f} | {got['cpu_ms']:.2f} "
                    f"| {less:.1f} | {first} |",
                    flush=True,
                )


def simulate(n_trials: int, n_slots: int, url: str | None) -> None:
    """Print the work a trial and the use of the slots on a virtual cluster."""
    import tunekit as tk
    from tunekit.executors.simulated import SimulatedExecutor

    executor = SimulatedExecutor(n_slots)
    spans: dict[int, tuple[float, float]] = {}

    def objective(trial: Any) -> Any:
        seconds = random.Random(trial.number).lognormvariate(3, 0.7)
        spans[trial.number] = executor.clock, seconds
        yield seconds, 1.0

    told: list[float] = []
    study = tk.study("sim", space={"x": tk.Float(0, 1)}, storage=url, sampler="random", seed=1)
    study.optimize(
        objective,
        n_trials=n_trials,
        executor=executor,
        callbacks=lambda study, trial: told.append(time.process_time()),
    )
    tenth = n_trials // 10
    # The last slots end without a successor, which is less work: those are not counted.
    last = n_trials - n_slots
    first_ms = (told[tenth] - told[0]) / tenth * 1e3
    last_ms = (told[last - 1] - told[last - 1 - tenth]) / tenth * 1e3
    until = max(begin for begin, _ in spans.values())
    busy = sum(min(until, begin + s) - begin for begin, s in spans.values()) / n_slots / until
    where = "memory" if url is None else "SQLite"
    print(
        f"| {where} | {first_ms:.3f} | {last_ms:.3f} | {last_ms / first_ms:.2f} | {busy:.1%} |",
        flush=True,
    )


def main() -> None:
    """Parse the arguments and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=300)
    parser.add_argument("--reports", type=int, default=1000)
    parser.add_argument("--simulated", action="store_true")
    parser.add_argument("--slots", type=int, default=1000)
    parser.add_argument("--cell", help=argparse.SUPPRESS)
    given = parser.parse_args()
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])
    if given.cell:
        cell(given.cell)
    elif given.simulated:
        print(f"\n### {10 * given.slots} trials on {given.slots} simulated slots\n")
        print("| storage | first 10 % ms | last 10 % ms | ratio (<= 1.2) | busy (>= 98 %) |")
        print("|---|--:|--:|--:|--:|")
        with tempfile.TemporaryDirectory() as folder:
            for url in (None, f"sqlite:///{folder}/sim.db"):
                simulate(10 * given.slots, given.slots, url)
    else:
        compare(given.trials, given.reports)


if __name__ == "__main__":
    main()
