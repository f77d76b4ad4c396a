"""What the runs cannot tell: the cautions of a fitted law."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import spearmanr

from tunekit_surrogates.scaling.cautions import Caution
from tunekit_surrogates.scaling.optima import CellOptimum, cells_of
from tunekit_surrogates.scaling.regression import PowerLaw
from tunekit_surrogates.scaling.runs import Runs

FEW_CELLS = 4
"""With fewer cells the exponents are mostly the prior's."""

SAME = 0.05
"""Range of a logarithm below which its values count as one."""


WORDS = {"lr": "learning rate", "bs": "batch size"}


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
    if np.ptp(np.log(compute)) < SAME or np.ptp(loss) == 0.0:
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


def doubts_about_laws(
    runs: Runs, laws: Mapping[str, PowerLaw], *, known: Sequence[Caution]
) -> list[Caution]:
    """Return a caution where a law puts the best value of an axis outside all that was tried.

    It stands in for the check of the cells' optima where cells are too small for it.

    Args:
        runs: the runs.
        laws: the law of "lr" and of "bs".
        known: the cautions that `doubts_about_runs` found.
    """
    label = np.full(len(runs), "") if runs.factor is None else runs.factor
    cells = np.array([np.flatnonzero(mask)[0] for mask in cells_of(runs)])
    cautions = []
    for axis, law in laws.items():
        tried = np.log(getattr(runs, axis))
        said = any(c.name == "edge_of_grid" and WORDS[axis] in c.sentence for c in known)
        if said or np.ptp(tried) < SAME:
            continue
        best = law.design.rows(runs.n[cells], runs.d[cells], label[cells]) @ law.mean
        low, high = int((best < tried.min()).sum()), int((best > tried.max()).sum())
        for count, side, way in ((low, "below", "down"), (high, "above", "up")):
            if count and 3 * count >= len(cells):
                cautions.append(
                    Caution(
                        "edge_of_grid",
                        f"the law's {WORDS[axis]} lies {side} all that was tried at {count} of"
                        f" {len(cells)} pairs of N and D; widen {axis} {way}wards.",
                    )
                )
    return cautions


def _edges(runs: Runs, optima: Sequence[CellOptimum]) -> list[Caution]:
    cautions = []
    for axis, word in WORDS.items():
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
