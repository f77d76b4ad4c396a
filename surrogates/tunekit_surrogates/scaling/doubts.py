"""What the runs cannot tell: the cautions of a fitted law."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import spearmanr

from tunekit_surrogates.scaling.cautions import Caution
from tunekit_surrogates.scaling.optima import CellOptimum
from tunekit_surrogates.scaling.runs import Runs

FEW_CELLS = 4
"""With fewer cells the exponents are mostly the prior's."""

SAME = 0.05
"""Range of a logarithm below which its values count as one."""


def doubts_about_runs(runs: Runs, optima: Sequence[CellOptimum]) -> list[Caution]:
    """Return cautions about what the runs leave open.

    Raises:
        ValueError: if the best loss grows with the compute, as a metric to be maximised does.
    """
    _refuse_wrong_direction(optima)
    return [*_few(runs, optima), *_edges(runs, optima), *_one_scale(runs)]


def _refuse_wrong_direction(optima: Sequence[CellOptimum]) -> None:
    if len(optima) < 4:
        return
    compute = [o.n * o.d for o in optima]
    loss = [o.loss for o in optima]
    if np.ptp(compute) == 0.0 or np.ptp(loss) == 0.0:
        return
    rank = float(spearmanr(compute, loss).statistic)
    if rank > 0.7:
        raise ValueError(
            f"the best loss of a cell grows with its compute (rank correlation {rank:.2f});"
            " scaling laws need a loss of which the smaller is the better: give the loss, or"
            " for an accuracy the error."
        )


def _few(runs: Runs, optima: Sequence[CellOptimum]) -> list[Caution]:
    n_scales = len(np.unique(np.column_stack([runs.n, runs.d]), axis=0))
    if n_scales < FEW_CELLS:
        return [
            Caution(
                "few_cells",
                f"the law rests on {n_scales} pairs of N and D; its exponents are mostly the"
                " prior's: add cells of other sizes.",
            )
        ]
    if not optima:
        return [
            Caution(
                "scattered_runs",
                "no pair of N and D has three finite runs; the law is that of one surface through"
                " all runs, and no cell can check it.",
            )
        ]
    return []


def _edges(runs: Runs, optima: Sequence[CellOptimum]) -> list[Caution]:
    cautions = []
    words = {"lr": "learning rate", "bs": "batch size"}
    for axis, word in words.items():
        if np.ptp(np.log(getattr(runs, axis))) < SAME:
            cautions.append(
                Caution(
                    "one_setting",
                    f"all runs have one {word}; nothing tells which is the best: vary {axis}.",
                )
            )
            continue
        low = sum(f"{axis}-" in o.edges for o in optima)
        high = sum(f"{axis}+" in o.edges for o in optima)
        for count, end, way in ((low, "lower", "down"), (high, "upper", "up")):
            if count and 3 * count >= len(optima):
                cautions.append(
                    Caution(
                        "edge_of_grid",
                        f"the best {word} lies at the {end} end of what was tried in {count} of"
                        f" {len(optima)} cells; widen {axis} {way}wards there.",
                    )
                )
    return cautions


def _one_scale(runs: Runs) -> list[Caution]:
    cautions = []
    for name, axis, values in (("one_n", "N", runs.n), ("one_d", "D", runs.d)):
        if np.ptp(np.log(values)) < SAME:
            cautions.append(
                Caution(
                    "one_n" if name == "one_n" else "one_d",
                    f"all runs have one {axis}; the exponents of {axis} are not identified and"
                    f" keep the prior's mean and width: add cells of another {axis}.",
                )
            )
    if not cautions and np.ptp(np.log(runs.d / runs.n)) < SAME:
        cautions.append(
            Caution(
                "one_ratio",
                "all runs have one ratio D / N; how the laws divide between N and D is not"
                " identified and follows the prior: add cells of another ratio.",
            )
        )
    return cautions
