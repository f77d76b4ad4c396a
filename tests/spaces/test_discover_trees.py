"""Random trees as programs: what they hang on is discovered, whatever the order of the trials."""

import random

from hypothesis import given
from hypothesis import strategies as st

from tunekit.spaces import Categorical, Float, Int
from tunekit.spaces.discover import Discovery
from tunekit.spaces.program import Chooser, space_from_program

KINDS = st.sampled_from(
    [
        Float(0, 1),
        Categorical(["a"]),  # never tells anything apart
        Categorical(["a", "b"]),
        Categorical(["a", "b", "c"]),
        Categorical([False, True]),
        Int(1, 3),
    ]
)


def level(depth):
    """Return lists of (domain, children): children are (positions of values, level)."""
    none = st.just([])
    children = none if depth == 0 else st.one_of(none, st.lists(branch(depth), max_size=2))
    return st.lists(st.tuples(KINDS, children), max_size=3)


def branch(depth):
    return st.tuples(st.sets(st.integers(0, 2), min_size=1, max_size=2), level(depth - 1))


def values_of(domain):
    if isinstance(domain, Categorical):
        return list(domain.choices)
    return [1, 2, 3] if isinstance(domain, Int) else []


def planted(level, prefix="", conditions=()):
    """Yield (name, domain, conditions, children by values) in the order of asking."""
    for i, (domain, children) in enumerate(level):
        name = f"{prefix}p{i}"
        yield name, domain, conditions
        values = values_of(domain)
        for j, (positions, below) in enumerate(children):
            opened = frozenset(v for k, v in enumerate(values) if k in positions)
            # All values open it: it hangs on what its parent hangs on.
            hang = conditions if len(opened) == len(values) else ((name, opened),)
            if opened:
                yield from planted(below, f"{name}{'abc'[j]}", hang)


def ask(trial, level, prefix=""):
    for i, (domain, children) in enumerate(level):
        name = f"{prefix}p{i}"
        if isinstance(domain, Float):
            trial.suggest_float(name, domain.lo, domain.hi)
            continue
        if isinstance(domain, Int):
            value = trial.suggest_int(name, 1, 3)
        else:
            value = trial.suggest_categorical(name, domain.choices)
        for j, (positions, below) in enumerate(children):
            if values_of(domain).index(value) in positions:
                ask(trial, below, f"{name}{'abc'[j]}")


def all_runs(level):
    """Return one run for each combination of answers."""
    scripts, runs = [{}], []
    while scripts:
        script = scripts.pop()
        asked = []

        def pick(p, chosen, script=script, asked=asked):
            values = values_of(p.domain) or [0.5]
            if p.path not in script:
                asked.append((p.path, values))
            return script.get(p.path, values[0])

        chooser = Chooser(pick)
        ask(chooser, level)
        runs.append(chooser)
        before = dict(script)
        for path, values in asked:
            scripts += [{**before, path: v} for v in values[1:]]
            before[path] = values[0]
    return runs


def as_table(space):
    return {p.path: (p.domain, tuple((c.parent, c.values) for c in p.conditions)) for p in space}


def expected(level):
    return {name: (domain, conditions) for name, domain, conditions in planted(level)}


def n_combinations(level):
    n = 1
    for domain, children in level:
        values = values_of(domain) or [0.5]
        opened = [
            [n_combinations(below) for positions, below in children if k in positions]
            for k in range(len(values))
        ]
        n *= sum(product_of(ns) for ns in opened)
    return n


def product_of(numbers):
    out = 1
    for n in numbers:
        out *= n
    return out


TREES = level(2).filter(lambda tree: n_combinations(tree) <= 600)


@given(TREES, st.randoms(use_true_random=False))
def test_enough_trials_of_a_tree_discover_the_conditions_that_it_has(tree, rng):
    runs = all_runs(tree)
    rng.shuffle(runs)
    discovery = Discovery()
    for run in runs:
        discovery.observe(run.params, discovery.new_domains(run.domains))
    assert as_table(discovery.space) == expected(tree)


@given(TREES, st.sampled_from([1000, 20]))
def test_the_space_of_a_tree_is_found_with_one_run_for_each_value(tree, max_paths):
    runs = []

    def program(trial):
        runs.append(trial)
        ask(trial, tree)

    n_values = sum(len(values_of(domain)) or 1 for domain, _ in expected(tree).values())
    n_values = max(1, n_values)
    space = space_from_program(program, max_paths=max(max_paths, n_values))
    assert as_table(space) == expected(tree)


def wide(n):
    """Return a program of n blocks of 12 parameters or so, and its runs so far."""
    runs = []

    def program(trial):
        runs.append(trial)
        for b in range(n):
            kind = trial.suggest_categorical(f"kind_{b}", ["conv", "attention", "mlp"])
            if kind == "conv":
                trial.suggest_int(f"kernel_{b}", 1, 7, step=2)
                if trial.suggest_categorical(f"norm_{b}", ["batch", "none"]) == "batch":
                    trial.suggest_float(f"momentum_{b}", 0, 1)
            elif kind == "attention":
                trial.suggest_int(f"heads_{b}", 1, 8)
            else:
                for i in range(trial.suggest_int(f"depth_{b}", 1, 3)):
                    trial.suggest_int(f"units_{b}_{i}", 8, 256, step=8)

    return program, runs


def test_the_runs_of_a_program_grow_with_its_values_and_not_with_their_products():
    n_runs = {}
    for n in (4, 8):
        program, runs = wide(n)
        table = as_table(space_from_program(program, max_paths=200))
        n_runs[n] = len(runs)
        for b in range(n):
            assert table[f"kind_{b}"][1] == ()
            for name in ("kernel", "norm"):
                assert table[f"{name}_{b}"][1] == ((f"kind_{b}", {"conv"}),)
            assert table[f"momentum_{b}"][1] == ((f"norm_{b}", {"batch"}),)
            for name in (f"depth_{b}", f"units_{b}_0"):
                assert table[name][1] == ((f"kind_{b}", {"mlp"}),)
            assert table[f"units_{b}_1"][1] == ((f"depth_{b}", {2, 3}),)
    values = 3 + 4 + 2 + 8 + 3 + 3 * 32 + 1
    assert n_runs[4] <= 4 * values + 2 * 200
    assert n_runs[8] <= 8 * values + 2 * 200


def test_what_only_one_of_two_branches_opens_is_found_under_a_name_that_both_ask():
    def program(trial):
        for i in range(12):  # too many combinations to try them all
            trial.suggest_categorical(f"c_{i}", [1, 2])
        model = trial.suggest_categorical("model", ["svm", "gp", "tree"])
        if model != "tree":
            kernel = trial.suggest_categorical("kernel", ["linear", "poly"])
            if model == "gp" and kernel == "poly":
                trial.suggest_int("degree", 2, 5)

    assert as_table(space_from_program(program))["degree"][0] == Int(2, 5)


def test_siblings_hang_on_one_branch_and_not_on_each_other():
    def program(trial):
        if trial.suggest_categorical("model", ["svm", "mlp"]) == "mlp":
            trial.suggest_int("filters", 8, 64, step=8)
            trial.suggest_categorical("kernel", [3, 5, 7])
            trial.suggest_categorical("activation", ["relu", "tanh"])

    rng, discovery = random.Random(0), Discovery()
    for _ in range(40):
        run = Chooser(lambda p, _: p.domain.from_unit(rng.random()))
        program(run)
        discovery.observe(run.params, run.domains)
    for space in (discovery.space, space_from_program(program)):
        for name in ("filters", "kernel", "activation"):
            assert space.by_path[name].requirement() == "model in {'mlp'}"
            assert space.by_path[name].depth == 1
