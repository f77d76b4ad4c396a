"""Import from ConfigSpace and Optuna, compared with the real libraries."""

import json
import warnings
from pathlib import Path

import pytest

from tunekit.errors import InvalidSpace
from tunekit.spaces import Categorical, Float, Int, Space
from tunekit.spaces.interop import from_configspace, from_optuna
from tunekit.testing.spaces import random_point

YAHPO = Path(__file__).parents[3] / "shared" / "data" / "yahpo"


def test_points_of_configspace_and_of_ours_are_the_same(tmp_path):
    cs = pytest.importorskip("ConfigSpace")
    model = cs.Categorical("model", ["svm", "rf", "mlp"])
    kernel = cs.Categorical("kernel", ["linear", "rbf", "poly"])
    gamma = cs.Float("svm:gamma", (1e-4, 10.0), log=True)
    degree = cs.Integer("degree", (2, 5))
    trees = cs.Integer("n.trees", (1, 500), log=True, default=100)
    depth = cs.Integer("depth", (1, 8))
    quality = cs.OrdinalHyperparameter("quality", ["low", "mid", "high"])
    flag = cs.Categorical("flag", [True, False])
    extra = cs.Float("extra", (0.0, 1.0), distribution=cs.Normal(0.5, 0.2))
    deep = cs.Float("deep", (0.0, 1.0))
    original = cs.ConfigurationSpace(seed=3)
    original.add(
        model, kernel, gamma, degree, trees, depth, quality, flag, extra, deep,
        cs.Constant("version", 7),
    )  # fmt: skip
    original.add(
        cs.EqualsCondition(kernel, model, "svm"),
        cs.InCondition(gamma, kernel, ["rbf", "poly"]),
        cs.EqualsCondition(degree, kernel, "poly"),
        cs.EqualsCondition(trees, model, "rf"),
        cs.AndConjunction(
            cs.EqualsCondition(extra, flag, True),
            cs.GreaterThanCondition(extra, quality, "low"),
        ),
        cs.OrConjunction(
            cs.EqualsCondition(deep, depth, 1), cs.GreaterThanCondition(deep, depth, 6)
        ),
        cs.ForbiddenAndConjunction(
            cs.ForbiddenEqualsClause(model, "rf"), cs.ForbiddenInClause(depth, [2, 3])
        ),
        cs.ForbiddenEqualsClause(gamma, 1.0),
        cs.ForbiddenLessThanRelation(depth, degree),
    )  # fmt: skip
    original.to_json(tmp_path / "space.json")
    ours = from_configspace(json.loads((tmp_path / "space.json").read_text()))
    assert set(ours.by_path) == set(original)
    assert ours.validate(dict(original.get_default_configuration())) == ours.default()
    for config in original.sample_configuration(300):
        ours.validate(dict(config))
    n_valid = 0
    for seed in range(300):
        point = random_point(ours, seed)
        is_valid = not ours.violated(point)
        try:
            config = cs.Configuration(original, values=dict(point))
            config.check_valid_configuration()
        except cs.exceptions.ForbiddenValueError:
            assert not is_valid
        else:
            assert is_valid
            n_valid += 1
    assert n_valid > 100


@pytest.mark.parametrize("name", ["iaml_glmnet", "rbv2_rpart"])
def test_real_files_of_version_0_4_are_read(name):
    file = YAHPO / name / "config_space.json"
    if not file.is_file():
        pytest.skip(f"no {file}: the shared data is not here")
    data = json.loads(file.read_text())
    space = from_configspace(data)
    assert [p.path for p in space] == [hp["name"] for hp in data["hyperparameters"]]
    for hp in data["hyperparameters"]:
        assert space.default()[hp["name"]] == pytest.approx(hp["default"])


def hyperparameters(*more):
    base = [
        {"name": "m", "type": "categorical", "choices": ["a", "b"], "default": "a"},
        {"name": "x", "type": "uniform_float", "lower": 0.0, "upper": 1.0, "log": False},
        {"name": "y", "type": "uniform_int", "lower": 0, "upper": 10, "log": False, "q": 5},
    ]
    return [*base, *more]


def test_grids_and_several_conditions_of_one_child():
    conditions = [
        {"child": "x", "parent": "m", "type": "EQ", "value": "a"},
        {"child": "x", "parent": "y", "type": "NEQ", "value": 5},
    ]
    space = from_configspace({"hyperparameters": hyperparameters(), "conditions": conditions})
    assert space.by_path["x"].requirement() == "m in {'a'} and y in {0, 10}"
    assert space.by_path["y"].domain == Int(0, 10, step=5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "hyperparameters"),
        ({"hyperparameters": [{"type": "constant"}]}, "lacks"),
        ({"hyperparameters": hyperparameters({"name": "z", "type": "zipf"})}, "unknown"),
        ({"hyperparameters": hyperparameters({"name": "z", "type": "normal_float"})}, "bounds"),
        ({"hyperparameters": hyperparameters(
            {"name": "z", "type": "uniform_float", "lower": 1, "upper": 9, "q": 3})}, "q=3"),
        ({"conditions": [{"child": "y", "parent": "x", "type": "GT", "value": 0.5}]}, "needs a"),
        ({"conditions": [{"child": "y", "parent": "none", "type": "EQ", "value": 1}]}, "needs a"),
        ({"conditions": [{"child": "none", "parent": "m", "type": "EQ", "value": "a"}]}, "none"),
        ({"conditions": [{"child": "x", "parent": "m", "type": "XOR", "value": "a"}]}, "XOR"),
        ({"conditions": [{"child": "x", "type": "OR", "conditions": [
            {"child": "x", "parent": "m", "type": "EQ", "value": "a"},
            {"child": "x", "parent": "y", "type": "EQ", "value": 5}]}]}, "OR another"),
        ({"conditions": [{"child": "m", "parent": "y", "type": "EQ", "value": 5},
                         {"child": "y", "parent": "m", "type": "EQ", "value": "a"}]}, "circle"),
        ({"forbiddens": [{"type": "LAMBDA", "name": "x"}]}, "LAMBDA"),
    ],
)  # fmt: skip
def test_what_has_no_counterpart_is_refused(data, words):
    if isinstance(data, dict) and "hyperparameters" not in data:
        data = {"hyperparameters": hyperparameters(), **data}
    with pytest.raises(InvalidSpace, match=words):
        from_configspace(data)


def test_optuna_distributions_and_its_samples():
    optuna = pytest.importorskip("optuna")
    d = optuna.distributions
    distributions = {
        "lr": d.FloatDistribution(1e-5, 1e-1, log=True),
        "drop": d.FloatDistribution(0, 0.5, step=0.1),
        "n": d.IntDistribution(1, 100, log=True),
        "k": d.IntDistribution(0, 9, step=3),
        "optimizer.name": d.CategoricalDistribution(("adam", None, 3, True)),
    }
    space = from_optuna(distributions)
    assert space == Space(
        {
            "lr": Float(1e-5, 1e-1, log=True),
            "drop": Float(0, 0.5, step=0.1),
            "n": Int(1, 100, log=True),
            "k": Int(0, 9, step=3),
            "optimizer.name": Categorical(["adam", None, 3, True]),
        }
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
        for _ in range(50):
            space.validate(study.ask(distributions).params)
    for seed in range(50):
        for name, value in random_point(space, seed).items():
            distribution = distributions[name]
            assert distribution._contains(distribution.to_internal_repr(value))


def test_an_unknown_distribution_is_refused():
    with pytest.raises(InvalidSpace, match="Optuna 3"):
        from_optuna({"x": object()})
