"""Searches with the model of the trials where a language model expects good values.

Its beliefs are a prior like one of the user, with the exponent `STRENGTH / n` after n trials with
a result: the more the study has measured, the less they say.

Reference: Hvarfner et al., 2022, "PiBO: augmenting acquisition functions with user beliefs for
Bayesian optimization".
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tunekit.errors import TunekitError
from tunekit.samplers.bayesian.model_search import FittedSearch
from tunekit.samplers.bayesian.prior_term import PriorTerm
from tunekit.samplers.bayesian.priors import STRENGTH, UserPriors
from tunekit.spaces import Space

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.densities import PriorDensity


def guided_search(fitted: FittedSearch, priors: Mapping[str, Mapping[str, Any]]) -> FittedSearch:
    """Return the search with the beliefs of a language model as priors.

    What the user believes of a parameter counts more.

    Args:
        fitted: the search with the model of the trials.
        priors: path -> belief of the language model.
    """
    densities = _densities(priors, fitted.view.space)
    if not densities:
        return fitted
    model = fitted.model
    term = PriorTerm(model.encoder, densities, exponent=exponent_of(fitted))
    prior = model.prior.joined(term) if isinstance(model.prior, PriorTerm) else term
    return replace(fitted, model=replace(model, prior=prior))


def exponent_of(fitted: FittedSearch) -> float:
    """Return the weight of advised beliefs beside a model."""
    return STRENGTH / max(1, len(fitted.model.data.trials))


def _densities(priors: Mapping[str, Mapping[str, Any]], space: Space) -> dict[str, PriorDensity]:
    """Return path -> density; choices whose names cannot be told apart are left out."""
    found: dict[str, PriorDensity] = {}
    for path, given in priors.items():
        with suppress(TunekitError):
            found |= UserPriors({path: given}).on(space, is_open=False)
    return found
