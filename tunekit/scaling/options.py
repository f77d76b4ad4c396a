"""How a law is fitted, as plain values that are stored with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from typing import Any, get_args

import numpy as np

from tunekit.checks import check_whole, shown
from tunekit.errors import InvalidArgument
from tunekit_surrogates.scaling import CellGap, Priors, Runs, ScalingLaw, fit_law, validate
from tunekit_surrogates.scaling.design import Exponents
from tunekit_surrogates.scaling.fit import Method
from tunekit_surrogates.scaling.priors import Normal


@dataclass(frozen=True, slots=True)
class FitOptions:
    """How a law is fitted; see `tunekit.scaling.fit`."""

    priors: Priors = field(default_factory=Priors)
    method: Method = "auto"
    exponents: Exponents = "shared"
    n_bootstraps: int = 1000
    seed: int = 0

    def __post_init__(self) -> None:
        for name, known in (("method", Method), ("exponents", Exponents)):
            given = getattr(self, name)
            if given not in get_args(known):
                listed = ", ".join(get_args(known))
                raise InvalidArgument(f"scaling: {name}={shown(given)}, expected {listed}.")
        check_whole(self.n_bootstraps, "scaling: n_bootstraps", low=1)
        check_whole(self.seed, "scaling: seed", low=0)

    def fit(self, runs: Runs) -> ScalingLaw:
        """Return the law of runs.

        Raises:
            InvalidArgument: the runs do not support one.
        """
        try:
            return self._fit(runs, priors=self.priors, method=self.method, rng=self._rng())
        except ValueError as error:
            raise InvalidArgument(f"scaling: {error}") from None

    def validate(
        self, runs: Runs, *, fit: Callable[..., ScalingLaw] | None = None
    ) -> list[CellGap]:
        """Return the gap of each cell under the law of all others.

        Args:
            runs: of all cells.
            fit: returns the law instead.

        Raises:
            InvalidArgument: there are too few cells to hold one out.
        """
        try:
            return validate(
                runs,
                priors=self.priors,
                method=self.method,
                rng=self._rng(),
                fit=fit or self._fit,
            )
        except ValueError as error:
            raise InvalidArgument(f"scaling: {error}") from None

    @property
    def _fit(self) -> partial[ScalingLaw]:
        return partial(fit_law, exponents=self.exponents, n_bootstraps=self.n_bootstraps)

    def _rng(self) -> np.random.Generator:
        return np.random.default_rng(self.seed)

    def to_dict(self) -> dict[str, Any]:
        """Return the options as plain JSON; an exponent without a prior has `None`."""
        priors = {
            name: None if math.isinf(prior["sd"]) else [prior["mean"], prior["sd"]]
            for name, prior in asdict(self.priors).items()
        }
        others = {name: getattr(self, name) for name in self.__slots__ if name != "priors"}
        return {"priors": priors, **others}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FitOptions:
        """Return the options that `to_dict` wrote."""
        return cls(**{**values, "priors": priors_of(values["priors"])})


def priors_of(given: Priors | Mapping[str, Any] | None) -> Priors:
    """Return the priors on the exponents.

    Args:
        given: exponent -> (mean, sd), or `None` for no prior, such as
            `{"lr_n": (-0.7, 0.1), "bs_n": None}`; the others keep their defaults.

    Raises:
        InvalidArgument: an exponent that does not exist, or two numbers that are no prior.
    """
    if isinstance(given, Priors):  # nothing checked its fields: they may be pairs, too
        given = {name: getattr(given, name) for name in Priors.__dataclass_fields__}
    known = {name: getattr(Priors(), name) for name in Priors.__dataclass_fields__}
    if given is not None and not isinstance(given, Mapping):
        raise InvalidArgument(
            f"scaling: priors={given!r}, expected exponent -> (mean, sd), such as "
            '{"lr_n": (-0.7, 0.1)}, or None for no prior.'
        )
    for name, prior in (given or {}).items():
        if name not in known:
            raise InvalidArgument(
                f'scaling: there is no exponent "{name}", expected one of {", ".join(known)}.'
            )
        known[name] = _normal(name, prior)
    return Priors(**known)


def _normal(name: str, prior: Any) -> Normal:
    if prior is None:
        return Normal(0.0, math.inf)
    if isinstance(prior, Normal):
        return prior
    try:
        mean, sd = map(float, prior)
        return Normal(mean, sd)
    except (TypeError, ValueError):
        raise InvalidArgument(
            f"scaling: the prior of {name} is {prior!r}, expected a mean and a standard deviation "
            "above 0, or None for no prior."
        ) from None
