"""Converts the complete trials of a view to arrays, and fits the curve predictor to them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.spaces import Scalar
from tunekit.stoppers.base import CurveView
from tunekit.stoppers.curves.columns import Columns
from tunekit.stoppers.losses import Curve, LossCurveReader, worst_if_diverged
from tunekit_surrogates.curves.predictor import Completed, CurvePredictor, Forecast

MAX_OTHERS = 6
"""Maximum number of further metrics that predictions read."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """A predictor and its training data.

    Attributes:
        others: names of the further metrics that the predictor may read.
    """

    watched: ObjectiveSpec
    numbers: tuple[int, ...]
    curves: tuple[Curve, ...]
    completed: Completed
    columns: Columns
    predictor: CurvePredictor
    others: tuple[str, ...] = ()

    def forecast(
        self,
        heads: Sequence[Sequence[float]],
        points: Sequence[Mapping[str, Scalar]],
        reports: Sequence[Sequence[Report]] = (),
    ) -> Forecast | None:
        """Return the forecast for runs with equally many losses, `None` with too little data."""
        curves = np.array(heads, np.float64)
        others = None
        if self.others and reports:
            others = further(reports, self.watched, self.others, curves.shape[1])
        return self.predictor.forecast(curves, self.columns.encode(points), others=others)


class CompleteTrials:
    """Fits a predictor to the trials that ended on their own.

    It is refitted after every `refit_every` further ended trials, to the first `k * refit_every`
    that ended. The cache only saves time: a fresh instance fits the same model.

    Args:
        refit_every: number of ended trials between fits.
        past: complete runs of earlier studies.
    """

    def __init__(self, *, refit_every: int, past: Sequence[PastRuns] = ()) -> None:
        self.refit_every = refit_every
        self.past = tuple(past)
        self._fitted: Fitted | None = None

    def fitted(
        self, view: CurveView, watched: ObjectiveSpec, reader: LossCurveReader
    ) -> Fitted | None:
        """Return the predictor for a view, `None` if too few trials have ended."""
        ended = ended_by_themselves(view)
        n = len(ended) - len(ended) % self.refit_every
        used = sorted(ended, key=lambda t: (t.finished or 0.0, t.number))[:n]
        curves = tuple(reader.read(t.number, view, (watched,)) for t in used)
        known = self._fitted
        numbers = tuple(t.number for t in used)
        if known is not None and known.watched == watched and known.numbers == numbers:
            if all(a is b for a, b in zip(curves, known.curves, strict=True)):
                return known
        self._fitted = self._fit(used, curves, view, watched)
        return self._fitted

    def _fit(
        self,
        used: Sequence[TrialRecord],
        curves: tuple[Curve, ...],
        view: CurveView,
        watched: ObjectiveSpec,
    ) -> Fitted | None:
        rows = [
            (t, [losses[0] for losses in curve.losses])
            for t, curve in zip(used, curves, strict=True)
        ]
        points = [dict(t.params or {}) for t in used]
        columns = Columns.of([*points, *(p for study in self.past for p in study.points)])
        known_losses = padded([losses for _, losses in rows])
        reports = [view.reports.get(t.number, ()) for t in used]
        others = further_metrics(reports, watched)
        completed = Completed(
            known_losses,
            np.array([final_loss(t, losses, watched) for t, losses in rows], np.float64),
            columns.encode(points),
            further(reports, watched, others, known_losses.shape[1]) if others else None,
        )
        known, numbers = self._fitted, tuple(t.number for t in used)
        if known is not None and _equal(known.completed, completed):  # reread without changes
            predictor = known.predictor
        else:
            past = tuple(study.completed(columns) for study in self.past)
            predictor = CurvePredictor(completed, past=past)
        return Fitted(watched, numbers, curves, completed, columns, predictor, others)


@dataclass(frozen=True, slots=True)
class PastRuns:
    """The complete runs of an earlier study.

    Attributes:
        study: name of the study.
        points: params of each run.
        losses: losses of each run by report, less is better.
        finals: final loss of each run.
    """

    study: str
    points: tuple[Mapping[str, Scalar], ...]
    losses: tuple[tuple[float, ...], ...]
    finals: tuple[float, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return plain JSON, with `None` for non-finite values."""
        runs = [
            [dict(point), [_plain(v) for v in losses], _plain(final)]
            for point, losses, final in zip(self.points, self.losses, self.finals, strict=True)
        ]
        return {"study": self.study, "runs": runs}

    @classmethod
    def from_dict(cls, data: object) -> PastRuns:
        """Return the runs described by plain JSON.

        Raises:
            InvalidArgument: `data` is not what `to_dict` returned.
        """
        try:
            name, runs = data["study"], data["runs"]  # type: ignore[index]
            if not isinstance(name, str):
                raise TypeError(name)
            points = tuple(dict(point) for point, _, _ in runs)
            losses = tuple(tuple(_number(v) for v in values) for _, values, _ in runs)
            return cls(name, points, losses, tuple(_number(final) for _, _, final in runs))
        except (TypeError, KeyError, ValueError):
            raise InvalidArgument(
                f"past: got {str(data)[:80]}, expected runs of studies in the form "
                '{"study": name, "runs": [[params, [loss, ...], final loss], ...]}; '
                "tunekit.studies.warm_start.past_curves returns this form."
            ) from None

    @classmethod
    def of(cls, study: str, view: CurveView, watched: ObjectiveSpec) -> PastRuns:
        """Return the runs of a study that ended on their own."""
        reader = LossCurveReader()
        trials = ended_by_themselves(view)
        losses = [
            tuple(v[0] for v in reader.read(t.number, view, (watched,)).losses) for t in trials
        ]
        finals = [final_loss(t, v, watched) for t, v in zip(trials, losses, strict=True)]
        points = tuple(dict(t.params or {}) for t in trials)
        return cls(study, points, tuple(losses), tuple(finals))

    def taken(self, rows: Sequence[int]) -> PastRuns:
        """Return a subset of the runs."""
        return PastRuns(
            self.study,
            tuple(self.points[i] for i in rows),
            tuple(self.losses[i] for i in rows),
            tuple(self.finals[i] for i in rows),
        )

    def completed(self, columns: Columns) -> Completed:
        """Return the runs as arrays."""
        finals = np.array([worst_if_diverged(v) for v in self.finals], np.float64)
        return Completed(padded(self.losses), finals, columns.encode(self.points))


def past_runs(given: Sequence[Mapping[str, Any]]) -> tuple[PastRuns, ...]:
    """Return the earlier studies given by a stopper's option.

    Raises:
        InvalidArgument: its form is not valid.
    """
    if isinstance(given, str | Mapping) or not isinstance(given, Sequence):
        raise InvalidArgument(f"past: got {str(given)[:80]}, expected a list of studies.")
    return tuple(PastRuns.from_dict(g) for g in given)


def ended_by_themselves(view: CurveView) -> list[TrialRecord]:
    """Return the trials that ran to their end, including diverged ones, by number."""
    ends = (TrialState.COMPLETE, TrialState.DIVERGED)
    return [t for t in view.history if t.state in ends and view.reports.get(t.number)]


def final_loss(trial: TrialRecord, losses: Sequence[float], watched: ObjectiveSpec) -> float:
    """Return the final loss of a trial: of its result, else of its last report."""
    if trial.state is TrialState.DIVERGED:
        return math.inf
    if watched.metric in trial.metrics:
        return worst_if_diverged(watched.loss(trial.metrics[watched.metric]))
    return losses[-1] if losses else math.inf


def padded(rows: Sequence[Sequence[float]]) -> NDArray[np.float64]:
    """Return rows of different lengths as `(n, T)`, padded with NaN."""
    width = max(map(len, rows), default=0)
    out = np.full((len(rows), width), np.nan)
    for k, row in enumerate(rows):
        out[k, : len(row)] = [worst_if_diverged(v) for v in row]
    return out


def further_metrics(
    reports: Sequence[Sequence[Report]], watched: ObjectiveSpec
) -> tuple[str, ...]:
    """Return the names of the other metrics that all trials report, at most `MAX_OTHERS`."""
    named = [{name for r in trial for name in r.metrics} for trial in reports]
    shared = set.intersection(*named) - {watched.metric} if named else set()
    return tuple(sorted(shared)[:MAX_OTHERS])


def further(
    reports: Sequence[Sequence[Report]],
    watched: ObjectiveSpec,
    names: Sequence[str],
    width: int,
) -> NDArray[np.float64]:
    """Return the `(k, n, width)` values of further metrics by the trials' reports.

    A column belongs to a step with the watched metric and takes the latest value up to it; NaN
    where there is none.
    """
    out = np.full((len(names), len(reports), width), np.nan)
    for i, trial in enumerate(reports):
        ordered = sorted(trial, key=lambda r: r.step)  # stable: of one step the later counts
        steps = sorted({r.step for r in ordered if watched.metric in r.metrics})[:width]
        for j, name in enumerate(names):
            values = {r.step: r.metrics[name] for r in ordered if name in r.metrics}
            known = sorted(values)
            places = np.searchsorted(known, steps, side="right")
            found = [values[known[p - 1]] if p else np.nan for p in places.tolist()]
            out[j, i, : len(steps)] = [math.inf if math.isinf(v) else v for v in found]
    return out


def _equal(a: Completed, b: Completed) -> bool:
    pairs = [(a.curves, b.curves), (a.finals, b.finals), (a.x, b.x)]
    if a.others is not None and b.others is not None:
        pairs.append((a.others, b.others))
    elif a.others is not b.others:
        return False
    return all(np.array_equal(p, q, equal_nan=True) for p, q in pairs)


def _plain(loss: float) -> float | None:
    return loss if math.isfinite(loss) else None


def _number(loss: object) -> float:
    return math.inf if loss is None else float(loss)  # type: ignore[arg-type]
