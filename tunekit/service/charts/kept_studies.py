"""Keeps the studies that charts were asked of, and computes the charts."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import partial

from tunekit.analysis.charts.branches import importance_chart, tree_chart
from tunekit.analysis.charts.contour import contour_chart
from tunekit.analysis.charts.curve_store import CurveStore
from tunekit.analysis.charts.curves import curves_chart
from tunekit.analysis.charts.filters import TrialFilter, filtered
from tunekit.analysis.charts.knob_records import KnobsChart
from tunekit.analysis.charts.knobs import knobs_chart
from tunekit.analysis.charts.points import MAX_AXES, points_chart
from tunekit.analysis.charts.proposers import proposers_chart
from tunekit.analysis.charts.records import HealthChart
from tunekit.analysis.charts.results import front_chart, history_chart
from tunekit.analysis.charts.samples import shown_objective
from tunekit.analysis.charts.stops import stops_chart
from tunekit.analysis.charts.study_records import StudySummary
from tunekit.analysis.charts.summary import study_summary
from tunekit.analysis.charts.timeline import budget_chart, timeline_chart
from tunekit.analysis.charts.trials import trial_chart, trials_chart
from tunekit.analysis.charts.workers import workers_chart
from tunekit.driver.study_reader import StudyReader
from tunekit.history import History
from tunekit.plots.figure_records import LawChart
from tunekit.records import ObjectiveSpec, TrialState
from tunekit.service.answers import fitted, written
from tunekit.service.charts.queries import ChartQuery
from tunekit.spaces import Space
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.base import Storage
from tunekit.storages.http.messages import SpaceVersion
from tunekit.studies.health import health_of
from tunekit.studies.space_edits import edit_space

MAX_TRIALS = 300_000
"""Trials kept of several studies together; one alone may have more."""
N_SLICES = 12
"""Parameters in a chart of slices, unless some are asked for."""
MAX_TEXTS = 20
"""Charts of reports that are kept of one study while it rests."""
OF_REPORTS = frozenset({"curves", "stops", "trial"})
MAX_CURVES = 3
"""Metrics whose curves are kept of one study."""


class ChartStudy:
    """One study as far as it is read; a further chart costs only what changed.

    Args:
        storage: where the study is.
        study_id: of the study.

    Raises:
        UnknownStudy: it was deleted.
    """

    def __init__(self, storage: Storage, study_id: int) -> None:
        self._storage = storage
        self._reader = StudyReader(storage, storage.record(study_id))
        self._curves: OrderedDict[str, CurveStore] = OrderedDict()
        self._texts: OrderedDict[tuple[ChartQuery, int], str] = OrderedDict()
        self._narrowed: tuple[tuple[TrialFilter, str, int], History] | None = None

    @property
    def n_trials(self) -> int:
        """Return the number of trials read."""
        return len(self._reader.history)

    def chart(self, query: ChartQuery) -> str:
        """Return the JSON form of a chart of the study as it is now.

        Raises:
            UnknownStudy: it was deleted.
            InvalidArgument: an option is out of range.
        """
        self._reader.refresh_space()
        self._reader.refresh()
        if query.name == "space":
            return written(SpaceVersion(self._reader.space_version, space_to_dict(self.space)))
        if query.space is not None:
            return written(edit_space(self._reader, query.space, dry_run=True))
        if query.name == "health":
            return written(self._health(query))
        if query.name == "law":
            return written(self._law(query))
        if query.name == "knobs":
            return written(self._knobs(query))
        if query.name == "summary":
            return written(self._summary())
        return self._resting(query) if query.name in OF_REPORTS else self._fitted(query)

    def _fitted(self, query: ChartQuery) -> str:
        build = self._builder(query)
        return fitted(lambda most: build(seq=query.seq, most=most), query.most)

    def _resting(self, query: ChartQuery) -> str:
        """Return a chart of reports, computed once while no trial runs: none can arrive then."""
        key = (query, self._reader.history.revision)
        if (text := self._texts.get(key)) is not None:
            return text
        text = self._fitted(query)
        if not any(t.state is TrialState.RUNNING for t in self._reader.history.unfinished()):
            self._texts[key] = text
            while len(self._texts) > MAX_TEXTS:
                self._texts.popitem(last=False)
        return text

    @property
    def space(self) -> Space:
        """Return the current space, of a define-by-run study its discovered part."""
        return self._reader.space

    def _builder(self, query: ChartQuery) -> Callable[..., object]:
        """Return what makes a chart from `seq` and `most`."""
        space = self.space
        goal = shown_objective(self._reader.history, query.metric)
        if query.name == "trial":
            return self._trial(query.numbers[0], goal)
        if query.name == "proposers":  # a filter would make hits of what improved nothing
            asked = query.numbers[0] if query.numbers else None
            whole = self._reader.history
            return partial(proposers_chart, whole, space, whole.objectives[0], asked)
        history = self._filtered(query.trials, goal)
        match query.name:
            case "curves":
                store = self._store(goal.metric)
                return partial(curves_chart, history, store, goal, query.numbers)
            case "stops":
                return partial(stops_chart, history, self._store(goal.metric), goal)
            case "budget":
                return partial(budget_chart, history, goal, self._reader.record.spec.max_trials)
            case "workers":
                record = self._storage.record(self._reader.record.id)
                now, why = time.time(), query.held_back
                return partial(workers_chart, history, record, now=now, held_back=why)
        return _of_trials(query, history, space, goal)

    def _health(self, query: ChartQuery) -> HealthChart:
        """Return the findings; the steps of the reports are read once and kept."""
        metric = self._reader.history.objectives[0].metric

        def steps() -> dict[int, Sequence[int]]:
            return {n: curve.steps for n, curve in self._store(metric).curves.items()}

        found = health_of(self._reader, name=query.study or None, read_steps=steps)
        return HealthChart(query.seq, len(found.sick), len(found.findings), found.findings)

    def _law(self, query: ChartQuery) -> LawChart:
        from tunekit.scaling.law_chart import law_chart  # loads SciPy

        return law_chart(query.study, self._reader.history, self.space, seq=query.seq)

    def _knobs(self, query: ChartQuery) -> KnobsChart:
        attrs = self._storage.record(self._reader.record.id).spec.attrs
        return knobs_chart(attrs, self._reader.history, seq=query.seq)

    def _trial(self, number: int, goal: ObjectiveSpec) -> Callable[..., object]:
        read = partial(self._storage.reports, self._reader.record.id)
        return partial(trial_chart, self._reader.history, self.space, goal, number, read)

    def _filtered(self, chosen: TrialFilter, goal: ObjectiveSpec) -> History:
        """Return the trials within a filter; several charts of one page share them."""
        history = self._reader.history
        key = (chosen, goal.metric, history.revision)
        if self._narrowed is None or self._narrowed[0] != key:
            self._narrowed = (key, filtered(history, chosen, goal))
        return self._narrowed[1]

    def _summary(self) -> StudySummary:
        record = self._storage.record(self._reader.record.id)
        last = self._storage.events(record.id, max(0, record.seq - 1), 1)
        return study_summary(
            self._reader.history, self.space, record.spec,
            seq=record.seq, last_event=last[0] if last else None,
        )  # fmt: skip

    def _store(self, metric: str) -> CurveStore:
        store = self._curves.get(metric)
        if store is None:
            store = CurveStore(self._storage, self._reader.record.id, metric)
            self._curves[metric] = store
        self._curves.move_to_end(metric)
        while len(self._curves) > MAX_CURVES:
            self._curves.popitem(last=False)
        store.refresh(self._reader.history)
        return store


class ChartStudies:
    """The studies of a process, those read least recently only as long as they fit."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._kept: OrderedDict[int, ChartStudy] = OrderedDict()

    def chart(self, query: ChartQuery) -> str:
        """Return the JSON form of a chart; see `ChartStudy.chart`."""
        study = self._kept.get(query.study_id)
        if study is None:
            study = self._kept[query.study_id] = ChartStudy(self._storage, query.study_id)
        self._kept.move_to_end(query.study_id)
        try:
            return study.chart(query)
        except BaseException:
            self._kept.pop(query.study_id)
            raise
        finally:
            while (
                len(self._kept) > 1 and sum(s.n_trials for s in self._kept.values()) > MAX_TRIALS
            ):
                self._kept.popitem(last=False)


def _of_trials(
    query: ChartQuery, history: History, space: Space, goal: ObjectiveSpec
) -> Callable[..., object]:
    """Return what makes a chart that needs nothing beside the trials."""
    points = partial(points_chart, history, space, goal, query.paths)
    builders: dict[str, Callable[..., object]] = {
        "trials": partial(
            trials_chart, history, space, goal, query.paths, sort=query.sort,
            descending=query.descending, offset=query.offset,
        ),
        "history": partial(history_chart, history, goal),
        "front": partial(front_chart, history),
        "tree": partial(tree_chart, history, space, goal),
        "importance": partial(importance_chart, history, space, quantile=query.quantile),
        "slices": partial(points, n_axes=N_SLICES),
        "parallel": partial(points, n_axes=MAX_AXES),
        "contour": partial(contour_chart, history, space, goal, query.paths),
        "timeline": partial(timeline_chart, history),
    }  # fmt: skip
    return builders[query.name]
