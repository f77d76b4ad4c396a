"""A law fitted to the runs of studies or tables: predictions, checks, plans and priors."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.checks import check_whole, is_number, shown
from tunekit.errors import InvalidArgument
from tunekit.scaling import stored
from tunekit.scaling.options import FitOptions
from tunekit.scaling.plan import Plan
from tunekit.scaling.roles import Roles
from tunekit.scaling.validation import Validation
from tunekit_surrogates.scaling import (
    Caution,
    CellOptimum,
    Interval,
    Prediction,
    Runs,
    ScalingLaw,
    cell_optima,
    next_runs,
)

if TYPE_CHECKING:
    from tunekit.scaling.law_plots import LawPlots

TRANSFER_SD = 0.35
"""Standard deviation, in natural logarithms, by which the optimum of another set-up differs from
the law's: a factor of 1.4."""

NINETY = 3.2897072539029435
"""Width of a normal's central 90 % interval in standard deviations."""


@dataclass(frozen=True)
class Law:
    """Laws of learning rate, batch size, weight decay and loss, with the runs they rest on.

    Attributes:
        fitted: the law on plain numbers.
        runs: the runs it was fitted to; batch sizes in tokens.
        roles: which parameter, attribute, metric or column plays which role.
        options: how it was fitted.
        target: largest N and D of the study's scale axes, where it has both.
    """

    fitted: ScalingLaw
    runs: Runs
    roles: Roles
    options: FitOptions
    target: tuple[float, float] | None = None

    @property
    def warnings(self) -> tuple[Caution, ...]:
        """Return the doubts about the law, each with a fixed name and a sentence."""
        return self.fitted.cautions

    @cached_property
    def optima(self) -> tuple[CellOptimum, ...]:
        """The optimum of each cell with enough runs, from small to large compute."""
        return tuple(cell_optima(self.runs)) if len(self.runs) else ()

    def predict(
        self,
        N: float | None = None,
        D: float | None = None,
        *,
        bs: float | None = None,
        factor: str | None = None,
    ) -> Prediction:
        """Return learning rate, batch size, weight decay and loss for a model and its tokens.

        Each is a median with its central 50 % and 90 % intervals. With them come the ratio to the
        largest compute of the runs, the relative loss excess for half and for twice the rate, and
        the warnings about this prediction.

        Args:
            N: parameters, counted as in the runs; by default the largest of the study's space.
            D: training tokens; likewise.
            bs: a batch size in tokens that is decided already; the rate is the best for it.
            factor: label of the optimiser or schedule, needed where the runs had several.

        Raises:
            InvalidArgument: a number is not above 0, or the runs had no such factor.
        """
        n, d = self._cell(N, D)
        if bs is not None and not is_number(bs):
            raise InvalidArgument(
                f"scaling: bs={shown(bs)}, expected a batch size in tokens, a number above 0."
            )
        try:
            return self.fitted.predict(n, d, bs=bs, factor=factor)
        except ValueError as error:
            raise InvalidArgument(f"scaling: {error}") from None

    def validate(self, published: str | None = None) -> Validation:
        """Return the gap of every cell under the law of all other cells.

        Args:
            published: name of a published law, whose gap on the same cells to return instead.

        Raises:
            InvalidArgument: there are fewer than three cells to hold out, or no such law.
        """
        if not len(self.runs):
            raise InvalidArgument(
                "scaling: a published law has no runs to hold out; fit one to runs of your own "
                "and compare: law.validate(published=...)."
            )
        if published is None:
            return Validation(tuple(self.options.validate(self.runs)))
        from tunekit.scaling.published import counting_doubts, law_of

        middle = [float(np.exp(np.log(axis).mean())) for axis in (self.runs.n, self.runs.d)]
        rival = law_of(published, *middle)
        runs = replace(self.runs, factor=None)  # it knows no factors
        gaps = FitOptions().validate(runs, fit=lambda *_, **__: rival)
        return Validation(tuple(gaps), tuple(counting_doubts(published, self.runs)))

    def plan(
        self,
        budget_flops: float,
        *,
        N: float | None = None,
        D: float | None = None,
        cells: Sequence[tuple[float, float]] | None = None,
        runs_per_cell: int = 5,
        runs_at_target: int = 5,
        max_runs: int = 40,
        factor: str | None = None,
    ) -> Plan:
        """Return the next cells and runs that are worth their compute.

        Args:
            budget_flops: compute of all runs together, at `6 N D` a run.
            N: parameters of the cell that the law is for; its runs come last.
            D: its training tokens.
            cells: the (N, D) to choose from; by default a ladder of sizes below the target.
            runs_per_cell: runs in each cell, 3 to 6; cells that have as many are left out.
            runs_at_target: runs at the target, 0 to 5, as far as the budget reaches.
            max_runs: maximum number of runs.
            factor: label of the optimiser or schedule to plan for.

        Raises:
            InvalidArgument: a number lies outside its range.
        """
        for name, count in (
            ("runs_per_cell", runs_per_cell),
            ("runs_at_target", runs_at_target),
            ("max_runs", max_runs),
        ):
            check_whole(count, f"scaling: {name}")
        is_for_target = N is not None or D is not None or self.target is not None
        target = self._cell(N, D) if is_for_target else None
        if not is_number(budget_flops) or not 0 < budget_flops < math.inf:
            raise InvalidArgument(
                f"scaling: budget_flops={shown(budget_flops)}, expected a number of FLOPs above 0."
            )
        try:
            runs = next_runs(
                self.fitted,
                self.runs if len(self.runs) else None,
                budget_flops=float(budget_flops),
                target=target,
                cells=None if cells is None else _scales(cells),
                runs_per_cell=runs_per_cell,
                runs_at_target=runs_at_target,
                max_runs=max_runs,
                factor=factor,
            )
        except ValueError as error:
            raise InvalidArgument(f"scaling: {error}") from None
        if not runs:
            raise InvalidArgument(
                f"scaling: no run fits into {budget_flops:g} FLOPs, or every cell has its "
                "runs; raise the budget, or give other cells=."
            )
        return Plan(tuple(runs), float(budget_flops), self.roles)

    def as_prior(
        self,
        parameter: str,
        *,
        N: float | None = None,
        D: float | None = None,
        factor: str | None = None,
        transfer_sd: float = TRANSFER_SD,
    ) -> dict[str, list[float]]:
        """Return what the law believes of a parameter, for a sampler's option `priors`.

        Every sampler takes it, and it fades as trials end:
        `sampler_options={"priors": {"lr": law.as_prior("lr", N=1e9, D=2e10)}}`.

        Args:
            parameter: name of the learning rate, batch size or weight decay, or "lr", "bs", "wd".
            N: parameters of the cell to tune; by default the largest of the study's space.
            D: its training tokens; likewise.
            factor: label of the optimiser or schedule.
            transfer_sd: standard deviation of the natural logarithm by which the study may
                differ from the runs of the law, beside the law's own interval.

        Returns:
            `{"lognormal": [median, sd of the natural logarithm]}` in the parameter's unit.

        Raises:
            InvalidArgument: the parameter plays none of these roles, or the runs did not vary it.
        """
        role = self.roles.role_of(parameter)
        if not is_number(transfer_sd) or transfer_sd < 0:
            raise InvalidArgument(
                f"scaling: transfer_sd={shown(transfer_sd)}, expected 0 or more."
            )
        at = self.predict(N, D, factor=factor)
        interval: Interval | None = getattr(at, role) if role in ("lr", "bs", "wd") else None
        if interval is None:
            has = ", ".join(r for r in ("lr", "bs", "wd") if getattr(at, r) is not None)
            raise InvalidArgument(
                f'scaling: the law says nothing of "{parameter}", expected one of {has}.'
            )
        unit = self.roles.tokens_per_batch_unit if role == "bs" else 1
        if not 0.0 < interval.low90 <= interval.high90 < math.inf:
            raise InvalidArgument(
                f"scaling: the 90 % interval of {role} at N={at.n:g}, D={at.d:g} is wider than "
                "numbers reach; ask about a cell nearer to the runs."
            )
        own = math.log(interval.high90 / interval.low90) / NINETY
        return {"lognormal": [interval.median / unit, math.hypot(own, float(transfer_sd))]}

    def summary(self) -> dict[str, Any]:
        """Return the exponents, the optimum of each cell and the warnings as plain JSON."""
        from tunekit.scaling.summary import summary_of

        return summary_of(self)

    @property
    def plot(self) -> LawPlots:
        """Return the pictures of the law: `law.plot.optima()`, `.extrapolation(N=, D=)`, others.

        They are Plotly figures.
        """
        from tunekit.scaling.law_plots import LawPlots

        return LawPlots(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the law and its runs as plain JSON; `from_dict` reads it."""
        return {
            "format": stored.FORMAT,
            "law": self.fitted.to_dict(),
            "roles": self.roles.to_dict(),
            "options": self.options.to_dict(),
            "target": None if self.target is None else list(self.target),
            "runs": stored.runs_to_dict(self.runs),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Law:
        """Return the law that `to_dict` wrote.

        Raises:
            InvalidArgument: it is not a law, or one of another version.
        """
        if not isinstance(values, Mapping) or values.get("format") != stored.FORMAT:
            raise InvalidArgument(
                "scaling: this is not a law that this version reads; fit it again with "
                "tunekit.scaling.fit."
            )
        try:
            target = values["target"]
            return cls(
                fitted=ScalingLaw.from_dict(values["law"]),
                runs=stored.runs_from_dict(values["runs"]),
                roles=stored.roles_from_dict(values["roles"]),
                options=FitOptions.from_dict(values["options"]),
                target=None if target is None else (float(target[0]), float(target[1])),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise InvalidArgument(
                f"scaling: the law is damaged ({type(error).__name__}: {error}); fit it again."
            ) from None

    def save(self, path: str | Path) -> Path:
        """Write the law and its runs to a JSON file, and return its path.

        Raises:
            InvalidArgument: the file cannot be written.
        """
        place = Path(path)
        text = json.dumps(self.to_dict(), allow_nan=False) + "\n"
        try:
            place.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InvalidArgument(
                f'scaling: "{path}" cannot be written: {error.strerror}.'
            ) from None
        return place

    def _cell(self, n: float | None, d: float | None) -> tuple[float, float]:
        given: list[float] = []
        for i, (name, value) in enumerate((("N", n), ("D", d))):
            if value is None and self.target is not None:
                value = self.target[i]
            if not is_number(value) or not 0 < value < math.inf:
                raise InvalidArgument(
                    f"scaling: {name}={shown(value)}, expected "
                    f"{'the parameters of the model' if name == 'N' else 'its training tokens'}, "
                    "a number above 0."
                )
            given.append(float(value))
        return given[0], given[1]

    def __str__(self) -> str:
        from tunekit.scaling.words import law_text

        return law_text(self)


def _scales(cells: Sequence[Sequence[float]]) -> list[tuple[float, float]]:
    """Return cells as pairs of N and D.

    Raises:
        InvalidArgument: a cell is not a pair of numbers.
    """
    found = []
    for cell in cells:
        pair = tuple(cell) if isinstance(cell, Sequence | np.ndarray) else ()
        if len(pair) != 2 or not all(map(is_number, pair)):
            raise InvalidArgument(
                f"scaling: cells has {shown(cell)}, expected pairs (N, D) of numbers above 0."
            )
        found.append((float(pair[0]), float(pair[1])))
    return found


def load(path: str | Path) -> Law:
    """Return the law in a file that `Law.save` wrote.

    Raises:
        InvalidArgument: the file cannot be read, or holds no law.
    """
    try:
        values = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgument(f'scaling: "{path}" cannot be read: {error.strerror}.') from None
    except ValueError as error:
        raise InvalidArgument(f'scaling: "{path}" is not JSON: {error}.') from None
    return Law.from_dict(values)
