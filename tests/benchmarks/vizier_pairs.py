"""Measures pairs of suggest and complete through Vizier's service over SQLite.

    python3.11 -m venv /tmp/vizier
    /tmp/vizier/bin/pip install 'google-vizier[jax]' 'jax<0.6' 'jaxlib<0.6' 'numpy<2.3'
    /tmp/vizier/bin/python tests/benchmarks/vizier_pairs.py --clients 16 --seconds 10

Its packages do not fit beside those of the project, hence the environment of its own; run it
right after `service_throughput.py`, whose columns and work it repeats: one study of the same
space, random search, clients as threads of four processes.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

PROCESSES = 4
WARM_UP_S = 3.0


def work(
    endpoint: str, name: str, first: int, n_threads: int, seconds: float
) -> list[tuple[float, float]]:
    """Run clients in this process; return the seconds of each suggestion and each pair."""
    from vizier.service import clients, pyvizier

    clients.environment_variables.server_endpoint = endpoint
    took: list[tuple[float, float]] = []
    begin = time.monotonic() + WARM_UP_S

    def run(client: str) -> None:
        study = clients.Study.from_resource_name(name)
        while (now := time.monotonic()) < begin + seconds:
            began = time.perf_counter()
            (trial,) = study.suggest(count=1, client_id=client)
            asked = time.perf_counter()
            trial.complete(pyvizier.Measurement({"loss": trial.parameters["x"]}))
            if now >= begin:
                took.append((asked - began, time.perf_counter() - began))

    threads = [threading.Thread(target=run, args=(f"c{first + i}",)) for i in range(n_threads)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return took


def main() -> None:
    """Parse the arguments and print one line for each number of clients."""
    from vizier.service import clients, pyvizier, servers

    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 64])
    parser.add_argument("--seconds", type=float, default=10.0)
    arguments = parser.parse_args()
    print("| system | clients | pairs/s | ask p50 ms | p99 | pair p50 ms | p99 |")
    print("|---|---|---|---|---|---|---|")
    for n in arguments.clients:
        with tempfile.TemporaryDirectory() as folder:
            server = servers.DefaultVizierServer(
                host="localhost", database_url=f"sqlite:///{folder}/v.db"
            )
            clients.environment_variables.server_endpoint = server.endpoint
            config = pyvizier.StudyConfig(algorithm="RANDOM_SEARCH")
            goal = pyvizier.ObjectiveMetricGoal.MINIMIZE
            config.metric_information.append(pyvizier.MetricInformation("loss", goal=goal))
            root = config.search_space.root
            root.add_float_param("x", 0.0, 1.0)
            root.add_int_param("n", 1, 8)
            root.add_categorical_param("kind", ["a", "b"])
            study = clients.Study.from_study_config(config, owner="o", study_id="s")
            share = max(n // PROCESSES, 1)
            with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as pool:
                runs = [
                    pool.submit(
                        work, server.endpoint, study.resource_name, i * share, share,
                        arguments.seconds,
                    )
                    for i in range(min(PROCESSES, n))
                ]  # fmt: skip
                took = [pair for run in runs for pair in run.result()]
            asks, both = [a for a, _ in took], [b for _, b in took]
            shown = [quantile(v, q) for v in (asks, both) for q in (50, 99)]
            print(
                f"| Vizier on SQLite | {n} | {len(took) / arguments.seconds:.1f} | "
                + " | ".join(f"{ms:.1f}" for ms in shown)
                + " |",
                flush=True,
            )


def quantile(values: list[float], percent: int) -> float:
    """Return a quantile in milliseconds."""
    return 1000.0 * statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


if __name__ == "__main__":
    main()
