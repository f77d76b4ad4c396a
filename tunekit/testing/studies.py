"""Makes studies for tests and benchmarks of what shows them: finished, running, empty, sick, long.

Trials are added in batches as they would have been told, so that 10,000 take seconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunekit.records import (
    ObjectiveSpec,
    Outcome,
    Proposal,
    Report,
    StudyRecord,
    StudySpec,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.spaces.validate import validated
from tunekit.storages.base import Claim, Reports, Start, Storage, Tell

BATCH = 500
WORKER = "gpu-box7.lab.example/linux/4711/99/ab12"

SPACE = Space(
    model=Categorical(
        {
            "svm": Space(
                kernel=Categorical(["rbf", "linear"]),
                C=Float(1e-3, 1e3, log=True),
                gamma=Float(1e-4, 1e1, log=True),
            ),
            "forest": Space(trees=Int(10, 500, log=True), depth=Int(2, 32)),
            "net": Space(lr=Float(1e-5, 1.0, log=True), layers=Int(1, 8), dropout=Float(0.0, 0.7)),
        }
    )
)
"""A small conditional space."""


@dataclass(frozen=True, slots=True)
class TrialMix:
    """What the trials of a made study look like.

    Attributes:
        n_trials: trials that have ended.
        n_reports: reports of each complete trial.
        stopped, failed: shares of the trials that end so.
        seed: of everything random.
        starts: seconds since 1970 at which the first trial starts.
    """

    n_trials: int = 60
    n_reports: int = 20
    stopped: float = 0.25
    failed: float = 0.03
    seed: int = 0
    starts: float = 1.79e9


def make_study(storage: Storage, name: str, mix: TrialMix, **settings: Any) -> StudyRecord:
    """Create a study of one metric `error` over `SPACE`, with ended trials.

    Args:
        storage: where to create it.
        name: of the study.
        mix: what its trials look like.
        settings: further fields of its `StudySpec`.
    """
    spec = StudySpec(
        name, (ObjectiveSpec("error"),), space=SPACE, seed=mix.seed, sampler="random",
        stopper="median", **settings,
    )  # fmt: skip
    study = storage.create_study(spec)
    batch: list[TrialRecord] = []
    reports: dict[int, tuple[Report, ...]] = {}
    for trial, curve in made_trials(mix):
        batch.append(trial)
        reports[trial.number] = curve
        if len(batch) == BATCH:
            storage.add_trials(study.id, batch, reports)
            batch, reports = [], {}
    if batch:
        storage.add_trials(study.id, batch, reports)
    return storage.record(study.id)


def made_trials(mix: TrialMix) -> Iterator[tuple[TrialRecord, tuple[Report, ...]]]:
    """Yield the trials of a mix, each with its reports."""
    rng = np.random.default_rng(mix.seed)
    at = mix.starts
    for number in range(mix.n_trials):
        params = drawn_params(rng)
        final = error_of(params) + 0.01 * float(rng.normal())
        kind = rng.random()
        state = TrialState.COMPLETE
        if kind < mix.failed:
            state = TrialState.FAILED
        elif kind < mix.failed + mix.stopped and final > 0.2:
            state = TrialState.STOPPED
        n = mix.n_reports if state is TrialState.COMPLETE else max(mix.n_reports // 4, 1)
        curve = tuple(
            Report(step, {"error": final + 0.5 * (1 / step - 1 / mix.n_reports)})
            for step in range(1, n + 1)
        )
        took = 30.0 + 60.0 * float(rng.random())
        yield _trial(number, params, state, final, at, took), curve
        at += took / 4  # four workers


def drawn_params(rng: np.random.Generator) -> Params:
    """Return a random point of `SPACE`."""
    model = str(rng.choice(["svm", "forest", "net"]))
    inner: dict[str, Any]
    if model == "svm":
        inner = {
            "kernel": str(rng.choice(["rbf", "linear"])),
            "C": float(10 ** rng.uniform(-3, 3)),
            "gamma": float(10 ** rng.uniform(-4, 1)),
        }
    elif model == "forest":
        inner = {
            "trees": int(10 ** rng.uniform(1, 2.69)),
            "depth": int(rng.integers(2, 33)),
        }
    else:
        inner = {
            "lr": float(10 ** rng.uniform(-5, 0)),
            "layers": int(rng.integers(1, 9)),
            "dropout": float(rng.uniform(0.0, 0.7)),
        }
    point: dict[str, Any] = {"model": model}
    point |= {f"model.{model}.{name}": value for name, value in inner.items()}
    return validated(point, SPACE)


def error_of(params: Mapping[str, Any]) -> float:
    """Return the noiseless error of a point of `SPACE`; forests of depth 12 are best."""
    model = params["model"]
    if model == "svm":
        return 0.22 + 0.03 * abs(float(np.log10(params["model.svm.C"])) - 1.0)
    if model == "forest":
        return 0.10 + abs(float(params["model.forest.depth"]) - 12) / 100
    dropout = float(params["model.net.dropout"])
    return 0.15 + 0.05 * abs(float(np.log10(params["model.net.lr"])) + 3.0) + 0.1 * dropout


def begin_trials(storage: Storage, study_id: int, n: int) -> list[int]:
    """Have a worker start trials and report twice, so that the study is seen running."""
    rng = np.random.default_rng(n)
    leases = storage.exchange(study_id, WORKER, claim=Claim(n, "begin")).leases
    for trial in leases:
        params = drawn_params(rng)
        value = error_of(params)
        storage.exchange(
            study_id,
            WORKER,
            [
                Start(trial.number, trial.epoch, Proposal(params, "random", "drawn at random")),
                Reports(
                    trial.number,
                    trial.epoch,
                    (Report(1, {"error": value + 0.4}), Report(2, {"error": value + 0.2})),
                ),
            ],
        )
    return [t.number for t in leases]


def tell_trial(storage: Storage, study_id: int, number: int, value: float) -> None:
    """End a trial that `begin_trials` has started."""
    told = Outcome(TrialState.COMPLETE, {"error": value})
    storage.exchange(study_id, WORKER, [Tell(number, 1, told, f"tell {number}")])


def _trial(
    number: int, params: Params, state: TrialState, final: float, at: float, took: float
) -> TrialRecord:
    reasons = {
        TrialState.COMPLETE: "",
        TrialState.STOPPED: f"its error {final:.3f} is above the median of the others",
        TrialState.FAILED: "CUDA out of memory",
    }
    return TrialRecord(
        number,
        state,
        params=params,
        sampler="random",
        reason="drawn at random",
        metrics={"error": final} if state is TrialState.COMPLETE else {},
        end_reason=reasons[state],
        error="Traceback (most recent call last):\n  ...\nRuntimeError: CUDA out of memory"
        if state is TrialState.FAILED
        else "",
        worker=f"gpu-box{number % 4}.lab.example/linux/4711/{number % 4}/ab12",
        created=at,
        started=at,
        finished=at + (took if state is TrialState.COMPLETE else took / 4),
    )
