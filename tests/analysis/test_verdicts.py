from contextlib import closing
from dataclasses import replace
from pathlib import Path

import tunekit as tk
from tests.plots.sample_trials import LOSS, SPACE, curve, history, trials
from tunekit.analysis.charts.curve_store import CurveStore
from tunekit.analysis.charts.stops import stops_chart
from tunekit.plots.figure import Points
from tunekit.plots.stops import stops_figure
from tunekit.records import Decision, StudySpec, TrialState
from tunekit.stoppers.audited import audited
from tunekit.stoppers.base import CurveView
from tunekit.storages.urls import open_storage
from tunekit.studies.histories import read_history


class _Stops:
    """Stops all trials at once."""

    name = "curve"

    def decide(self, number: int, view: CurveView) -> Decision:
        return Decision("stop", "predicted final loss 4", {"metric": "loss", "predicted": 4.0})


def test_a_verdict_on_an_audited_trial_keeps_its_own_reason_and_prediction(tmp_path: Path) -> None:
    view = CurveView((LOSS,), history(trials(12)), {})
    decision = audited(_Stops(), seed=0, share=1.0).decide(5, view)
    assert decision.action == "continue"
    of = trials(12)
    of[5] = replace(of[5], stop_evidence=decision.evidence)
    evidence = {"stopper": "curve", "metric": "loss", "predicted": 7.0}
    of[6] = replace(
        of[6],
        state=TrialState.STOPPED,
        stop_evidence=evidence,
        end_reason="predicted final loss 7",
    )
    with closing(open_storage(tmp_path / "s.db")) as storage:
        record = storage.create_study(StudySpec("s", (LOSS,), space=SPACE))
        storage.add_trials(record.id, of, {5: curve(of[5].metrics["loss"])})
        found = read_history(storage, record)
        store = CurveStore(storage, record.id, "loss")
        store.refresh(found)
        chart = stops_chart(found, store, LOSS, seq=1, most=9)
    assert [(v.number, v.is_audited, v.predicted, v.reason) for v in chart.verdicts] == [
        (6, False, 7.0, "predicted final loss 7"),
        (5, True, 4.0, "predicted final loss 4"),
    ]
    points = [m for m in stops_figure(chart).marks if isinstance(m, Points)]
    assert [(m.numbers, m.x, m.y) for m in points] == [((5,), (4.0,), (of[5].metrics["loss"],))]


def test_a_real_audit_has_predictions_to_show(tmp_path: Path) -> None:
    study = tk.study(
        "s", space=SPACE, sampler="random", seed=1, stopper="curve", audit=1.0,
        storage=tmp_path / "s.db",
    )  # fmt: skip

    def objective(trial: tk.Trial) -> float:
        loss = float((trial.params["c"] - 3.0) ** 2 + 1.0)
        for report in curve(loss, 12):
            trial.report(report.metrics["loss"], report.step)
        return loss

    study.optimize(objective, n_trials=25, progress=False)
    drawn = study.plot.stops()
    assert drawn.data and "audited trials turned out best" in drawn.layout.meta["alt"]
