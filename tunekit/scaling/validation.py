"""What a law is worth on cells that it did not see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from tunekit_surrogates.scaling import Caution, CellGap

COLUMNS = ("N", "D", "lr", "bs", "gap", "lr_covered", "bs_covered")


@dataclass(frozen=True, slots=True)
class Validation:
    """The gap of each held-out cell under the law of all others.

    Attributes:
        cells: from small to large compute. A gap is the relative loss excess of the predicted
            learning rate and batch size over the best run of the cell.
        warnings: doubts about the comparison, such as another way to count parameters.
    """

    cells: tuple[CellGap, ...]
    warnings: tuple[Caution, ...] = ()

    @property
    def mean_gap(self) -> float:
        """Return the mean relative loss excess; 0.001 is a tenth of a percent."""
        return sum(cell.gap for cell in self.cells) / len(self.cells)

    @property
    def worst(self) -> CellGap:
        """Return the cell with the largest gap."""
        return max(self.cells, key=lambda cell: cell.gap)

    @property
    def lr_coverage(self) -> float:
        """Return the share of cells whose best learning rate lies in its 90 % interval."""
        return sum(cell.lr_covered for cell in self.cells) / len(self.cells)

    @property
    def bs_coverage(self) -> float:
        """Return the share of cells whose best batch size lies in its 90 % interval."""
        return sum(cell.bs_covered for cell in self.cells) / len(self.cells)

    def rows(self) -> list[dict[str, Any]]:
        """Return one mapping for each cell, with the names of the law's roles."""
        return [_row(asdict(cell)) for cell in self.cells]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary and the cells as plain JSON."""
        return {
            "mean_gap": self.mean_gap,
            "worst_gap": self.worst.gap,
            "lr_coverage": self.lr_coverage,
            "bs_coverage": self.bs_coverage,
            "cells": self.rows(),
            "warnings": [asdict(caution) for caution in self.warnings],
        }

    def __str__(self) -> str:
        worst = self.worst
        head = (
            f"{len(self.cells)} cells held out one by one: mean gap {self.mean_gap:.3%}, worst "
            f"{worst.gap:.3%} at N={worst.n:.4g}, D={worst.d:.4g}.\n"
            f"90 % intervals hold the best lr in {self.lr_coverage:.0%} and the best bs in "
            f"{self.bs_coverage:.0%} of them."
        )
        doubts = (f"warning ({c.name}): {c.sentence}" for c in self.warnings)
        return "\n".join([head, *map(_line, self.cells), *doubts])


def _row(cell: Mapping[str, Any]) -> dict[str, Any]:
    named = {"N": cell["n"], "D": cell["d"]}
    return {**named, **{k: v for k, v in cell.items() if k not in ("n", "d")}}


def _line(cell: CellGap) -> str:
    factor = f" {cell.factor}" if cell.factor else ""
    return (
        f"  N={cell.n:.4g} D={cell.d:.4g}{factor}: lr {cell.lr:.3g}, bs {cell.bs:.3g} tokens, "
        f"gap {cell.gap:.3%}"
    )
