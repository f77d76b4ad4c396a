"""Prints how much faster TPC-H runs on a private PostgreSQL under four configurations.

    python tests/benchmarks/knob_tpch.py [--scale 0.1] [--trials 20] [--version 15] [--seed 0]

A configuration written by hand, the rules of thumb, and the best of the first 3 and of all trials
of a tuning study are each compared anew with the default, on a twin and behind restarts. Targets:
1.2 by trial 3 and 1.3 by trial 20.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from tunekit_integrations.dbms.formulas import formula
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.protocol import Protocol
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.records import Settings, TargetFailure
from tunekit_integrations.dbms.trials import NOTE, OBJECTIVE
from tunekit_integrations.dbms.tuning import Tuned, tune_knobs
from tunekit_integrations.dbms.workloads.tpch.workload import TPCH

EXPERT: Mapping[str, bool | int | float] = {
    "shared_buffers": 1024 * 1024,
    "work_mem": 64 * 1024,
    "effective_cache_size": 12 * 1024 * 1024,
    "random_page_cost": 1.1,
    "jit": False,
    "max_parallel_workers_per_gather": 1,
}
"""What a database administrator writes for data that fit into memory; kB."""

TRIALS_EARLY = 3

# One block a trial and a round: a pass takes seconds, and the rounds repeat it behind restarts.
OPTIONS = ProtocolOptions(n_blocks=1, aa_rounds=3, round_blocks=1, rounds=3, max_rounds=4)


def best_of(tuned: Tuned, n_trials: int) -> tuple[int, Settings]:
    """Return number and settings of the fastest of the first trials."""
    found = [t for t in tuned.study.refresh().complete() if t.number < n_trials]
    best = min(found, key=lambda t: t.metrics[OBJECTIVE])
    return best.number, best.user_attrs[NOTE].get("settings", {})


def compare(protocol: Protocol, name: str, settings: Settings) -> None:
    """Measure a configuration anew and print its factors of speed with 95 % intervals."""
    if not settings:
        print(f"{name:28} 1.00 (the default itself)")
        return
    try:
        found = protocol.confirm(settings)
    except TargetFailure as failure:
        print(f"{name:28} {failure.kind}: {failure.message}")
        return
    gain, wall = found.verdict.gain.as_factor(), found.wall.as_factor()
    print(
        f"{name:28} {gain.mean:.2f} [{gain.low:.2f}, {gain.high:.2f}] {found.verdict.word}; "
        f"by the clock {wall.mean:.2f} [{wall.low:.2f}, {wall.high:.2f}]; {dict(settings)}",
        flush=True,
    )


@contextmanager
def beside_a_twin(target: PostgreSQLTarget, workload: TPCH, seed: int) -> Iterator[Protocol]:
    """Calibrate a protocol on a server and a twin, which is closed on exit."""
    workload.prepare(target.url)
    target.snapshot()
    twin = target.clone()
    try:
        protocol = Protocol(target, twin, workload, OPTIONS, seed=seed)
        print(protocol.calibrate().rule, flush=True)
        yield protocol
    finally:
        if twin is not None:
            twin.close()


def run(scale: float, n_trials: int, version: int, seed: int) -> None:
    """Compare what needs no tuning, tune, and compare what was found."""
    started = time.monotonic()
    workload = TPCH(scale=scale)
    target = PostgreSQLTarget.provision(version=version, clients=workload.clients)
    try:
        with beside_a_twin(target, workload, seed) as protocol:
            rules = formula(
                target.catalogue,
                protocol.default.in_force,
                target.instance,
                clients=workload.clients,
                use="queries",
            )
            compare(protocol, "expert by hand", EXPERT)
            compare(protocol, "rules of thumb", rules)
        tuned = tune_knobs(
            target, workload, n_trials=n_trials, options=OPTIONS, seed=seed, progress=False
        )
        print(f"tuned {n_trials} trials; {time.monotonic() - started:.0f} s so far", flush=True)
        for trial in tuned.study.refresh().complete():
            note = trial.user_attrs[NOTE]
            print(
                f"  trial {trial.number:2}: {1 / trial.metrics[OBJECTIVE]:.2f} "
                f"{note.get('origin', '')} {note.get('settings', {})}",
                flush=True,
            )
        with beside_a_twin(target, workload, seed + 10_000) as protocol:
            for n in sorted({min(TRIALS_EARLY, n_trials), n_trials}):
                number, settings = best_of(tuned, n)
                compare(protocol, f"best of {n} trials (no. {number})", settings)
    finally:
        target.close()
    print(f"{time.monotonic() - started:.0f} s in all")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--version", type=int, default=15)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    run(given.scale, given.trials, given.version, given.seed)
