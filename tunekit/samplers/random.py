"""`random`: uniform random search over the tree, the baseline for every other sampler."""

from __future__ import annotations

from collections.abc import Sequence

from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, held, known_points, sample
from tunekit.samplers.random_streams import light_stream


class RandomSampler:
    """Proposes independent points, uniform in each domain's unit interval."""

    name = "random"
    may_end = False

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; none depends on another trial.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        return [
            Proposal(
                sample(
                    view.space,
                    light_stream(view.seed, number),
                    held(view, number),
                    known=known_points(view),
                ),
                self.name,
                "a uniform random draw",
            )
            for number in numbers
        ]
