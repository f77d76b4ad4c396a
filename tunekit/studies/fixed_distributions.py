"""Suggests the parameters of a trial by Optuna's distributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument
from tunekit.executors.trial import Trial


def suggest_all(trial: Trial, distributions: Mapping[str, Any]) -> None:
    """Let the trial suggest each of these parameters, as the objective would.

    Raises:
        InvalidArgument: one of them is not an Optuna distribution.
        UnknownParameter: the declared space has no such active parameter.
    """
    for name, d in distributions.items():
        kind = type(d).__name__
        if kind == "FloatDistribution":
            trial.suggest_float(name, d.low, d.high, step=d.step, log=d.log)
        elif kind == "IntDistribution":
            trial.suggest_int(name, d.low, d.high, step=d.step, log=d.log)
        elif kind == "CategoricalDistribution":
            trial.suggest_categorical(name, d.choices)
        else:
            raise InvalidArgument(
                f"fixed_distributions: {shown(name)} is {shown(d)}, expected a FloatDistribution, "
                "IntDistribution or CategoricalDistribution of optuna.distributions."
            )
