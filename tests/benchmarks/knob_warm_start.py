"""Prints how many trials a tuning of TPC-H takes with and without a warm start.

    python tests/benchmarks/knob_warm_start.py [--trials 16] [--seeds 5] [--scale 0.05]

A first study tunes TPC-H at another scale. After it, each seed tunes the scale asked for twice:
cold, with the sampler alone after the configuration in force; and warm, with the rules of thumb
and with an adviser that answers with the best points of the most similar earlier workloads, which
it is sent. Trials are counted to 95 % of the best speed that the two runs of a seed saw.
Target: at most a third of the trials.
"""

from __future__ import annotations

import argparse
import json
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

from tunekit.testing.openai_server import Said, running_endpoint
from tunekit_integrations.dbms import tuning
from tunekit_integrations.dbms.postgresql.target import PostgreSQLTarget
from tunekit_integrations.dbms.protocol_options import ProtocolOptions
from tunekit_integrations.dbms.trials import OBJECTIVE
from tunekit_integrations.dbms.workloads.tpch.workload import TPCH

OPTIONS = ProtocolOptions(n_blocks=1, aa_rounds=2, round_blocks=1, rounds=3, max_rounds=3)
SCALE_BEFORE = 0.02
ENOUGH = 0.95


def similar(request: Mapping[str, Any]) -> Said:
    """Answer with the best points of the similar workloads in the request, and nothing else."""
    _, found, data = request["messages"][1]["content"].partition("DATA\n")
    told = json.loads(data) if found else {}
    points = [example["point"] for example in told.get("similar workloads", [])]
    return Said(json.dumps({"rationale": "As for the most similar workload.", "points": points}))


def speeds(
    name: str, scale: float, file: Path, n_trials: int, seed: int, **given: Any
) -> list[float]:
    """Tune and return the speed of each trial as a factor of the default's; 0 where it failed."""
    workload = TPCH(scale=scale)
    target = PostgreSQLTarget.provision(version=15, clients=workload.clients)
    try:
        found = tuning.tune_knobs(
            target, workload, n_trials=n_trials, storage=f"sqlite:///{file}", name=name,
            options=OPTIONS, seed=seed, progress=False, **given,
        )  # fmt: skip
        return [
            1 / t.metrics[OBJECTIVE] if t.metrics.get(OBJECTIVE) else 0.0
            for t in found.study.trials
        ]
    finally:
        target.close()


def n_until(found: list[float], enough: float) -> int:
    """Return after how many trials a speed was seen; one more than all if never."""
    return next((k for k, speed in enumerate(found, 1) if speed >= enough), len(found) + 1)


def run(n_trials: int, n_seeds: int, scale: float) -> None:
    """Run all studies and print the table."""
    cold, warm = [], []
    with tempfile.TemporaryDirectory() as folder, running_endpoint(similar) as endpoint:
        before = Path(folder) / "before.db"
        llm = {"model": "similar", "base": endpoint.base}
        speeds("before", SCALE_BEFORE, before, n_trials, 1000, llm=llm)
        for seed in range(n_seeds):
            with mock.patch.object(tuning, "formula", return_value={}):
                cold.append(
                    speeds("cold", scale, before.with_name(f"cold{seed}.db"), n_trials, seed)
                )
            # Each begins with a copy of the first study, so that no seed learns from another.
            own = shutil.copy(before, before.with_name(f"warm{seed}.db"))
            warm.append(speeds("warm", scale, own, n_trials, seed, llm=llm))
            for name, found in (("cold", cold[-1]), ("warm", warm[-1])):
                print(f"seed {seed} {name}: {' '.join(f'{s:.2f}' for s in found)}", flush=True)
    n_cold, n_warm = [], []
    for without, with_start in zip(cold, warm, strict=True):
        enough = ENOUGH * max(*without, *with_start)
        n_cold.append(n_until(without, enough))
        n_warm.append(n_until(with_start, enough))
    print(f"trials to {ENOUGH:.0%} of the best speed of a seed's two runs")
    print(f"cold {n_cold}, median {median(n_cold)}; warm {n_warm}, median {median(n_warm)}")
    print(f"warm / cold {sum(n_warm) / sum(n_cold):.2f} (target .33)")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=0.05)
    given = parser.parse_args()
    run(given.trials, given.seeds, given.scale)
