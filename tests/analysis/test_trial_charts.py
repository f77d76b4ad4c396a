"""The chart of a trial follows its checkpoints through the study."""

from __future__ import annotations

from tunekit.analysis.charts.filters import ALL, TrialFilter, filtered
from tunekit.analysis.charts.records import TrialChart
from tunekit.analysis.charts.trials import trial_chart
from tunekit.history import History
from tunekit.records import Branch, Checkpoint, ObjectiveSpec, TrialRecord, TrialState
from tunekit.spaces import Float, Params, Space

SPACE = Space({"lr": Float(1e-5, 1.0, log=True)})
LOSS = ObjectiveSpec("loss")


def _history(*trials: TrialRecord) -> History:
    history = History((LOSS,))
    history.update(trials, len(trials))
    return history


def _trial(number: int, branch: Branch | None = None) -> TrialRecord:
    return TrialRecord(
        number, TrialState.COMPLETE, seq=number + 1, params=Params({"lr": 0.1 / (number + 1)}),
        metrics={"loss": float(number)}, branch=branch, checkpoints=(Checkpoint(5, 1),),
    )  # fmt: skip


def _chart(history: History, number: int) -> TrialChart:
    return trial_chart(history, SPACE, LOSS, number, lambda numbers: {}, seq=9, most=100)


def test_the_lineage_leads_back_from_checkpoint_to_checkpoint() -> None:
    history = _history(_trial(0), _trial(1, Branch(0, 5)), _trial(2, Branch(1, 7)), _trial(3))
    assert _chart(history, 2).lineage == ((1, 7), (0, 5))
    assert _chart(history, 0).children == (1,)
    assert _chart(history, 0).checkpoints == (5,)
    assert _chart(history, 3).lineage == _chart(history, 3).children == ()


def test_a_lineage_that_bites_its_tail_ends() -> None:
    history = _history(_trial(0, Branch(1, 5)), _trial(1, Branch(0, 5)))
    assert _chart(history, 0).lineage == ((1, 5), (0, 5))


def test_a_filter_that_keeps_all_trials_costs_nothing_and_another_has_its_own_best() -> None:
    history = _history(*map(_trial, range(4)))
    assert filtered(history, ALL, LOSS) is history
    kept = filtered(history, TrialFilter(low=2.0), LOSS)
    assert [t.number for t in kept.complete()] == [2, 3]
    assert kept.best is not None and kept.best.number == 2


def test_a_branch_is_told_by_the_text_of_its_value() -> None:
    trial = TrialRecord(0, TrialState.COMPLETE, params=Params({"bias": True, "n": 3, "lr": 0.5}))
    kept = {b: TrialFilter(b).keeps(trial, "loss") for b in ("bias=True", "n=3", "lr=0.5", "n=4")}
    assert kept == {"bias=True": True, "n=3": True, "lr=0.5": True, "n=4": False}
