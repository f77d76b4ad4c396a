"""Converts the parameters and trials of a study to Optuna's.

Importing this module imports Optuna.
"""

from __future__ import annotations

import hashlib
import io
import math
import pickle
from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

from tunekit.errors import InvalidParams, InvalidSpace
from tunekit.history import History
from tunekit.records import TrialRecord, TrialState
from tunekit.samplers.grid import n_steps
from tunekit.spaces import Categorical, Constant, Float, Int, Parameter, Scalar, Space
from tunekit.stoppers.optuna_trials import OptunaTrials

SPECIAL = "#special"
"""Suffix of a path for the switch between a parameter's special values and its range."""

_RUNNING = (TrialState.RUNNING, TrialState.PREEMPTED, TrialState.PAUSED)

# Everything that the optimisers of the package cmaes consist of, which is data only.
_HARMLESS = {
    ("cmaes._cma", "CMA"),
    ("cmaes._sepcma", "SepCMA"),
    ("cmaes._cmawm", "CMAwM"),
    ("numpy", "dtype"),
    ("numpy", "ndarray"),
    *(
        (f"numpy.{core}.multiarray", f)
        for core in ("core", "_core")
        for f in ("scalar", "_reconstruct")
    ),
}


class Codec:
    """Converts the parameters of a space to Optuna's and back.

    A choice becomes its position, whatever its value; an ordered categorical becomes an integer.
    A parameter with special values is suggested in two steps: first a special value or the range,
    then, for the range, the number.
    """

    def __init__(self, space: Space) -> None:
        self.space = space
        self.asked: dict[str, dict[str, BaseDistribution]] = {
            p.path: _distributions(p) for p in space if not isinstance(p.domain, Constant)
        }
        text = repr(sorted(self.asked.items()))
        self.fingerprint = hashlib.sha256(text.encode()).hexdigest()[:16]

    def told(self, params: Mapping[str, Scalar]) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return a point as Optuna's params and distributions.

        Values that are no longer in the space are left out; the rest of the point is kept.
        """
        out: dict[str, Any] = {}
        for path, value in params.items():
            if path in self.asked:
                try:
                    out.update(_internal(self.space.by_path[path], value))
                except InvalidParams:
                    continue
        found = {k: d for per in self.asked.values() for k, d in per.items() if k in out}
        return out, found

    def ask(self, trial: optuna.Trial, parameter: Parameter) -> Scalar:
        """Return Optuna's suggestion as a value of the parameter's domain."""
        path, domain = parameter.path, parameter.domain
        if isinstance(domain, Categorical):
            return domain.choices[int(_suggest(trial, path, self.asked[path][path]))]
        assert isinstance(domain, Float | Int)
        if domain.special:
            k = _suggest(trial, path + SPECIAL, self.asked[path][path + SPECIAL])
            if k < len(domain.special):
                return domain.special[int(k)]
        value = _suggest(trial, path, self.asked[path][path])
        if isinstance(domain, Float) and domain.step is not None:
            value = domain.lo + round((value - domain.lo) / domain.step) * domain.step
        # The ends of Optuna's ranges may lie outside ours by a rounding error.
        found: Scalar = domain.validate(min(max(value, domain.lo), domain.hi), path)
        return found


def _distributions(p: Parameter) -> dict[str, BaseDistribution]:
    domain = p.domain
    if isinstance(domain, Categorical):
        n = len(domain.choices)
        if domain.ordered:
            return {p.path: IntDistribution(0, n - 1)}
        return {p.path: CategoricalDistribution(range(n))}
    if not isinstance(domain, Float | Int):
        raise InvalidSpace(
            f'parameter "{p.path}": Optuna does not support {type(domain).__name__}; use Float, '
            'Int or Categorical, or the sampler "random".'
        )
    found: dict[str, BaseDistribution] = {}
    if domain.special:
        found[p.path + SPECIAL] = CategoricalDistribution(range(len(domain.special) + 1))
    found[p.path] = number_distribution(domain)
    return found


def number_distribution(domain: Float | Int) -> BaseDistribution:
    """Return the range of a number, without its special values."""
    step = domain.step
    hi = domain.hi
    if step is not None:
        # Optuna reads bounds as decimals, in which 3 * 0.1 in floats is not a multiple of the
        # step 0.1. If the true bound is not a float, Optuna gets no step and we round its answer.
        exact = Decimal(str(domain.lo)) + (n_steps(domain) - 1) * Decimal(str(step))
        hi = float(exact)
        step = step if Decimal(str(hi)) == exact else None
    if isinstance(domain, Int):
        return IntDistribution(int(domain.lo), int(hi), log=domain.log, step=int(step or 1))
    return FloatDistribution(domain.lo, hi, log=domain.log, step=step)


def _internal(p: Parameter, value: Scalar) -> dict[str, Any]:
    value = p.domain.validate(value, p.path)
    if isinstance(p.domain, Categorical):
        return {p.path: p.domain.index(value)}
    special = getattr(p.domain, "special", ())
    if not special:
        return {p.path: value}
    if value in special:
        return {p.path + SPECIAL: special.index(value)}
    return {p.path + SPECIAL: len(special), p.path: value}


def _suggest(trial: optuna.Trial, name: str, d: BaseDistribution) -> Any:
    if isinstance(d, CategoricalDistribution):
        return trial.suggest_categorical(name, d.choices)
    if isinstance(d, IntDistribution):
        return trial.suggest_int(name, d.low, d.high, log=d.log, step=d.step)
    assert isinstance(d, FloatDistribution)
    return trial.suggest_float(name, d.low, d.high, log=d.log, step=d.step)


def told_trial(record: TrialRecord, history: History, codec: Codec) -> FrozenTrial | None:
    """Return a trial as Optuna's, `None` if its params are unknown or it is waiting.

    Finite results become COMPLETE, stopped trials PRUNED with their last values, running and
    paused ones RUNNING, all others FAIL (which Optuna's samplers ignore).
    """
    if record.params is None or record.state is TrialState.WAITING:
        return None
    params, distributions = codec.told(record.params)
    trial = running_trial(record.number, params, distributions, kept_attrs(record, codec))
    if record.state not in _RUNNING:
        _finish(trial, record, history)
    return trial


def running_trial(
    number: int,
    params: dict[str, Any],
    distributions: dict[str, BaseDistribution],
    system_attrs: dict[str, Any],
) -> FrozenTrial:
    """Return a running Optuna trial whose id is its number."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=OptunaState.RUNNING,
        value=None,
        datetime_start=None,
        datetime_complete=None,
        params=params,
        distributions=distributions,
        user_attrs={},
        system_attrs=system_attrs,
        intermediate_values={},
    )


def _finish(trial: FrozenTrial, record: TrialRecord, history: History) -> None:
    values = [float(record.metrics.get(o.metric, math.nan)) for o in history.objectives]
    slacks = {str(c): c.slack(record.metrics) for c in history.constraints}
    finite = all(map(math.isfinite, values))
    bounded = all(map(math.isfinite, slacks.values()))
    trial.state = OptunaState.FAIL
    if record.state is TrialState.COMPLETE and finite and bounded:
        trial.state = OptunaState.COMPLETE
        trial.values = values
    elif record.state is TrialState.STOPPED:
        trial.state = OptunaState.PRUNED
        if finite and len(values) == 1:  # Optuna compares pruned trials by a single value
            step = record.stop_evidence.get("step", 0)
            trial.intermediate_values = {step if isinstance(step, int) else 0: values[0]}
    if trial.state is not OptunaState.FAIL and bounded:
        for name, slack in slacks.items():
            trial.set_constraint(name, slack)


def kept_attrs(record: TrialRecord, codec: Codec, kind: str = "trial") -> dict[str, Any]:
    """Return the attributes an Optuna sampler stored, empty if the space has changed since."""
    evidence = record.evidence
    if evidence.get("space") != codec.fingerprint or not isinstance(evidence.get(kind), Mapping):
        return {}
    attrs = dict(evidence[kind])
    if not _is_harmless(attrs):
        return {}
    return attrs


def _is_harmless(attrs: Mapping[str, Any]) -> bool:
    """Return whether a pickled CMA-ES optimiser, which Optuna would load, contains only data.

    Database content is not trusted: a loader that allows only a handful of classes reads the same
    bytes first.
    """
    parts: dict[str, list[tuple[int, str]]] = {}
    for key, value in attrs.items():
        prefix, found, index = key.partition("optimizer:")
        if found:
            if not isinstance(value, str) or not index.isdigit():
                return False
            parts.setdefault(prefix, []).append((int(index), value))
    for chunks in parts.values():
        text = "".join(value for _, value in sorted(chunks))
        try:
            _CmaLoader(io.BytesIO(bytes.fromhex(text))).load()
        except Exception:  # a damaged pickle may raise almost anything
            return False
    return True


class _CmaLoader(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _HARMLESS:
            raise pickle.UnpicklingError(f"{module}.{name} is not part of a CMA-ES optimiser")
        return super().find_class(module, name)


def told_trials(records: Iterable[TrialRecord], history: History, codec: Codec) -> OptunaTrials:
    """Return the trials with known params as Optuna's."""
    found = OptunaTrials()
    for record in records:
        trial = told_trial(record, history, codec)
        if trial is not None:
            found.put(trial)
    return found
