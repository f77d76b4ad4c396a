"""What a long study costs to read: its front, table, importance, first proposal, median rule.

The trials are the same for both libraries. Each scenario fills a study, opens it anew and reads
it once, so that whatever is imported or built at the first question counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import numpy as np

NAMES = [f"x{i}" for i in range(10)]
N_REPORTS = 10
N_JUDGED = 20


def front(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the front of two objectives."""
    study = _filled(library, request, n_objectives=2)
    return _timed(lambda: len(study.best_trials), study)


def first_table(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the first data frame of the trials."""
    import pandas  # noqa: F401 - both need it

    study = _filled(library, request)
    return _timed(lambda: len(study.trials_dataframe()), study)


def first_importance(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the first importance of the parameters, by PED-ANOVA in both."""
    study = _filled(library, request)
    if request["library"] == "tunekit":
        return _timed(lambda: len(study.importance()), study)

    def shares() -> int:
        from optuna.importance import PedAnovaImportanceEvaluator, get_param_importances

        return len(get_param_importances(study, evaluator=PedAnovaImportanceEvaluator()))

    return _timed(shares, study)


def first_proposal(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the first proposal of the default sampler, with all its imports."""
    study = _filled(library, request)

    def proposed() -> int:
        trial = study.ask()
        for name in NAMES if request["library"] == "optuna" else ():
            trial.suggest_float(name, 0.0, 1.0)
        return len(trial.params)

    return _timed(proposed, study)


def median_report(library: Any, request: dict[str, Any]) -> dict[str, Any]:
    """Return the cost of a report under the median rule after `n` trials; trials included."""
    study = library.create(request["study"])
    library.run(study, request["n"], lambda number: None, N_REPORTS)
    begins: list[float] = []

    def objective(trial: Any) -> float:
        begins.append(time.process_time())
        for step in range(N_REPORTS):
            trial.report(0.0, step)
            if request["library"] == "optuna":
                trial.should_prune()
        return 0.0

    if request["library"] == "tunekit":
        study = library.tk.study(
            request["study"], storage=library.url, sampler="random", stopper="median"
        )

    else:
        study = library.load(request["study"])
    study.optimize(objective, n_trials=N_JUDGED + 1)
    # The first trial pays for reading the study, as a worker does once.
    n = N_JUDGED * N_REPORTS
    return {"cpu_s": (time.process_time() - begins[1]) / n, "n": n}


def _timed(question: Callable[[], int], study: Any) -> dict[str, Any]:
    len(study.trials)  # reading the study is another table's matter
    begin = time.process_time()
    n = question()
    return {"cpu_s": time.process_time() - begin, "n": n}


def _filled(library: Any, request: dict[str, Any], *, n_objectives: int = 1) -> Any:
    """Return a study of `n` complete trials with uniform points, opened anew."""
    x = np.random.default_rng(0).random((request["n"], len(NAMES)))
    targets = np.linspace(0.2, 0.8, n_objectives)
    values = ((x[:, None] - targets[None, :, None]) ** 2).sum(axis=2).tolist()
    points = [dict(zip(NAMES, row, strict=True)) for row in x.tolist()]
    fill = _fill_tunekit if request["library"] == "tunekit" else _fill_optuna
    return fill(library, request["study"], points, values)


def _fill_tunekit(
    library: Any, name: str, points: list[dict[str, float]], values: list[list[float]]
) -> Any:
    from tunekit.records import TrialRecord, TrialState
    from tunekit.spaces import Params

    metrics = [f"value_{i}" for i in range(len(values[0]))]
    space = library.tk.Space({k: library.tk.Float(0.0, 1.0) for k in NAMES})
    study = library.tk.study(name, space=space, objectives=metrics, storage=library.url, seed=1)
    trials = [
        TrialRecord(
            i,
            TrialState.COMPLETE,
            params=Params(point),
            sampler="random",
            metrics=dict(zip(metrics, found, strict=True)),
        )
        for i, (point, found) in enumerate(zip(points, values, strict=True))
    ]
    study.add_trials(trials)
    return library.tk.load_study(name, storage=library.url)


def _fill_optuna(
    library: Any, name: str, points: list[dict[str, float]], values: list[list[float]]
) -> Any:
    optuna = library.optuna
    ranges = {k: optuna.distributions.FloatDistribution(0.0, 1.0) for k in NAMES}
    directions = ["minimize"] * len(values[0])
    study = optuna.create_study(study_name=name, storage=library.url, directions=directions)
    study.add_trials(
        [
            optuna.trial.create_trial(params=point, distributions=ranges, values=found)
            for point, found in zip(points, values, strict=True)
        ]
    )
    return optuna.load_study(study_name=name, storage=library.url)


SCENARIOS = (front, first_table, first_importance, first_proposal, median_report)
