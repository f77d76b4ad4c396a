"""Studies with one seeded sickness each, and sound ones of many kinds, for the health checks."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tunekit.analysis.health import StudyHealth, study_health
from tunekit.history import History
from tunekit.records import ObjectiveSpec, StudySpec, TrialRecord, TrialState
from tunekit.samplers.base import sample
from tunekit.spaces import Categorical, Float, Int, Params, Space

LOSS = ObjectiveSpec("loss")

FLAT = Space(lr=Float(1e-5, 1.0, log=True), width=Int(8, 512, log=True), drop=Float(0.0, 0.9))
TREE = Space(
    model=Categorical(
        {
            "svm": Space(c=Float(1e-3, 1e3, log=True), kernel=["rbf", "linear", "poly"]),
            "forest": Space(depth=Int(2, 32), share=Float(0.1, 1.0)),
            "net": Space(lr=Float(1e-5, 1.0, log=True), layers=Int(1, 8)),
        }
    ),
    scale=Float(0.0, 1.0),
)
MIXED = Space(
    {f"x{i}": Float(0.0, 1.0) for i in range(5)},
    act=["relu", "gelu", "tanh"],
    norm=bool,
    n=Int(1, 20),
)
WIDE = Space({f"x{i}": Float(-5.0, 5.0) for i in range(12)})


@dataclass(frozen=True)
class Seeded:
    """A study as the checks take it."""

    space: Space
    spec: StudySpec
    trials: list[TrialRecord]
    steps: Mapping[int, list[int]] = field(default_factory=dict)

    def history(self) -> History:
        history = History(self.spec.objectives, self.spec.constraints, self.space.target)
        history.update([replace(t, seq=t.number + 1) for t in self.trials], len(self.trials))
        return history

    def health(self, history: History | None = None) -> StudyHealth:
        return study_health(history or self.history(), self.space, self.spec, lambda: self.steps)


def bowl(
    space: Space, best: Mapping[str, float], weights: float = 1.0
) -> Callable[[Params], float]:
    """Return a smooth loss; `best` has the place of the optimum by path, 0.4 where not named."""

    def loss(params: Params) -> float:
        total = 0.0
        for path, value in params.items():
            domain = space.by_path[path].domain
            place = domain.to_unit(value)
            if isinstance(domain, Categorical):
                total += 0.15 * domain.index(value) / len(domain.choices)
            else:
                total += weights * (place - best.get(path, 0.4)) ** 2
        return total

    return loss


def study(
    space: Space,
    loss: Callable[[Params], float],
    *,
    n: int,
    seed: int,
    noise: float = 0.0,
    sampler: str = "random",
    max_trials: int | None = None,
    repeats: int = 1,
) -> Seeded:
    """Return a study of `n` trials.

    Args:
        space: its space.
        loss: of a point.
        n: number of trials.
        seed: of the draws.
        noise: standard deviation of what is added to the loss.
        sampler: "random", or "greedy" for one that closes in on the best points so far.
        max_trials: budget stored with it.
        repeats: trials of each point, on blocks of their own.
    """
    rng = np.random.default_rng(seed)
    trials: list[TrialRecord] = []
    point = Params()
    for number in range(n):
        if number % repeats == 0:
            point = _proposed(space, trials, rng, sampler)
        value = loss(point) + noise * float(rng.normal())
        trials.append(complete(number, point, value, evidence={"block": number % repeats}))
    attrs: dict[str, Any] = {} if max_trials is None else {"max_trials": max_trials}
    return Seeded(space, StudySpec("seeded", (LOSS,), space=space, attrs=attrs), trials)


def complete(number: int, point: Params, value: float, **more: Any) -> TrialRecord:
    made: dict[str, Any] = {"sampler": "random", "metrics": {"loss": float(value)}, **more}
    return TrialRecord(number, TrialState.COMPLETE, params=point, worker="a/1", **made)


def _proposed(
    space: Space, trials: list[TrialRecord], rng: np.random.Generator, sampler: str
) -> Params:
    if sampler == "random" or len(trials) < 10 or rng.random() < 0.2:
        return sample(space, rng)
    top = sorted(trials, key=lambda t: t.metrics["loss"])[: max(3, len(trials) // 10)]
    parent = top[int(rng.integers(len(top)))].params
    assert parent is not None
    other, near = sample(space, rng), dict(parent)
    for path in near:
        domain = space.by_path[path].domain
        if isinstance(domain, Categorical):
            continue
        place = domain.to_unit(near[path]) + 0.1 * float(rng.normal())
        near[path] = domain.from_unit(min(1.0, max(0.0, place)))
    return space.complete(near) if set(near) != set(other) or rng.random() < 0.9 else other


# Sick studies by the check that has to find them.


def at_a_boundary(seed: int) -> Seeded:
    return study(FLAT, bowl(FLAT, {"lr": 1.5}), n=80, seed=seed, sampler="greedy")


def at_a_boundary_of_a_branch(seed: int) -> Seeded:
    bowl_ = bowl(TREE, {"model.svm.c": -0.3})

    def loss(params: Params) -> float:
        return bowl_(params) - 1.5 * (params["model"] == "svm")

    return study(TREE, loss, n=150, seed=seed, sampler="greedy")


def unpredictable(seed: int) -> Seeded:
    return study(MIXED, lambda _: 0.0, n=120, seed=seed, noise=1.0)


def constant(seed: int) -> Seeded:
    return study(FLAT, lambda _: 0.25, n=40, seed=seed)


def noisy(seed: int) -> Seeded:
    return study(FLAT, bowl(FLAT, {}, 0.02), n=120, seed=seed, noise=1.0, repeats=3)


def repeating(seed: int) -> Seeded:
    whole = study(FLAT, bowl(FLAT, {}), n=60, seed=seed)
    trials = [replace(whole.trials[t.number % 30], number=t.number) for t in whole.trials]
    return replace(whole, trials=trials)


def with_a_failing_worker(seed: int) -> Seeded:
    whole = study(FLAT, bowl(FLAT, {}), n=80, seed=seed)
    rng = np.random.default_rng(seed)
    trials = []
    for t in whole.trials:
        worker = f"host{rng.integers(4)}/1"
        trials.append(_failed(t, worker) if worker == "host2/1" else replace(t, worker=worker))
    return replace(whole, trials=trials)


def with_a_failing_branch(seed: int) -> Seeded:
    whole = study(TREE, bowl(TREE, {}), n=80, seed=seed)
    trials = [
        _failed(t, t.worker) if t.params is not None and t.params["model"] == "forest" else t
        for t in whole.trials
    ]
    return replace(whole, trials=trials)


def _failed(t: TrialRecord, worker: str) -> TrialRecord:
    return replace(
        t, state=TrialState.FAILED, metrics={}, worker=worker, end_reason="CUDA error: no device",
    )  # fmt: skip


def behind_its_baseline(seed: int) -> Seeded:
    whole = study(MIXED, bowl(MIXED, {}), n=60, seed=seed)
    first = complete(0, MIXED.default(), -0.5, sampler="user")
    return replace(whole, trials=[first, *whole.trials[1:]])


def with_an_idle_stopper(seed: int) -> Seeded:
    whole = study(FLAT, bowl(FLAT, {}), n=60, seed=seed)
    steps = {t.number: list(range(1, 21)) for t in whole.trials}
    return replace(whole, spec=replace(whole.spec, stopper="asha"), steps=steps)


def with_a_wrong_stopper(seed: int) -> Seeded:
    whole = study(FLAT, bowl(FLAT, {}), n=100, seed=seed)
    ranked = sorted(whole.trials, key=lambda t: t.metrics["loss"])
    audited = {t.number for t in ranked[:4]}
    stopped = {t.number for t in ranked[10:40]}
    trials = [_judged(t, audited, stopped) for t in whole.trials]
    steps = {t.number: list(range(1, 6 if t.number in stopped else 21)) for t in trials}
    return replace(whole, spec=replace(whole.spec, stopper="asha"), trials=trials, steps=steps)


def with_a_stopper(seed: int) -> Seeded:
    """Return a sound study with a stopper that is right."""
    whole = study(FLAT, bowl(FLAT, {}), n=100, seed=seed)
    ranked = sorted(whole.trials, key=lambda t: t.metrics["loss"])
    audited = {t.number for t in ranked[50:54]}
    stopped = {t.number for t in ranked[60:]}
    trials = [_judged(t, audited, stopped) for t in whole.trials]
    steps = {t.number: list(range(1, 6 if t.number in stopped else 21)) for t in trials}
    return replace(whole, spec=replace(whole.spec, stopper="asha"), trials=trials, steps=steps)


def _judged(t: TrialRecord, audited: set[int], stopped: set[int]) -> TrialRecord:
    facts = {"stopper": "asha", "step": 5}
    if t.number in audited:
        return replace(t, stop_evidence={"audit": facts})
    if t.number in stopped:
        return replace(t, state=TrialState.STOPPED, stop_evidence=facts)
    return t


def at_the_end_of_its_budget(seed: int) -> Seeded:
    whole = study(WIDE, bowl(WIDE, {}), n=90, seed=seed, max_trials=100)
    rng = np.random.default_rng(seed)
    order = sorted(whole.trials, key=lambda t: -t.metrics["loss"] + 0.08 * float(rng.normal()))
    trials = [replace(t, number=number) for number, t in enumerate(order)]
    return replace(whole, trials=trials)


SICK: dict[str, tuple[str, Callable[[int], Seeded]]] = {
    "boundary": ("boundary", at_a_boundary),
    "boundary of a branch": ("boundary", at_a_boundary_of_a_branch),
    "unpredictable": ("predictability", unpredictable),
    "constant": ("predictability", constant),
    "noisy": ("noise", noisy),
    "duplicates": ("duplicates", repeating),
    "failing worker": ("failures", with_a_failing_worker),
    "failing branch": ("failures", with_a_failing_branch),
    "baseline": ("baseline", behind_its_baseline),
    "idle stopper": ("stopping", with_an_idle_stopper),
    "wrong stopper": ("stopping", with_a_wrong_stopper),
    "budget": ("budget", at_the_end_of_its_budget),
}
"""Name -> the check that has to find it, and what makes it from a seed."""


def two_objectives(seed: int) -> Seeded:
    whole = study(MIXED, bowl(MIXED, {}), n=80, seed=seed, sampler="greedy")
    size = bowl(MIXED, {f"x{i}": 0.8 for i in range(5)})
    goals = (LOSS, ObjectiveSpec("size"))
    trials = [
        replace(t, metrics={**t.metrics, "size": size(t.params or Params())}) for t in whole.trials
    ]
    return replace(whole, spec=replace(whole.spec, objectives=goals), trials=trials)


def with_some_failures(seed: int) -> Seeded:
    whole = study(TREE, bowl(TREE, {}), n=100, seed=seed)
    rng = np.random.default_rng(seed)
    trials = []
    for t in whole.trials:
        worker = f"host{rng.integers(4)}/1"
        trials.append(_failed(t, worker) if rng.random() < 0.08 else replace(t, worker=worker))
    return replace(whole, trials=trials)


SOUND: dict[str, Callable[[int], Seeded]] = {
    "random": lambda s: study(FLAT, bowl(FLAT, {}), n=100, seed=s),
    "random with a budget": lambda s: study(FLAT, bowl(FLAT, {}), n=100, seed=s, max_trials=100),
    "greedy": lambda s: study(FLAT, bowl(FLAT, {}), n=100, seed=s, sampler="greedy"),
    "greedy, long, with a budget": lambda s: study(
        FLAT, bowl(FLAT, {}), n=400, seed=s, sampler="greedy", max_trials=400
    ),
    "conditional": lambda s: study(TREE, bowl(TREE, {}), n=100, seed=s),
    "conditional, greedy": lambda s: study(TREE, bowl(TREE, {}), n=200, seed=s, sampler="greedy"),
    "mixed": lambda s: study(MIXED, bowl(MIXED, {}), n=100, seed=s, sampler="greedy"),
    "wide": lambda s: study(WIDE, bowl(WIDE, {}), n=120, seed=s, sampler="greedy"),
    "noisy": lambda s: study(FLAT, bowl(FLAT, {}), n=150, seed=s, noise=0.08),
    "noisy, conditional": lambda s: study(TREE, bowl(TREE, {}), n=150, seed=s, noise=0.08),
    "noisy with repeats": lambda s: study(
        FLAT, bowl(FLAT, {}), n=90, seed=s, noise=0.08, repeats=3
    ),
    "noisy, greedy, repeats": lambda s: study(
        FLAT, bowl(FLAT, {}), n=120, seed=s, noise=0.05, repeats=2, sampler="greedy"
    ),
    "three trials": lambda s: study(FLAT, bowl(FLAT, {}), n=3, seed=s),
    "twelve trials": lambda s: study(MIXED, bowl(MIXED, {}), n=12, seed=s),
    "thirty trials": lambda s: study(TREE, bowl(TREE, {}), n=30, seed=s),
    "one parameter": lambda s: study(
        Space(x=Float(0.0, 1.0)), bowl(Space(x=Float(0.0, 1.0)), {}), n=50, seed=s
    ),
    "optimum near a bound": lambda s: study(
        FLAT, bowl(FLAT, {"lr": 0.88}), n=120, seed=s, sampler="greedy"
    ),
    "two objectives": two_objectives,
    "some failures": with_some_failures,
    "a good stopper": with_a_stopper,
}  # fmt: skip
"""Twenty sound studies by name: what makes them from a seed."""
