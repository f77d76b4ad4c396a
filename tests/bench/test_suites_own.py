"""Problems of your own, by name and as objects."""

import sys
from importlib.metadata import EntryPoint

import pytest

import tunekit as tk
from tunekit.bench import own
from tunekit.bench.problem import Problem
from tunekit.bench.suites import suite
from tunekit.errors import InvalidArgument
from tunekit.records import ObjectiveSpec

SPACE = tk.Space(x=tk.Float(-1.0, 1.0))
SOURCE = """
import tunekit as tk
from tunekit.bench.problem import Problem

def square(params):
    return params["x"] ** 2

ONE = Problem("mine/square", tk.Space(x=tk.Float(-1.0, 1.0)), square, best_known=0.0)

def two(seed):
    return [ONE, Problem(f"mine/{seed}", ONE.space, square)]

def plain():
    return ONE

def objective(trial):
    trial.report(1.0, step=0)
    return trial.params["x"] ** 2

def of_params(params):
    return params

def nothing():
    return 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "my_problems.py").write_text(SOURCE)
    (tmp_path / "broken_problems.py").write_text("import not_there")
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_problems"
    sys.modules.pop("my_problems", None)


def test_a_function_of_a_module_gives_its_problems(module):
    assert [p.name for p in suite(f"{module}:two", seed=7)] == ["mine/square", "mine/7"]
    assert [p.name for p in suite(f"{module}:plain")] == ["mine/square"]
    assert [p.name for p in suite(f"{module}:ONE")] == ["mine/square"]


def test_an_objective_of_a_trial_is_a_problem_with_its_space(module):
    (problem,) = suite(f"{module}:objective", space=SPACE)
    assert problem.evaluate(problem.space.validate({"x": 0.5})) == {"loss": 0.25}
    (problem,) = suite(
        f"{module}:objective", space=SPACE, objectives=[ObjectiveSpec("gain", "maximize")]
    )
    assert problem.evaluate(problem.space.validate({"x": 0.5})) == {"gain": 0.25}


def test_objects_do_as_well_as_names():
    problem = Problem("mine/one", SPACE, lambda p: p["x"])
    assert own.problems(problem) == [problem]
    assert own.problems([problem, problem]) == [problem, problem]
    assert own.problems(lambda: problem) == [problem]


def test_an_entry_point_is_found_by_its_name(module, monkeypatch):
    entry = EntryPoint("mine", f"{module}:two", own.GROUP)
    monkeypatch.setattr(own, "_entries", lambda: [entry])
    assert own.names() == ["mine"]
    assert len(suite("mine")) == 2
    with pytest.raises(InvalidArgument, match='did you mean "mine"'):
        suite("mines")


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("my_problems:twoo", r'has no "twoo" \(did you mean "two"'),
        ("no_such_module:f", "import of no_such_module failed: ModuleNotFoundError"),
        ("broken_problems:f", "import of broken_problems failed.*not_there"),
        ("my_problems:of_params", "requires params; .*give space="),
        ("my_problems:nothing", "got 3, expected a tunekit.bench.problem.Problem"),
    ],
)
def test_what_gives_no_problem_is_refused_with_the_reason(module, target, said):
    with pytest.raises(InvalidArgument, match=said):
        suite(target)


def test_a_space_beside_something_that_is_no_objective_is_refused(module):
    with pytest.raises(InvalidArgument, match="expected a function that takes a trial"):
        suite(f"{module}:ONE", space=SPACE)
