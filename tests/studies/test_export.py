"""What an export holds when names collide and values have no common type."""

import json

import pytest

import tunekit as tk
from tunekit.records import ObjectiveSpec, Report, StudyRecord, StudySpec, StudyState, TrialRecord
from tunekit.records import TrialState as State
from tunekit.studies import export

STUDY = StudyRecord(1, StudySpec("s", (ObjectiveSpec("loss"),)), StudyState.ACTIVE, 0, 2, 1, 0.0)
FIXED = list(export.rows([TrialRecord(0, State.COMPLETE)])[0])


def trial(number, metrics=None, **fields):
    return TrialRecord(
        number, State.COMPLETE, metrics={"loss": 0.5, **(metrics or {})}, created=7.0, **fields
    )


@pytest.mark.parametrize("name", [*FIXED, "params.x", "attrs.note", "metrics.number"])
def test_a_metric_never_takes_the_place_of_another_column(name):
    plain = trial(3, params={"x": 1.5}, user_attrs={"note": "n"}, sampler="grid")
    named = trial(
        3,
        {name: 99.0, "number": 98.0},
        params=plain.params,
        user_attrs={"note": "n"},
        sampler="grid",
    )
    (expected,), (row,) = export.rows([plain]), export.rows([named])
    assert expected.items() <= row.items()
    assert row[f"metrics.{name}"] == (98.0 if name == "number" else 99.0)
    assert row["metrics.number"] == 98.0


def test_json_keeps_reports_and_steps_whatever_the_metrics_are_called(tmp_path):
    trials = [trial(0, {"number": 1.0, "reports": 5.0}), trial(1, {"number": 0.0})]
    reports = {0: [Report(4, {"step": 9.0, "loss": 0.25})], 1: []}
    path = export.write(tmp_path / "t.json", STUDY, trials, reports)
    first, second = json.loads(path.read_text())["trials"]
    assert first["number"] == 0
    assert first["metrics.number"] == 1.0
    assert first["metrics.reports"] == 5.0
    assert first["reports"] == [{"step": 4, "metrics.step": 9.0, "loss": 0.25}]
    assert second["reports"] == []


@pytest.mark.parametrize(
    "values",
    [
        (1, "one"),
        ([1, "a"], None),
        ({"a": 1}, {"a": "b"}),
        ([], {}),
        (2**70, 1),
        (2**60 + 1, 0.5),
        (True, 1),
        ("\ud800", "a"),
    ],
)
def test_parquet_holds_attributes_without_a_common_type_as_json(tmp_path, values):
    pq = pytest.importorskip("pyarrow.parquet")
    trials = [trial(i, user_attrs={"note": v}) for i, v in enumerate(values)]
    path = export.write(tmp_path / "t.parquet", STUDY, trials, {})
    column = pq.read_table(path)["attrs.note"].to_pylist()
    assert [None if text is None else json.loads(text) for text in column] == list(values)


def test_parquet_keeps_columns_of_one_type_as_they_are(tmp_path):
    pq = pytest.importorskip("pyarrow.parquet")
    trials = [trial(0, user_attrs={"n": 1, "s": "a"}), trial(1, user_attrs={"n": 2.5})]
    table = pq.read_table(export.write(tmp_path / "t.parquet", STUDY, trials, {}))
    assert table["attrs.n"].to_pylist() == [1.0, 2.5]
    assert table["attrs.s"].to_pylist() == ["a", None]


def test_an_objective_called_like_a_column_is_exported_beside_it(tmp_path):
    study = tk.study(
        space={"x": tk.Float(0, 1)}, objectives="duration_s", sampler="random", seed=1
    )
    study.optimize(lambda t: -1.0, n_trials=1)
    (row,) = study.trials_rows()
    assert row["metrics.duration_s"] == -1.0
    assert row["duration_s"] >= 0
