"""Define-by-run: the chooser, spaces of programs, and spaces discovered trial by trial."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument, InvalidParams, InvalidSpace
from tunekit.spaces import Categorical, Float, Int, Space, When
from tunekit.spaces.discover import Discovery
from tunekit.spaces.program import Chooser, space_from_program
from tunekit.spaces.serialize import domain_to_dict


def program(trial):
    trial.suggest_float("lr", 1e-5, 1, log=True)
    model = trial.suggest_categorical("model", ["svm", "rf", "mlp"])
    if model == "svm":
        trial.suggest_float("C", 0, 1)
        if trial.suggest_categorical("kernel", ["linear", "rbf"]) == "rbf":
            trial.suggest_float("gamma", 0, 1)
    elif model == "mlp":
        for i in range(trial.suggest_int("layers", 1, 3)):
            trial.suggest_int(f"units_{i}", 1, 100)
    trial.suggest_categorical("last", [True, False])


DECLARED = Space(
    lr=Float(1e-5, 1, log=True),
    model=Categorical(["svm", "rf", "mlp"]),
    last=Categorical([True, False]),
    when=[
        When("model", "svm", Space(C=Float(0, 1), kernel=Categorical(["linear", "rbf"]))),
        When("kernel", "rbf", Space(gamma=Float(0, 1))),
        When("model", "mlp", Space(layers=Int(1, 3), units_0=Int(1, 100))),
        When("layers", [2, 3], Space(units_1=Int(1, 100))),
        When("layers", [3], Space(units_2=Int(1, 100))),
    ],
)


def uniform(rng):
    return lambda p, chosen: p.domain.from_unit(rng.random())


def as_table(space):
    return {p.path: (p.domain, p.conditions, p.depth) for p in space}


def observed(discovery, run, **options):
    discovery.observe(run.params, run.domains, **options)


def run_once(rng, fn=program):
    chooser = Chooser(uniform(rng))
    fn(chooser)
    return chooser


def test_a_program_gives_the_space_that_one_would_declare():
    assert as_table(space_from_program(program)) == as_table(DECLARED)


def test_many_independent_choices_do_not_multiply():
    runs = []

    def wide(trial):
        runs.append(1)
        for i in range(20):
            trial.suggest_categorical(f"c{i}", [1, 2, 3])
        if trial.suggest_categorical("extra", [False, True]):
            trial.suggest_float("x", 0, 1)

    space = space_from_program(wide)
    assert space.by_path["x"].requirement() == "extra in {True}"
    assert len(space) == 22
    assert len(runs) < 2000  # of 7 thousand million combinations


def test_a_program_without_end_is_refused():
    def forever(trial):
        i = 0
        while trial.suggest_categorical(f"more_{i}", [True, False]):
            i += 1

    def stuck(trial):
        while trial.suggest_categorical("more", [True, False]):
            pass

    for endless in (forever, stuck):
        with pytest.raises(InvalidSpace, match="bound its loops"):
            space_from_program(endless)

    def bushy(trial):
        i = 0
        while trial.suggest_categorical(f"more_{i}", [False, True]):
            i += 1

    with pytest.raises(InvalidSpace, match="distinct sequences"):
        space_from_program(bushy, max_paths=50)
    with pytest.raises(InvalidArgument, match="max_paths"):
        space_from_program(program, max_paths=0)


def test_a_name_asked_twice_gives_the_same_value():
    chooser = run_once(random.Random(0))
    assert chooser.suggest_float("lr", 1e-5, 1, log=True) == chooser.params["lr"]
    assert list(chooser.domains) == list(chooser.params)
    assert chooser.domains["lr"] == {"type": "float", "lo": 1e-5, "hi": 1.0, "log": True}
    with pytest.raises(InvalidSpace, match="one range per name"):
        chooser.suggest_float("lr", 1e-5, 2, log=True)
    with pytest.raises(InvalidSpace, match="one range per name"):
        chooser.suggest_int("lr", 1, 2)


def test_faulty_questions_and_answers_are_refused_and_leave_no_trace():
    chooser = Chooser(lambda p, chosen: "nonsense")
    for ask in (
        lambda: chooser.suggest_float("", 0, 1),
        lambda: chooser.suggest_float("x", 2, 1),
        lambda: chooser.suggest_categorical("x", []),
        lambda: chooser.suggest_categorical("x", [object()]),
    ):
        with pytest.raises(InvalidSpace):
            ask()
    with pytest.raises(InvalidParams):
        chooser.suggest_int("x", 1, 2)
    assert chooser.params == {} and chooser.domains == {}


@given(st.integers(0, 2**32))
def test_enough_trials_discover_the_declared_space_in_any_order(seed):
    rng, discovery = random.Random(seed), Discovery()
    while len(discovery.space) < len(DECLARED) or rng.random() < 0.98:
        observed(discovery, run_once(rng))
    found, declared = as_table(discovery.space), as_table(DECLARED)
    assert found.keys() == declared.keys()
    for path, (domain, conditions, _) in found.items():
        assert domain == declared[path][0]
        parents = {c.parent for c in conditions}
        # Chance may hide that a switch matters, but never show one that was not asked before.
        assert parents <= {"model", "kernel", "layers", "last"}


def test_a_trial_of_the_discovered_space_runs_through_the_program():
    rng, discovery = random.Random(1), Discovery()
    for _ in range(60):
        observed(discovery, run_once(rng))
    assert as_table(discovery.space) == as_table(DECLARED)
    space = discovery.space
    run = run_once(rng)
    assert discovery.new_domains(run.domains) == {}
    observed(discovery, run)
    assert discovery.space is space  # nothing new, nothing rebuilt


def test_an_aborted_trial_says_nothing_about_what_it_did_not_ask():
    lr, x = domain_to_dict(Float(0, 1)), domain_to_dict(Int(1, 2))
    model = domain_to_dict(Categorical(["a", "b"]))
    discovery = Discovery()
    discovery.observe({"lr": 0.1, "model": "a", "x": 1}, {"lr": lr, "model": model, "x": x})
    discovery.observe({"lr": 0.1, "model": "b"}, {}, is_whole=False)
    assert discovery.space.by_path["x"].conditions == ()
    discovery.observe({"lr": 0.1, "model": "b"}, {})
    assert discovery.space.by_path["x"].requirement() == "model in {'a'}"
    discovery.observe({"lr": 0.1, "model": "b", "x": 2}, {})  # it was no condition after all
    assert discovery.space.by_path["x"].conditions == ()


def test_bounds_and_choices_are_the_union_and_only_news_is_reported():
    discovery = Discovery()
    first = {"n": domain_to_dict(Int(1, 4)), "c": domain_to_dict(Categorical(["a"]))}
    second = {"n": domain_to_dict(Int(3, 9)), "c": domain_to_dict(Categorical(["b", "a"]))}
    discovery.observe({"n": 1, "c": "a"}, first)
    assert discovery.new_domains(first) == {}
    assert discovery.new_domains(second) == second
    discovery.observe({"n": 9, "c": "b"}, second)
    assert as_table(discovery.space)["n"][0] == Int(1, 9)
    assert as_table(discovery.space)["c"][0] == Categorical(["a", "b"])
    assert discovery.new_domains({"n": domain_to_dict(Int(2, 9))}) == {}


def test_another_kind_for_one_name_is_refused_and_nothing_is_taken_in():
    discovery = Discovery()
    discovery.observe({"n": 1}, {"n": domain_to_dict(Int(1, 4))})
    before = discovery.space
    with pytest.raises(InvalidSpace, match="one kind per name"):
        discovery.observe(
            {"m": 1, "n": 0.5},
            {"m": domain_to_dict(Int(0, 1)), "n": domain_to_dict(Float(0, 1))},
        )
    assert discovery.space == before
