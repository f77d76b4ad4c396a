"""Measures pairs of ask and tell through a service, beside Optuna's gRPC proxy.

    python tests/benchmarks/service_throughput.py --clients 16 64 --seconds 10

Every system gets the same space of three parameters, a random sampler and the same number of
clients, as threads of four processes, on one machine in one run. PostgreSQL is started here, with
fsync off for all. A pair is one trial: asked for, with its params, and told.
"""

from __future__ import annotations

import argparse
import multiprocessing
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psutil

from tunekit.testing.postgres import find_binaries, running_server

PROCESSES = 4
WARM_UP_S = 3.0

Pairs = list[tuple[float, float]]
"""Seconds of each ask, with its params, and of each tell."""


def tunekit_client(url: str) -> Callable[[], tuple[float, float]]:
    """Return a function that asks for and tells one trial of the study `s` at a service."""
    from tunekit.client import connect

    study = connect(url).study("s")

    def pair() -> tuple[float, float]:
        began = time.perf_counter()
        trial = study.ask()
        asked = time.perf_counter()
        assert trial is not None, study.reason
        trial.tell(trial.params["x"])
        return asked - began, time.perf_counter() - asked

    return pair


def optuna_client(url: str) -> Callable[[], tuple[float, float]]:
    """Return the same for a study of Optuna behind a gRPC proxy at `host:port`."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    host, _, port = url.partition(":")
    storage = optuna.storages.GrpcStorageProxy(host=host, port=int(port))
    study = optuna.load_study(
        study_name="s", storage=storage, sampler=optuna.samplers.RandomSampler()
    )

    def pair() -> tuple[float, float]:
        began = time.perf_counter()
        trial = study.ask()
        x = trial.suggest_float("x", 0.0, 1.0)
        trial.suggest_int("n", 1, 8)
        trial.suggest_categorical("kind", ["a", "b"])
        asked = time.perf_counter()
        study.tell(trial, x)
        return asked - began, time.perf_counter() - asked

    return pair


def work(system: str, url: str, n_threads: int, seconds: float) -> Pairs:
    """Run clients in this process; return the pairs after the warm-up."""
    make = optuna_client if system.startswith("optuna") else tunekit_client
    pairs: Pairs = []
    begin = time.monotonic() + WARM_UP_S

    def run() -> None:
        pair = make(url)
        while (now := time.monotonic()) < begin + seconds:
            took = pair()
            if now >= begin:
                pairs.append(took)

    threads = [threading.Thread(target=run) for _ in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return pairs


def serve_optuna(url: str, port: int) -> None:
    """Serve an Optuna storage until the process is ended."""
    import optuna

    storage = optuna.storages.RDBStorage(url)
    optuna.create_study(study_name="s", storage=storage)
    optuna.storages.run_grpc_proxy_server(storage, host="127.0.0.1", port=port)


@contextmanager
def optuna_server(url: str) -> Iterator[tuple[str, int]]:
    """Run Optuna's gRPC proxy over a database; give its address and process id."""
    port = free_port()
    process = multiprocessing.get_context("spawn").Process(target=serve_optuna, args=(url, port))
    process.start()
    try:
        wait_for(port)
        yield f"127.0.0.1:{port}", process.pid or 0
    finally:
        process.terminate()
        process.join()


@contextmanager
def tunekit_server(url: str, *, create: bool = True) -> Iterator[tuple[str, int]]:
    """Run `tunekit serve` over a database, with a study; give its URL and process id."""
    import tunekit as tk

    port = free_port()
    command = [sys.executable, "-m", "tunekit", "serve", "--no-accounts", "--port", str(port)]
    process = subprocess.Popen([*command, "--storage", url], stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        address = f"http://127.0.0.1:{port}"
        space = {"x": tk.Float(0.0, 1.0), "n": tk.Int(1, 8), "kind": tk.Categorical(["a", "b"])}
        if create:
            tk.study("s", space=space, objectives="loss", sampler="random", storage=address)
        yield address, process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def growth(url: str, sizes: list[int], n: int = 300) -> None:
    """Print the time of single asks and tells at studies with more and more stored trials."""
    from tunekit.records import TrialRecord, TrialState
    from tunekit.spaces import Params
    from tunekit.storages.project import ProjectStorage
    from tunekit.storages.urls import open_storage

    storage = ProjectStorage(open_storage(url), "default")
    study_id = storage.get_study("s").id
    point, stored = Params({"x": 0.5, "n": 3, "kind": "a"}), 0
    with tunekit_server(url, create=False) as (address, _):
        pair = tunekit_client(address)
        for size in sizes:
            for first in range(stored, size, 5000):
                trials = [
                    TrialRecord(i, TrialState.COMPLETE, params=point, metrics={"loss": 1.0})
                    for i in range(first, min(first + 5000, size))
                ]
                storage.add_trials(study_id, trials, {})
            stored = size
            first_s = pair()[0]
            took = [pair() for _ in range(n)]
            stored += n + 1
            asks = [a for a, _ in took]
            print(
                f"| {size} | {1000.0 * first_s:.0f} | {quantile(asks, 50):.2f} "
                f"| {quantile(asks, 90):.2f} | {quantile([t for _, t in took], 50):.2f} |",
                flush=True,
            )
    storage.close()


def free_port() -> int:
    """Return a port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int) -> None:
    """Return once somebody listens on a port."""
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)


def cpu_s(pid: int) -> float:
    """Return the processor seconds of a server with its children."""
    process = psutil.Process(pid)
    times = [p.cpu_times() for p in (process, *process.children(recursive=True))]
    return sum(t.user + t.system for t in times)


def measure(system: str, url: str, pid: int, *, clients: int, seconds: float) -> None:
    """Print a line of the table."""
    share = max(clients // PROCESSES, 1)
    n_processes = min(PROCESSES, clients)
    before = cpu_s(pid)
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=spawn) as pool:
        runs = [pool.submit(work, system, url, share, seconds) for _ in range(n_processes)]
        pairs = [pair for run in runs for pair in run.result()]
    used = cpu_s(pid) - before
    asks, both = [a for a, _ in pairs], [a + t for a, t in pairs]
    print(
        f"| {system} | {clients} | {len(pairs) / seconds:.1f} | {quantile(asks, 50):.1f} "
        f"| {quantile(asks, 99):.1f} | {quantile(both, 50):.1f} | {quantile(both, 99):.1f} "
        f"| {used / (seconds + WARM_UP_S):.2f} |",
        flush=True,
    )


def quantile(values: list[float], percent: int) -> float:
    """Return a quantile in milliseconds."""
    if len(values) < 2:
        return 1000.0 * sum(values)
    return 1000.0 * statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    """Parse the arguments and print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--only", choices=["tunekit", "optuna"])
    parser.add_argument("--stored", type=int, nargs="+", help="then ask with so many trials")
    parser.add_argument("--no-postgres", action="store_true")
    arguments = parser.parse_args()
    print("| system | clients | pairs/s | ask p50 ms | p99 | pair p50 ms | p99 | server CPUs |")
    print("|---|---|---|---|---|---|---|---|")
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        found: list[tuple[str, str]] = [("tunekit on SQLite", f"sqlite:///{Path(folder)}/t.db")]
        binaries = None if arguments.no_postgres else find_binaries()
        if binaries is not None:
            server = stack.enter_context(running_server(binaries))
            found.append(("tunekit on PostgreSQL", server.new_database()))
            url = server.new_database().replace("postgresql://", "postgresql+psycopg2://")
            found.append(("optuna on PostgreSQL", url))
        for system, url in found:
            if arguments.only and not system.startswith(arguments.only):
                continue
            serve = optuna_server if system.startswith("optuna") else tunekit_server
            with serve(url) as (address, pid):
                for clients in arguments.clients:
                    measure(system, address, pid, clients=clients, seconds=arguments.seconds)
        for system, url in found if arguments.stored else ():
            if system.startswith("tunekit"):
                print(f"\n| stored, {system} | first ask ms | ask p50 ms | p90 | tell p50 |")
                print("|---|---|---|---|---|")
                growth(url, arguments.stored)


if __name__ == "__main__":
    main()
