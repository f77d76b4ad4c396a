"""Registers the two tree searches under one short name."""

from __future__ import annotations

from typing import Any, Literal

from tunekit.errors import InvalidArgument
from tunekit.registry import check_options
from tunekit.samplers.mcts.deep_architect import DeepArchitectSampler
from tunekit.samplers.mcts.sampler import TreeSearchSampler


def mcts_sampler(
    *, variant: Literal["tree", "deep_architect"] = "tree", **options: Any
) -> TreeSearchSampler | DeepArchitectSampler:
    """Return the sampler `mcts` in one of its variants, each with its own options.

    Raises:
        InvalidArgument: the variant does not exist, or an option lies outside its range.
    """
    if variant == "tree":
        check_options('sampler "mcts"', TreeSearchSampler, options)
        return TreeSearchSampler(**options)
    if variant == "deep_architect":
        check_options('mcts: variant="deep_architect"', DeepArchitectSampler, options)
        return DeepArchitectSampler(**options)
    raise InvalidArgument(f'mcts: variant={variant!r}, expected "tree" or "deep_architect".')
