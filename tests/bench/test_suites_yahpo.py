"""YAHPO problems: the files, the order of columns, what is inactive."""

import json
import shutil

import numpy as np
import pytest

from tunekit.bench import yahpo
from tunekit.bench.suites import suite
from tunekit.errors import InvalidArgument
from tunekit.samplers.base import sample

XGBOOST = {
    "hyperparameters": [
        {"name": "booster", "type": "categorical", "choices": ["gblinear", "gbtree", "dart"]},
        {"name": "nrounds", "type": "uniform_int", "log": True, "lower": 7, "upper": 2981},
        *(
            {"name": name, "type": "uniform_float", "log": False, "lower": 0.1, "upper": 1.0}
            for name in (
                *("eta", "gamma", "lambda", "alpha", "subsample", "min_child_weight"),
                *("colsample_bytree", "colsample_bylevel", "rate_drop", "skip_drop"),
            )
        ),
        {"name": "max_depth", "type": "uniform_int", "log": False, "lower": 3, "upper": 15},
        {"name": "num.impute.selected.cpo", "type": "categorical", "choices": ["impute.mean"]},
        {"name": "repl", "type": "uniform_int", "log": False, "lower": 1, "upper": 10},
        {"name": "task_id", "type": "categorical", "choices": ["12", "3", "40"]},
        {"name": "trainsize", "type": "uniform_float", "log": False, "lower": 0.03, "upper": 1.0},
    ],
    "conditions": [
        {"child": "rate_drop", "parent": "booster", "type": "EQ", "value": "dart"},
        {
            "child": "max_depth",
            "parent": "booster",
            "type": "IN",
            "values": ["dart", "gbtree"],
        },
    ],
    "forbiddens": [],
}
CODES = {
    "booster": {"#na#": 0, "dart": 1, "gblinear": 2, "gbtree": 3},
    "num.impute.selected.cpo": {"#na#": 0, "impute.mean": 1},
    "task_id": {"#na#": 0, "12": 1, "3": 2, "40": 3},
}


class Recorder:
    """Stands for a model: keeps its inputs and answers 0 to 8."""

    def run(self, names, inputs):
        self.inputs = inputs
        return [np.arange(9, dtype=np.float32)[None]]


@pytest.fixture
def conditional(tmp_path, monkeypatch):
    folder = tmp_path / "rbv2_xgboost"
    folder.mkdir()
    (folder / "config_space.json").write_text(json.dumps(XGBOOST))
    (folder / "encoding.json").write_text(json.dumps(CODES))
    (folder / "model.onnx").write_bytes(b"")
    recorder = Recorder()
    monkeypatch.setattr(yahpo, "_session", lambda model: recorder)
    return tmp_path, recorder


def test_values_are_those_of_the_model_with_columns_in_its_own_order(shared_data):
    onnxruntime = pytest.importorskip("onnxruntime")
    folder = shared_data("yahpo") / "rbv2_rpart"
    model = onnxruntime.InferenceSession(folder / "model.onnx")
    problem = suite("yahpo", seed=3, data=folder)[0]
    codes = json.loads((folder / "encoding.json").read_text())
    p = problem.space.default()
    x_cont = [p["cp"], p["maxdepth"], p["minbucket"], p["minsplit"], 1.0, 10]
    x_cat = [
        codes["task_id"][problem.tags["instance"]],
        codes["num.impute.selected.cpo"][p["num.impute.selected.cpo"]],
    ]
    inputs = {
        "x_cat": np.array([x_cat], dtype=np.int32),
        "x_cont": np.array([x_cont], dtype=np.float32),
    }
    row = model.run(None, inputs)[0][0]
    assert problem.evaluate(p) == row[0]
    assert problem.seconds(p) == row[6]


def test_every_scenario_of_a_folder_gives_up_to_eight_instances_that_the_seed_draws(shared_data):
    pytest.importorskip("onnxruntime")
    first, other = (suite("yahpo", seed=seed, data=shared_data("yahpo")) for seed in (0, 1))
    counts = {"iaml_glmnet": 4, "rbv2_rpart": 8}
    for name, n in counts.items():
        assert sum(p.tags["scenario"] == name for p in first) == n
    assert [p.name for p in first] != [p.name for p in other]
    assert {p.objectives[0].direction for p in first} == {"minimize", "maximize"}


def test_random_points_of_real_scenarios_have_finite_values_that_differ(shared_data):
    pytest.importorskip("onnxruntime")
    for problem in suite("yahpo", data=shared_data("yahpo"), n_instances=1):
        rng = np.random.default_rng(0)
        values = [problem.evaluate(sample(problem.space, rng)) for _ in range(50)]
        assert np.isfinite(values).all()
        assert len(set(values)) > 20
        problem.space.validate(problem.space.default())


def test_a_metric_may_be_chosen_and_has_its_own_direction(shared_data):
    pytest.importorskip("onnxruntime")
    data = shared_data("yahpo")
    brier, auc = (suite("yahpo", data=data / "rbv2_rpart", metric=m)[0] for m in ("brier", "auc"))
    assert (brier.objectives[0].direction, auc.objectives[0].direction) == ("minimize", "maximize")


def test_what_is_inactive_is_zero_or_na_and_fidelities_are_at_their_maximum(conditional):
    data, recorder = conditional
    problem = suite("yahpo", data=data, n_instances=1)[0]
    point = problem.space.complete({"booster": "gblinear", "nrounds": 100, "eta": 0.25})
    assert "rate_drop" not in point
    assert problem.evaluate(point) == 0.0  # the first output is the accuracy
    instance = CODES["task_id"][problem.tags["instance"]]
    assert recorder.inputs["x_cat"].tolist() == [[instance, 2, 1]]
    assert recorder.inputs["x_cat"].dtype == np.int32
    numbers = dict(
        zip(yahpo.LAYOUTS["rbv2_xgboost"].numbers, recorder.inputs["x_cont"][0], strict=True)
    )
    assert numbers["nrounds"] == 100 and numbers["eta"] == 0.25
    assert numbers["rate_drop"] == numbers["max_depth"] == 0.0
    assert (numbers["trainsize"], numbers["repl"]) == (1.0, 10.0)


def test_a_boosted_tree_has_its_own_parameters(conditional):
    problem = suite("yahpo", data=conditional[0], n_instances=1)[0]
    assert "max_depth" in problem.space.complete({"booster": "gbtree"})
    assert {"max_depth", "rate_drop"} <= problem.space.complete({"booster": "dart"}).keys()


def test_data_sets_that_the_model_does_not_know_are_left_out(conditional):
    data, _ = conditional
    known = CODES | {"task_id": {"#na#": 0, "12": 1, "40": 2}}
    (data / "rbv2_xgboost" / "encoding.json").write_text(json.dumps(known))
    assert {p.tags["instance"] for p in suite("yahpo", data=data)} == {"12", "40"}


def test_what_is_missing_or_misspelt_is_said(conditional):
    data, _ = conditional
    with pytest.raises(InvalidArgument, match="no data folder given"):
        suite("yahpo")
    with pytest.raises(InvalidArgument, match=r'no scenario in ".*nowhere"'):
        suite("yahpo", data=data / "nowhere")
    with pytest.raises(InvalidArgument, match='did you mean "rbv2_xgboost"'):
        suite("yahpo", data=data, scenarios="rbv2_xgbost")
    with pytest.raises(InvalidArgument, match='no metric "accuracy"'):
        suite("yahpo", data=data, metric="accuracy")
    with pytest.raises(InvalidArgument, match="expected 1 or more"):
        suite("yahpo", data=data, n_instances=0)


def test_files_of_different_versions_are_refused(conditional):
    data, _ = conditional
    folder = data / "rbv2_xgboost"
    (folder / "encoding.json").write_text(json.dumps(CODES | {"booster": {"#na#": 0}}))
    with pytest.raises(InvalidArgument, match="has no code for booster"):
        suite("yahpo", data=data)
    shutil.copytree(folder, data / "rbv2_svm")
    with pytest.raises(InvalidArgument, match=r"lacks the parameters .*'cost'"):
        suite("yahpo", data=data, scenarios=["rbv2_svm"])
