"""Fits the law of learning rate and batch size to finished runs."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

from tunekit_surrogates.scaling.cautions import Caution, merged
from tunekit_surrogates.scaling.choice import chosen_method, laws_by
from tunekit_surrogates.scaling.design import Exponents
from tunekit_surrogates.scaling.doubts import doubts_about_laws, doubts_about_runs
from tunekit_surrogates.scaling.law import ScalingLaw
from tunekit_surrogates.scaling.methods import Laws
from tunekit_surrogates.scaling.optima import OptimumMethod, cell_optima
from tunekit_surrogates.scaling.priors import Priors
from tunekit_surrogates.scaling.runs import Runs
from tunekit_surrogates.scaling.surface import Surface, fit_surface

Method = Literal["auto", "surface", "cells", "threshold", "quadratic"]


def fit_law(
    runs: Runs,
    *,
    priors: Priors | None = None,
    method: Method = "auto",
    exponents: Exponents = "shared",
    optimum: OptimumMethod = "plateau",
    n_bootstraps: int = 1000,
    rng: np.random.Generator | None = None,
) -> ScalingLaw:
    """Return the laws of learning rate, batch size, weight decay and loss behind the runs.

    Args:
        runs: the runs, of two scales or more.
        priors: priors on the exponents; `Priors.none()` leaves them to the runs.
        method: "surface" fits one surface through all runs; "cells" regresses the optimum of
            each cell; "threshold" is the published recipe, least squares through the runs within
            0.25 % of the best of their cell; "quadratic" is one quadratic through all runs.
            "auto" takes the surface unless another foresees the largest cells clearly better.
        exponents: whether the labels of `runs.factor` share their exponents or have their own.
        optimum: how "cells" finds the optimum of a cell.
        n_bootstraps: resamples of "threshold" and "quadratic".
        rng: where the resamples come from; without one the answer is still the same each time.

    Raises:
        ValueError: if the runs have one scale alone, fewer than three finite losses, or losses
            that grow with compute; if the method is unknown or needs more runs.
    """
    if method not in get_args(Method):
        raise ValueError(
            f"method '{method}' is not known; choose one of {', '.join(get_args(Method))}."
        )
    priors = priors or Priors()
    _refuse_one_cell(runs)
    cautions = merged(runs.cautions, doubts_about_runs(runs, cell_optima(runs)))
    surface = fit_surface(runs, priors=priors, exponents=exponents)
    found: str = method
    if method == "auto":
        found = chosen_method(runs, priors=priors, exponents=exponents)
    laws = laws_by(
        found,
        runs,
        priors=priors,
        exponents=exponents,
        optimum=optimum,
        surface=surface,
        n_bootstraps=n_bootstraps,
        rng=rng,
    )
    cautions = merged(
        cautions, doubts_about_laws(runs, {"lr": laws.lr, "bs": laws.bs}, known=cautions)
    )
    return _law(runs, surface, laws, method=found, cautions=cautions)


def _law(
    runs: Runs, surface: Surface, laws: Laws, *, method: str, cautions: tuple[Caution, ...]
) -> ScalingLaw:
    return ScalingLaw(
        lr=laws.lr,
        bs=laws.bs,
        tau=laws.tau or surface.tau,
        bowl=surface.bowl,
        loss=surface.loss,
        loss_offsets=surface.loss_offsets,
        noise=surface.noise,
        method=method,
        factors=() if runs.factor is None else tuple(np.unique(runs.factor).tolist()),
        n_range=(float(runs.n.min()), float(runs.n.max())),
        d_range=(float(runs.d.min()), float(runs.d.max())),
        compute=float((runs.n * runs.d).max()),
        counting=runs.counting,
        cautions=cautions,
    )


def _refuse_one_cell(runs: Runs) -> None:
    scales = np.unique(np.column_stack([runs.n, runs.d]), axis=0)
    if len(scales) < 2:
        raise ValueError(
            f"all runs have n={scales[0, 0]:g} and d={scales[0, 1]:g}, and a law over scales needs"
            " two or more; add runs of another size or number of tokens."
        )
