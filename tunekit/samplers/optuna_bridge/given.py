"""Runs an Optuna sampler object that the user created."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.errors import InvalidArgument
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView
from tunekit.samplers.optuna_bridge.sampler import OptunaSampler

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler


class OptunaSamplerObject(OptunaSampler):
    """Proposes points by a given Optuna sampler object.

    The object's own seed keys it: its generators are reseeded before each proposal from that seed
    and the trial's number, so that a resumed process proposes the same points. Generators of
    unknown kinds are left unchanged.

    Args:
        sampler: the Optuna sampler.

    Attributes:
        seed: drawn from the object's own generator, so that it follows from its seed.

    Raises:
        InvalidArgument: it has a `constraints_func`; a study has constraints on metrics instead.
    """

    def __init__(self, sampler: BaseSampler) -> None:
        if getattr(sampler, "_constraints_func", None) is not None:
            raise InvalidArgument(
                f"sampler={type(sampler).__name__}(constraints_func=...) is not supported; return "
                'the constraint value c as a metric and give constraints=["c <= 0"] to the study.'
            )
        self.name = type(sampler).__name__
        self._class = type(sampler)
        self._given = sampler
        self._told = None
        first = next(_generators(sampler), None)
        # Draws from a copy, so that creating a study does not advance the object's own generator.
        self.seed = (
            secrets.randbits(31)
            if first is None
            else int(copy.deepcopy(first.rng).randint(2**31 - 1))
        )

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each takes the earlier ones as pending.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            InvalidArgument: the sampler handles one objective but the study has several.
        """
        proposals = super().suggest(replace(view, seed=self.seed), numbers)
        if self.name != "PartialFixedSampler":
            return proposals
        answers: Mapping[str, Any] = vars(self._given)["_fixed_params"]
        return [replace(p, answers=answers) for p in proposals]

    def _fresh(self, study_seed: int, rng: np.random.Generator) -> BaseSampler:
        for generator in _generators(self._given):
            generator.rng.seed(int(rng.integers(2**32)))
        return self._given


def _generators(sampler: object) -> Iterator[Any]:
    """Yield the random generators of a sampler and of its nested samplers."""
    for part in vars(sampler).values():
        if type(part).__name__ == "LazyRandomState":
            yield part
        elif any(c.__name__ == "BaseSampler" for c in type(part).__mro__):
            yield from _generators(part)
