"""Import from ConfigSpace and Optuna, compared with the real libraries."""

import json
import warnings
from pathlib import Path

import pytest

from tunekit.cli.runner import make_space
from tunekit.errors import InvalidSpace
from tunekit.spaces import Categorical, Float, Int, Space
from tunekit.spaces.catalogue import load_space
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
                         {"child": "y", "parent": "m", "type": "EQ", "value": "a"}]}, "circular"),
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


def agree(original, ours, *, n=2000):
    """Compare what both libraries allow; return how many of our random points they allow."""
    cs = pytest.importorskip("ConfigSpace")

    def is_valid(point):
        try:
            cs.Configuration(original, values=dict(point)).check_valid_configuration()
        except cs.exceptions.ForbiddenValueError:
            return False
        return True

    # Not all that ConfigSpace 1.2 samples is legal by its own check.
    sampled = [dict(config) for config in original.sample_configuration(n // 4)]
    points = [random_point(ours, seed) for seed in range(n)]
    for point in (*sampled, *points):
        assert (not ours.violated(point)) is is_valid(point), point
    for point in filter(is_valid, sampled):
        ours.validate(point)
    return sum(map(is_valid, points))


def test_a_forbidden_or_with_an_inactive_part_forbids_what_its_other_part_does(tmp_path):
    cs = pytest.importorskip("ConfigSpace")
    w = cs.Categorical("w", ["p", "q"])
    b = cs.Categorical("b", ["x", "y"])
    gate = cs.Categorical("gate", ["on", "off"], default="off")
    original = cs.ConfigurationSpace(seed=1)
    original.add(w, b, gate, cs.EqualsCondition(b, gate, "on"))
    original.add(
        cs.ForbiddenOrConjunction(
            cs.ForbiddenEqualsClause(w, "q"), cs.ForbiddenEqualsClause(b, "y")
        )
    )
    original.to_json(tmp_path / "space.json")
    ours = from_configspace(json.loads((tmp_path / "space.json").read_text()))
    assert ours.violated({"w": "q", "gate": "off"})
    assert not ours.violated({"w": "p", "gate": "off"})
    assert ours.violated({"w": "p", "gate": "on", "b": "y"})
    assert 0 < agree(original, ours, n=400) < 200


@pytest.mark.parametrize("kind", ["json", "yaml"])
def test_clauses_and_relations_of_configspace_1_2_mean_the_same(tmp_path, kind):
    cs = pytest.importorskip("ConfigSpace")
    f = cs.forbidden
    n, m = cs.Integer("n", (0, 20), default=9), cs.Integer("m", (0, 20), default=5)
    x, y = cs.Float("x:1", (0, 1), default=0.4), cs.Float("y", (0.01, 1), log=True, default=0.5)
    size = cs.OrdinalHyperparameter("size", ["s", "m", "l", "xl"], default_value="m")
    mode = cs.Categorical("mode", ["a", "b", "on"], default="a")
    original = cs.ConfigurationSpace(seed=3)
    original.add(n, m, x, y, size, mode)
    original.add(
        cs.EqualsCondition(m, mode, "a"),
        cs.InCondition(y, mode, ["a", "on"]),
        cs.GreaterThanCondition(x, n, 3),
    )
    original.add(
        f.ForbiddenGreaterThanClause(n, 18),
        f.ForbiddenGreaterThanEqualsClause(x, 0.95),
        f.ForbiddenLessThanClause(size, "m"),
        f.ForbiddenLessThanEqualsClause(y, 0.02),
        f.ForbiddenLessThanRelation(n, m),
        f.ForbiddenGreaterThanRelation(x, y),
        f.ForbiddenOrConjunction(
            f.ForbiddenAndConjunction(
                f.ForbiddenGreaterThanClause(size, "l"),
                f.ForbiddenOrConjunction(
                    f.ForbiddenInClause(m, [0, 1, 2, 3]), f.ForbiddenEqualsClause(mode, "on")
                ),
            ),
            f.ForbiddenAndConjunction(
                f.ForbiddenEqualsRelation(n, m), f.ForbiddenGreaterThanEqualsClause(n, 6)
            ),
        ),
    )
    original.add(
        f.ForbiddenAndConjunction(
            f.ForbiddenLessThanEqualsRelation(m, n), f.ForbiddenGreaterThanEqualsRelation(m, n)
        )
    )
    file = tmp_path / f"space.{kind}"
    getattr(original, f"to_{kind}")(file)
    ours = load_space(file)
    assert set(ours.by_path) == set(original)
    assert 100 < agree(original, ours) < 1500


def test_an_or_with_an_impossible_part_is_what_its_other_parts_say():
    def condition(child, *parts):
        return {"child": child, "type": "OR", "conditions": list(parts)}

    def equal(parent, value, child="x"):
        return {"child": child, "parent": parent, "type": "EQ", "value": value}

    both = {"child": "x", "type": "AND", "conditions": [equal("m", "a"), equal("m", "b")]}
    conditions = [condition("x", both, equal("m", "b"))]
    space = from_configspace({"hyperparameters": hyperparameters(), "conditions": conditions})
    assert space.by_path["x"].requirement() == "m in {'b'}"
    conditions = [condition("x", equal("y", 7), equal("m", "b"))]  # y has 0, 5 and 10
    space = from_configspace({"hyperparameters": hyperparameters(), "conditions": conditions})
    assert space.by_path["x"].requirement() == "m in {'b'}"
    with pytest.raises(InvalidSpace, match="never be active"):
        conditions = [condition("x", both, equal("y", 7))]
        from_configspace({"hyperparameters": hyperparameters(), "conditions": conditions})


def test_the_command_line_reads_a_file_of_configspace(tmp_path):
    file = tmp_path / "space.json"
    file.write_text(json.dumps({"hyperparameters": hyperparameters()}))
    assert make_space(str(file), tmp_path) == from_configspace(json.loads(file.read_text()))
