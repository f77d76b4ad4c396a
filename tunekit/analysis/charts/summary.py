"""What a list shows of one study: its progress, its best result with its noise, its trend."""

from __future__ import annotations

import math

from tunekit.analysis.charts.samples import number, spread
from tunekit.analysis.charts.study_records import StudySummary
from tunekit.analysis.health.evidence import Evidence
from tunekit.analysis.health.noise import repeats
from tunekit.history import History
from tunekit.records import StudySpec
from tunekit.spaces import Space
from tunekit.storages.events import Event

POINTS = 40
"""Points of the trend."""
NOISE_TRIALS = 1000
"""Latest trials whose repeats estimate the noise."""


def study_summary(
    history: History, space: Space, spec: StudySpec, *, seq: int, last_event: Event | None
) -> StudySummary:
    """Return the summary of a study as it is read.

    Args:
        history: its trials.
        space: its current space.
        spec: its settings.
        seq: number of its last event.
        last_event: that event.
    """
    objective = history.objectives[0]
    front = history.pareto() if len(history.objectives) > 1 else []
    best = history.best
    counts = {str(state): n for state, n in sorted(history.counts().items())}
    return StudySummary(
        seq, history.n_finished, len(history), objective.metric, objective.direction,
        counts=counts,
        max_trials=spec.max_trials,
        best=None if best is None else number(best.metrics[objective.metric]),
        best_number=None if best is None else best.number,
        noise=_noise(history, space, spec),
        n_front=len(front),
        trend=_trend(history),
        last_event=last_event,
    )  # fmt: skip


def _trend(history: History) -> tuple[float, ...]:
    """Return the best result so far, from the first result to the last."""
    objective = history.objectives[0]
    best, found = math.inf, []
    for t in history.complete():
        if history.violation(t) == 0.0 and history.is_at_target(t):
            best = min(best, objective.loss(t.metrics[objective.metric]))
            found.append(objective.loss(best))
    return tuple([v for v in spread(found, POINTS) if math.isfinite(v)])


def _noise(history: History, space: Space, spec: StudySpec) -> float | None:
    """Return the standard deviation of repeated results of the first objective."""
    evidence = Evidence(history, space, spec, dict, trials=history.complete()[-NOISE_TRIALS:])
    return number(repeats(evidence.able, 0).sd) if len(evidence.able) else None
