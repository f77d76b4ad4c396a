"""Compares BoTorch's hierarchical kernel with the embedding of all branches, on trees.

`python tests/benchmarks/botorch_models.py hierarchy` prints, for each problem of the suite `trees`
that the kernel can express, the error of both at points that they have not seen.
"""

from __future__ import annotations

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunekit.bench.problem import Problem
from tunekit.bench.suites import suite
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Float, Space
from tunekit.spaces.encode import Encoder

Rows = NDArray[np.float64]
Process = Callable[[Encoder, Rows, Rows, Rows], Rows]
"""Predicts the standardised values of other rows from rows and their standardised values."""

Dependencies = dict[int, dict[int | float, list[int]]]
"""Coordinate -> its value -> the coordinates that it opens."""

N_UNSEEN = 200


def is_expressible(encoder: Encoder) -> bool:
    """Return whether one value of one parent opens each parameter, as BoTorch's kernel needs."""
    conditions = [column.conditions for column in encoder.columns]
    return all(len(c) <= 1 and all(len(one.values) == 1 for one in c) for c in conditions)


def with_dependencies(encoder: Encoder, x: Rows) -> tuple[Rows, Dependencies]:
    """Return `(n, e)` coordinates for the kernel, and which of them each choice opens.

    A categorical has a coordinate for each choice, which is 1 for the chosen one: with one
    coordinate for all, choices would have an order. The kernel ignores coordinates where inactive.
    """
    parts: list[Rows] = []
    places: dict[str, list[int]] = {}
    found: Dependencies = {}
    end = 0
    for j, column in enumerate(encoder.columns):
        part = np.nan_to_num(x[:, j : j + 1], nan=0.0)
        if column.kind in ("categorical", "ordered"):
            n = int(column.size)
            part = (np.minimum((part * n).astype(int), n - 1) == np.arange(n)).astype(float)
        mine = list(range(end, end + part.shape[1]))
        for condition in column.conditions:
            (choice,) = condition.values
            domain = encoder.space.by_path[condition.parent].domain
            assert isinstance(domain, Categorical)
            flag = places[condition.parent][domain.choices.index(choice)]
            found.setdefault(flag, {}).setdefault(1, []).extend(mine)
        places[column.path], end = mine, end + len(mine)
        parts.append(part)
    return np.hstack(parts), found


def by_hierarchy(encoder: Encoder, x: Rows, y: Rows, others: Rows, *, is_sparse: bool) -> Rows:
    """Return what a process with BoTorch's hierarchical kernel predicts.

    Args:
        encoder: of the space.
        x, y: `(n, d)` rows and their `(n,)` standardised values.
        others: `(m, d)` rows.
        is_sparse: whether the length scales have the SAAS prior, which is BoTorch's default here,
            and not that of the dimension, as under the embedding.
    """
    import torch
    from botorch.fit import fit_gpytorch_mll
    from botorch.models.hierarchical.conditional_kernel_gp import HierarchicalConditionalKernelGP
    from gpytorch.mlls import ExactMarginalLogLikelihood

    from tunekit.samplers.botorch.fitting import N_STEPS

    rows, dependencies = with_dependencies(encoder, x)
    more, _ = with_dependencies(encoder, others)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the standardised values, and at the last step
        process = HierarchicalConditionalKernelGP(
            torch.as_tensor(rows),
            torch.as_tensor(y)[:, None],
            dependencies,
            use_saas_prior=is_sparse,
            outcome_transform=None,
        )
        limit = {"options": {"maxiter": N_STEPS}}
        likelihood = ExactMarginalLogLikelihood(process.likelihood, process)
        fit_gpytorch_mll(likelihood, optimizer_kwargs=limit, max_attempts=1)
        with torch.no_grad():
            return np.asarray(process.posterior(torch.as_tensor(more)).mean[:, 0].numpy())


def by_embedding(encoder: Encoder, x: Rows, y: Rows, others: Rows) -> Rows:
    """Return what the process of `sampler="botorch"` predicts."""
    import torch

    from tunekit.samplers.botorch.embedding import UnionEmbedding
    from tunekit.samplers.botorch.fitting import fitted
    from tunekit.samplers.botorch.processes import process_of

    embedding = UnionEmbedding(encoder, torch.device("cpu"))
    rows, more = (embedding(embedding.tensor(part)) for part in (x, others))
    values = torch.as_tensor(y)
    fit = fitted(rows, values, np.argsort(y).tolist())
    return np.asarray(process_of(rows, values, fit).joint(more)[0].numpy())


PROCESSES: dict[str, Process] = {
    "embedding": by_embedding,
    "hierarchy": lambda *data: by_hierarchy(*data, is_sparse=False),
    "hierarchy-saas": lambda *data: by_hierarchy(*data, is_sparse=True),
}


def measured(problem: Problem, seed: int, n_trials: int, process: Process) -> tuple[float, float]:
    """Return the error as a share of that of the trials' mean alone, and the CPU seconds."""
    rng = np.random.default_rng(seed)
    encoder = Encoder(problem.space)
    points = [sample(problem.space, rng) for _ in range(n_trials + N_UNSEEN)]
    x, losses = encoder.encode(points), np.array([problem.evaluate(p) for p in points])
    y, wanted = losses[:n_trials], losses[n_trials:]
    began = time.process_time()
    found = process(encoder, x[:n_trials], (y - y.mean()) / y.std(), x[n_trials:])
    seconds = time.process_time() - began
    errors = np.stack([found * y.std() + y.mean() - wanted, y.mean() - wanted])
    error, of_mean = np.sqrt(np.mean(errors**2, axis=1))
    return float(error / of_mean), seconds


def hierarchy(arguments: argparse.Namespace) -> None:
    """Print a row for each problem, number of trials and process."""
    import torch

    torch.set_num_threads(1)
    by_embedding(*_warm_up())  # the imports are nobody's seconds
    print("| problem | trials | process | error of each seed | mean | CPU s a fit |")
    print("|---|---|---|---|---|---|", flush=True)
    seeds = range(1, arguments.seeds + 1)
    problems = {s: {p.name.split("-")[0]: p for p in suite("trees", s)} for s in seeds}
    for name, first in problems[1].items():
        if arguments.only and name.removeprefix("trees/") not in arguments.only:
            continue
        if not is_expressible(Encoder(first.space)):
            print(f"| {name} | | left out: several values open a parameter | | | |", flush=True)
            continue
        for n in arguments.trials or (30, 60):
            for label in arguments.process or PROCESSES:
                found = [measured(problems[s][name], s, n, PROCESSES[label]) for s in seeds]
                errors, seconds = np.array(found).T
                cells = " ".join(f"{e:.2f}" for e in errors)
                row = f"{name} | {n} | {label} | {cells} | {errors.mean():.2f}"
                print(f"| {row} | {seconds.mean():.1f} |", flush=True)


def _warm_up() -> Any:
    rows = np.linspace(0.0, 1.0, 4)[:, None]
    return Encoder(Space(x=Float(0.0, 1.0))), rows, rows[:, 0], rows
