"""Keeps the studies that charts were asked of, and computes the charts."""

from __future__ import annotations

from collections import OrderedDict
from functools import partial

from tunekit.driver.study_reader import StudyReader
from tunekit.history import History
from tunekit.records import ObjectiveSpec
from tunekit.service.charts.branches import MAX_SHARES, importance_chart, tree_chart
from tunekit.service.charts.curve_store import CurveStore
from tunekit.service.charts.curves import curves_chart
from tunekit.service.charts.points import points_chart
from tunekit.service.charts.queries import ChartQuery
from tunekit.service.charts.results import front_chart, history_chart
from tunekit.service.charts.samples import fitted
from tunekit.service.charts.stops import stops_chart
from tunekit.storages.base import Storage
from tunekit.storages.checks import deleted_study

MAX_TRIALS = 300_000
"""Trials kept of several studies together; one alone may have more."""
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
        record = next((r for r in storage.list_studies() if r.id == study_id), None)
        if record is None:
            raise deleted_study(study_id)
        self._storage = storage
        self._reader = StudyReader(storage, record)
        self._curves: OrderedDict[str, CurveStore] = OrderedDict()

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
        history, space, seq = self._reader.history, self._reader.space, query.seq
        goal = _goal(history, query.metric)
        points = partial(points_chart, history, space, goal, query.paths, seq=seq)
        match query.name:
            case "history":
                return fitted(lambda n: history_chart(history, goal, seq=seq, most=n), query.most)
            case "front":
                return fitted(lambda n: front_chart(history, seq=seq, most=n), query.most)
            case "tree":
                nodes = partial(tree_chart, history, space, goal, seq=seq)
                return fitted(lambda n: nodes(most=n), query.most)
            case "importance":
                shares = partial(
                    importance_chart, history, space, quantile=query.quantile, seq=seq
                )
                return fitted(lambda n: shares(most=n), MAX_SHARES)
            case "curves":
                store = self._store(goal.metric)
                asked = query.numbers
                return fitted(
                    lambda n: curves_chart(history, store, goal, asked, n_lines=n, seq=seq),
                    query.most,
                )
            case "stops":
                store = self._store(goal.metric)
                return fitted(
                    lambda n: stops_chart(history, store, goal, seq=seq, most=n), query.most
                )
            case "slices":
                return fitted(lambda n: points(most=n, n_axes=12), query.most)
            case "parallel":
                return fitted(lambda n: points(most=n, n_axes=60), query.most)

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


class KeptStudies:
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


def _goal(history: History, metric: str) -> ObjectiveSpec:
    named = [o for o in history.objectives if o.metric == metric]
    if named or not metric:
        return (named or history.objectives)[0]
    return ObjectiveSpec(metric)
