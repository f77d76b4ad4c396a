"""Finished training runs as equally long arrays, checked once and trusted afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunekit_surrogates.scaling.arrays import Floats, Mask, as_floats
from tunekit_surrogates.scaling.cautions import Caution
from tunekit_surrogates.scaling.units import doubts_about, same_runs

Counting = Literal["non-embedding", "total"]
"""How the parameters of a model are counted: without its embeddings, or all of them."""


@dataclass(frozen=True, slots=True)
class Runs:
    """Training runs, one position in every array per run.

    Build it with `Runs.checked`, which finds mixed units and bad values.

    Attributes:
        lr: `(k,)` peak learning rates.
        bs: `(k,)` batch sizes in tokens.
        n: `(k,)` numbers of parameters, counted as `counting` says.
        d: `(k,)` training tokens.
        loss: `(k,)` final losses, smaller is better; `inf` where the run diverged.
        wd: `(k,)` weight decays, or None where they did not vary.
        factor: `(k,)` labels of the optimiser or schedule, or None where there was one.
        counting: how `n` counts the parameters.
        cautions: what `checked` found odd about the runs.
    """

    lr: Floats
    bs: Floats
    n: Floats
    d: Floats
    loss: Floats
    wd: Floats | None = None
    factor: NDArray[np.str_] | None = None
    counting: Counting = "non-embedding"
    cautions: tuple[Caution, ...] = ()

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self.lr)

    @classmethod
    def checked(
        cls,
        lr: ArrayLike,
        bs: ArrayLike,
        *,
        n: ArrayLike,
        d: ArrayLike,
        loss: ArrayLike,
        wd: ArrayLike | None = None,
        factor: Sequence[str] | None = None,
        sequence_length: int | None = None,
        counting: Counting = "non-embedding",
    ) -> Runs:
        """Return the runs after checks of lengths, ranges and units.

        Runs whose loss is NaN or infinite stay, as diverged: the worst of their cell. Runs that
        agree in everything are kept once. Runs that differ in the loss alone, such as those of
        several seeds, are all kept.

        Args:
            lr: peak learning rates, above 0 and at most 100.
            bs: batch sizes in tokens, or in sequences where `sequence_length` is given.
            n: numbers of parameters.
            d: training tokens.
            loss: final losses above 0; smaller is better.
            wd: weight decays, above 0.
            factor: a label for each run, such as the optimiser or the schedule.
            sequence_length: tokens of a sequence, where `bs` counts sequences.
            counting: whether `n` leaves out the embeddings.

        Raises:
            ValueError: if the arrays differ in length or are empty, if a value lies outside its
                range, or if units are mixed beyond doubt.
        """
        columns = {"lr": lr, "bs": bs, "n": n, "d": d, "loss": loss}
        if wd is not None:
            columns["wd"] = wd
        arrays = {name: as_floats(name, values) for name, values in columns.items()}
        labels = None if factor is None else np.asarray([str(label) for label in factor])
        _check_lengths({**arrays, **({} if labels is None else {"factor": labels})})
        if sequence_length is not None:
            _check_sequence_length(sequence_length)
            arrays["bs"] = arrays["bs"] * sequence_length
        _check_ranges(arrays)
        cautions = [
            *doubts_about(arrays, in_sequences=sequence_length is not None),
            *_diverged(arrays["loss"]),
        ]
        runs = cls(
            lr=arrays["lr"],
            bs=arrays["bs"],
            n=arrays["n"],
            d=arrays["d"],
            loss=np.where(np.isfinite(arrays["loss"]), arrays["loss"], np.inf),
            wd=arrays.get("wd"),
            factor=labels,
            counting=counting,
        )
        kept = same_runs(runs.columns)
        return runs.where(kept, cautions=(*cautions, *_repeated(kept)))

    @property
    def columns(self) -> list[NDArray[np.generic]]:
        """The arrays that the runs have."""
        every = (self.lr, self.bs, self.n, self.d, self.loss, self.wd, self.factor)
        return [column for column in every if column is not None]

    def where(self, mask: Mask, *, cautions: tuple[Caution, ...] | None = None) -> Runs:
        """Return the runs at which `mask`, or an array of positions, holds."""
        return Runs(
            lr=self.lr[mask],
            bs=self.bs[mask],
            n=self.n[mask],
            d=self.d[mask],
            loss=self.loss[mask],
            wd=None if self.wd is None else self.wd[mask],
            factor=None if self.factor is None else self.factor[mask],
            counting=self.counting,
            cautions=self.cautions if cautions is None else cautions,
        )

    @property
    def diverged(self) -> Mask:
        """`(k,)` whether each run diverged."""
        return ~np.isfinite(self.loss)

    @property
    def flops(self) -> Floats:
        """`(k,)` training compute in floating-point operations, `6 N D`."""
        return 6.0 * self.n * self.d


def _diverged(loss: Floats) -> list[Caution]:
    n_diverged = int((~np.isfinite(loss)).sum())
    if not n_diverged:
        return []
    return [
        Caution(
            "diverged_runs",
            f"{n_diverged} of {len(loss)} runs have no finite loss; they count as diverged, the"
            " worst of their cell.",
        )
    ]


def _repeated(kept: Mask) -> list[Caution]:
    if kept.all():
        return []
    return [
        Caution(
            "duplicated_runs",
            f"{(~kept).sum()} runs agree with another in every value and count once.",
        )
    ]


def _check_lengths(columns: dict[str, NDArray[np.generic]]) -> None:
    lengths = {name: len(values) for name, values in columns.items()}
    if len(set(lengths.values())) > 1:
        listed = ", ".join(f"{name}: {length}" for name, length in lengths.items())
        raise ValueError(
            f"the columns have different lengths ({listed}); give every column one value for"
            " each run."
        )
    if lengths["lr"] == 0:
        raise ValueError("there are no runs; give at least one run.")


def _check_sequence_length(sequence_length: int) -> None:
    if sequence_length < 1:
        raise ValueError(
            f"sequence_length is {sequence_length}; give the number of tokens of a sequence, at"
            " least 1."
        )


def _check_ranges(arrays: dict[str, Floats]) -> None:
    """Raise where a value cannot be what its column says."""
    for name, values in arrays.items():
        if name == "loss":
            bad = values <= 0.0
            advice = "scaling laws need losses above 0 of which the smaller is the better"
        else:
            bad = ~(np.isfinite(values) & (values > 0.0))
            advice = "give finite values above 0"
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ValueError(
                f"{name} has {bad.sum()} values that are out of range, the first {values[first]:g}"
                f" at position {first}; {advice}."
            )
    if arrays["lr"].max() > 100.0:
        raise ValueError(
            f"lr reaches {arrays['lr'].max():g}; a learning rate above 100 was not expected: give"
            " the rate itself, not its exponent."
        )
    above = arrays["bs"] > arrays["d"]
    if above.any():
        first = int(np.flatnonzero(above)[0])
        raise ValueError(
            f"{above.sum()} runs have a batch larger than all their tokens, the first"
            f" bs={arrays['bs'][first]:g} with d={arrays['d'][first]:g} at position {first}; bs"
            " and d are both in tokens: give d in tokens and not in billions."
        )
