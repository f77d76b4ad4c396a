"""Searches with the model of the trials where a language model expects good values.

Its ranges are a prior like one of the user, with the exponent `STRENGTH / n` after n trials with a
result: the more the study has measured, the less they say.

Reference: Hvarfner et al., 2022, "PiBO: augmenting acquisition functions with user beliefs for
Bayesian optimization".
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from tunekit.errors import TunekitError
from tunekit.records import Proposal
from tunekit.samplers.bayesian.model_search import FittedSearch
from tunekit.samplers.bayesian.prior_term import PriorTerm
from tunekit.samplers.bayesian.priors import STRENGTH, UserPriors
from tunekit.samplers.llm.ranges import Ranges, belief
from tunekit.spaces import Params, Space

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.densities import PriorDensity


def proposal_within(
    fitted: FittedSearch, ranges: Ranges, number: int, busy: Sequence[Params]
) -> Proposal | None:
    """Return the proposal of a search that the ranges guide, `None` if none of them fits.

    What the user believes of a parameter counts more than the range for it.

    Args:
        fitted: the search with the model of the trials.
        ranges: of the newest advice that has some.
        number: of the trial.
        busy: points that run now.
    """
    densities = _densities(ranges, fitted.view.space)
    if not densities:
        return None
    model = fitted.model
    term = PriorTerm(model.encoder, densities, exponent=exponent(len(model.data.trials)))
    prior = model.prior.joined(term) if isinstance(model.prior, PriorTerm) else term
    return replace(fitted, model=replace(model, prior=prior)).proposal(number, busy)


def exponent(n: int) -> float:
    """Return the weight of the ranges after n trials with a result."""
    return STRENGTH / max(1, n)


def _densities(ranges: Ranges, space: Space) -> dict[str, PriorDensity]:
    """Return path -> density; choices whose names cannot be told apart are left out."""
    found: dict[str, PriorDensity] = {}
    for path, given in ranges.items():
        with suppress(TunekitError):
            priors = UserPriors({path: belief(given, space, path)})
            found |= priors.on(space, is_open=False)
    return found
