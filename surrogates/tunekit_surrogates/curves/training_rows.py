"""Converts complete runs to the training rows of one number of reports."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunekit_surrogates.curves.features import carried, curve_features, trend_features
from tunekit_surrogates.curves.scale import Floats, Scale


@dataclass(frozen=True, slots=True)
class Completed:
    """Runs that ended on their own; stopped runs are excluded.

    Attributes:
        curves: `(n, T)` losses by report, less is better; NaN where not reported, `inf` where
            NaN or infinity was. Runs of fewer than T reports are NaN after their own last.
        finals: `(n,)` results at each run's own end; `inf` for a run that diverged.
        x: `(n, d)` parameters of the runs, without NaN; `d` may be 0.
        others: `(k, n, T)` reports of further metrics, such as the training loss, `None`
            without one; NaN where not reported.
    """

    curves: Floats
    finals: Floats
    x: Floats
    others: Floats | None = None

    @property
    def lengths(self) -> Floats:
        """Return the `(n,)` numbers of reports up to each run's last one."""
        is_known = ~np.isnan(self.curves)
        width = self.curves.shape[1]
        ends: Floats = width - np.argmax(is_known[:, ::-1], axis=1)
        return np.where(is_known.any(axis=1), ends, 0)


@dataclass(frozen=True, slots=True)
class TrainingRows:
    """Training rows: the runs that were alive after `t` reports.

    Attributes:
        other_scales: scales of the further metrics among the features.
        heads: `(n, t)` reports; the last ones are finite.
        last: `(n,)` latest mapped reports.
        features: `(n, k)` model inputs.
        gains: `(n,)` mapped final values minus `last`.
        volatility: `(n,)` typical change from report to report.
        diverging: probability that a run alive now diverges.
        recovering: probability that a run with a non-finite last report ends finite.
    """

    scale: Scale
    other_scales: tuple[Scale, ...]
    heads: Floats
    last: Floats
    features: Floats
    gains: Floats
    volatility: Floats
    diverging: float
    recovering: float


@dataclass(frozen=True, slots=True)
class MappedRuns:
    """Complete runs and the scale of their study.

    Attributes:
        finals: `(n,)` mapped final values.
        other_scales: scales of the further metrics.
    """

    runs: Completed
    scale: Scale
    finals: Floats
    other_scales: tuple[Scale, ...] = ()

    @classmethod
    def of(cls, runs: Completed) -> MappedRuns | None:
        """Return the mapped runs, `None` if all have diverged."""
        if not np.isfinite(runs.finals).any():
            return None
        scale = Scale.fit(runs.curves[:, runs.curves.shape[1] // 2 :], runs.finals)
        others = () if runs.others is None else tuple(map(_own_scale, runs.others))
        with np.errstate(invalid="ignore"):
            return cls(runs, scale, scale.to(runs.finals), others)

    def at(self, t: int, *, with_others: bool = False) -> TrainingRows | None:
        """Return the training rows of the runs with `t` or more reports."""
        long = self.runs.lengths >= t
        heads = carried(self.runs.curves[long, :t])
        is_alive = np.isfinite(heads[:, -1]) if len(heads) else np.zeros(0, bool)
        ends_well = np.isfinite(self.finals[long])
        n_alive, n_dead = int(is_alive.sum()), int((~is_alive).sum())
        n_diverged = int((is_alive & ~ends_well).sum())
        kept = is_alive & ends_well
        if not kept.any():
            return None
        # Early reports may all lie above every final value.
        scale = self.scale.reaching(self.scale.to(heads[is_alive, -1]))
        others = self.runs.others if with_others else None
        scales: tuple[Scale, ...] = ()
        if others is not None:
            others, scales = others[:, long, :t][:, kept], self.other_scales
        seen = FirstReports.of(heads[kept], self.runs.x[long][kept], scale, others, scales)
        return TrainingRows(
            scale,
            scales,
            heads[kept],
            seen.last,
            seen.features,
            self.finals[long][kept] - seen.last,
            seen.volatility,
            # Half of Jeffreys' prior for a share: most studies have no divergence at all.
            (n_diverged + 0.25) / (n_alive + 1.0) if n_diverged else 0.0,
            int((~is_alive & ends_well).sum()) / (n_dead + 1.0),
        )


@dataclass(frozen=True, slots=True)
class FirstReports:
    """Model inputs from the first reports of runs.

    Attributes:
        last: `(n,)` latest mapped reports.
        features: `(n, k)` model inputs.
        volatility: `(n,)` typical change from report to report.
    """

    last: Floats
    features: Floats
    volatility: Floats

    @classmethod
    def of(
        cls,
        heads: Floats,
        x: Floats,
        scale: Scale,
        others: Floats | None = None,
        other_scales: tuple[Scale, ...] = (),
    ) -> FirstReports:
        """Return the inputs for `(n, t)` reports, `(n, d)` parameters, `(k, n, t)` others."""
        with np.errstate(invalid="ignore"):
            mapped = scale.to(heads)
        clipped = scale.clipped(mapped)
        last = np.where(mapped[:, -1] > scale.high, mapped[:, -1], clipped[:, -1])
        steps = np.abs(np.diff(clipped[:, -6:], axis=1))
        rough = steps.mean(axis=1) if steps.shape[1] else np.zeros(len(heads))
        # Features are clipped to the training range; the gain adds to the run's own last value.
        more = [] if others is None else map(_other_features, others, other_scales)
        features = np.column_stack([curve_features(scale.within(mapped)), x, *more])
        return cls(last, features, rough)


def _own_scale(curves: Floats) -> Scale:
    """Return the scale of a further metric from its `(n, T)` reports."""
    latest = carried(curves)[:, -1]
    return Scale.fit(curves, latest if np.isfinite(latest).any() else np.zeros(1))


def _other_features(curves: Floats, scale: Scale) -> Floats:
    """Return `(n, 4)` features of `(n, t)` reports of a further metric.

    Runs without any report count as the middle.
    """
    known = carried(curves)
    with np.errstate(invalid="ignore"):
        mapped = scale.within(scale.to(known))
    mapped = np.where(np.isnan(known), 0.5, mapped)
    return trend_features(mapped)
