"""An object of Optuna's samplers that the user made."""

from __future__ import annotations

import copy
import secrets
from collections.abc import Iterator, Sequence
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
    """Proposes what an object of Optuna's samplers does.

    Its own seed keys it: before each proposal its generators are seeded anew from that seed and
    the trial's number, so that a process that goes on proposes the same. A sampler with
    generators of another kind keeps them as they are.

    Args:
        sampler: the object.

    Attributes:
        seed: drawn from the object's own generator, so that it follows from its seed.

    Raises:
        InvalidArgument: it computes constraints from the trial, which the study measures here.
    """

    def __init__(self, sampler: BaseSampler) -> None:
        if getattr(sampler, "_constraints_func", None) is not None:
            raise InvalidArgument(
                f"sampler={type(sampler).__name__}(constraints_func=...): a study bounds what its "
                'trials measure; return the value as a metric and give constraints=["c <= 0"].'
            )
        self.name = type(sampler).__name__
        self._class = type(sampler)
        self._given = sampler
        self._codec = None
        self._told = {}
        first = next(_generators(sampler), None)
        # A copy is asked, so that making a study does not move the object's own generator.
        self.seed = (
            secrets.randbits(31)
            if first is None
            else int(copy.deepcopy(first.rng).randint(2**31 - 1))
        )

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each knows of those before it.

        Raises:
            InvalidSpace: no point was found that satisfies the constraints of the space.
            InvalidArgument: the sampler handles one objective and the study has several.
        """
        return super().suggest(replace(view, seed=self.seed), numbers)

    def _fresh(self, study_seed: int, rng: np.random.Generator) -> BaseSampler:
        for generator in _generators(self._given):
            generator.rng.seed(int(rng.integers(2**32)))
        return self._given


def _generators(sampler: object) -> Iterator[Any]:
    """Yield the random generators of a sampler and of those within it."""
    for part in vars(sampler).values():
        if type(part).__name__ == "LazyRandomState":
            yield part
        elif any(c.__name__ == "BaseSampler" for c in type(part).__mro__):
            yield from _generators(part)
