"""A point: one mapping by paths and short names, and its nested form read off the space."""

import copy
import json
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunekit as tk
from tunekit.errors import UnknownParameter
from tunekit.samplers.base import sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Categorical, Float, Int, Params, Repeat, Space, When
from tunekit.spaces.serialize import space_from_dict, space_to_dict

TREE = Space(
    model=Categorical({"svm": Space(C=Float(0.1, 10)), "rf": Space(n=Int(1, 9))}),
    layers=Repeat(0, 3, Space(units=Int(1, 8))),
    units=Int(1, 2),
)
SVM = TREE.complete({"model": "svm", "C": 2.0, "layers": 1})
ABSENT = object()


def copies(point):
    yield from (point, point.copy(), copy.copy(point), copy.deepcopy(point), Params(point))
    yield from (pickle.loads(pickle.dumps(point)), point | {}, {} | point)


def test_every_method_takes_the_short_name_that_a_look_up_takes():
    for point in copies(SVM):
        assert type(point) is Params and point == SVM
        assert point["C"] == point.get("C", 1.0) == point.get("C") == point.setdefault("C", 1) == 2
        assert "C" in point and "C" in point.keys() and ("C", 2.0) in point.items()
        assert "n" not in point and "n" not in point.keys()
        assert point.get("n", 1.0) == 1.0 and point.get("n") is None
        with pytest.raises(UnknownParameter, match="no active parameter"):
            point["n"]


def test_sets_of_names_take_short_names_alike():
    names = SVM.keys()
    assert names - {"C"} == set(SVM) - {"model.svm.C"} and {"C", "n"} - names == {"n"}
    assert names & {"C", "n"} == {"C"} and names >= {"C", "model"}
    assert names | {"C"} == set(SVM) and names ^ {"C"} == set(SVM) - {"model.svm.C"}
    assert not names.isdisjoint({"C"}) and names.isdisjoint({"n"})


def test_a_short_name_is_written_and_taken_out_where_it_is_read():
    changed = [SVM.copy() for _ in range(4)]
    changed[0]["C"] = 3.0
    changed[1].update(C=3.0)
    changed[2] |= {"C": 3.0}
    changed[3] = changed[3] | {"C": 3.0}
    for point in changed:
        assert point == {**SVM, "model.svm.C": 3.0} and len(point) == len(SVM)
    taken, dropped = SVM.copy(), SVM.copy()
    assert taken.pop("C") == 2.0 and taken.pop("C", None) is None
    del dropped["C"]
    assert taken == dropped == {k: v for k, v in SVM.items() if k != "model.svm.C"}
    for fail in (lambda: taken.pop("C"), lambda: taken.__delitem__("C")):
        with pytest.raises(UnknownParameter, match="no active parameter"):
            fail()


def test_an_ambiguous_short_name_gets_no_silent_default():
    point = Params({"a.C": 1.0, "b.C": 2.0})
    for look in (lambda: point["C"], lambda: point.get("C", 1.0), lambda: "C" in point):
        with pytest.raises(UnknownParameter, match="short for several"):
            look()


def test_a_path_of_the_space_is_no_short_name_for_another_parameter():
    space = Space(
        a=Categorical({"x": Space(n=Int(1, 3)), "y": None}),
        on=bool,
        when=When("on", True, Space(n=Int(7, 9))),
    )
    point = space.validate({"a": "x", "a.x.n": 2, "on": False})
    assert "n" not in point and point.get("n", 5) == 5
    assert space.complete({"on": True, "n": 8, "a": "x"})["n"] == 8


@given(st.integers(0, 2**32))
def test_all_methods_agree_on_every_name(seed):
    point = sample(TREE, stream(seed, 0))
    for name in {part for path in TREE.by_path for part in (path, path.rsplit(".", 1)[-1])}:
        try:
            value = point[name]
        except UnknownParameter:
            assert name not in point and point.get(name, ABSENT) is ABSENT
        else:
            assert name in point and point.get(name, ABSENT) == value
    assert dict(point) == {**point} == dict(point.items()) == json.loads(json.dumps(point))
    assert list(reversed(point.items())) == [(k, point[k]) for k in reversed(point.keys())]
    assert list(point) == list(point.keys()) and len(point) == len(dict(point))


def test_the_objective_and_the_records_of_a_study_read_one_point(tmp_path):
    def objective(trial):
        model = trial.params.get("model")
        assert ("C" in trial.params) == (model == "svm")
        assert isinstance(trial.params.nested()["layers"], list)
        return trial.params.get("C", 0.0)

    study = tk.study("s", space=TREE, storage=tmp_path / "s.db", seed=1, sampler="random")
    study.optimize(objective, n_trials=6)
    for trial in tk.load_study("s", storage=tmp_path / "s.db").trials:
        assert trial.metrics["value"] == trial.params.get("C", 0.0)
        assert trial.params.nested() == TREE.validate(trial.params).nested()
    study.optimize(objective, n_trials=2, workers=2, executor="process")
    assert [t.state for t in study.trials] == ["complete"] * 8


def test_nesting_reads_the_space_and_not_the_values():
    numbered = Space(n=Categorical({1: None, 2: Space(a=Int(1, 3))}))
    assert numbered.complete({"n": 2, "n.2.a": 1}).nested() == {"n": {"2": {"a": 1}}}
    assert numbered.complete({"n": 1}).nested() == {"n": 1}
    stack = Space(layers=Repeat(0, 2, Space(units=Int(1, 8))))
    assert stack.complete({"layers": 0}).nested() == {"layers": []}
    assert stack.complete({"layers": 2}).nested() == {"layers": [{"units": 5}] * 2}
    digits = Space({"net": Categorical({"a": Space({"0": Int(1, 3), "1": Int(1, 3)})})})
    assert digits.default().nested() == {"net": {"a": {"0": 2, "1": 2}}}
    bare = Space(kind=Categorical({"a": Space(), "b": None}), deep=Repeat(1, 1, Space()))
    assert bare.default().nested() == {"kind": {"a": {}}, "deep": [{}]}
    shared = Space(kind=Categorical({("a", "b"): Space(x=Int(1, 3)), "c": None}))
    assert shared.complete({"kind": "b"}).nested() == {"kind": {"b": {"x": 2}}}


def test_a_name_with_dots_stays_in_one_piece():
    space = Space({"opt": Categorical(["adam"]), "opt.adam": Int(1, 3), "layers.0": Int(1, 3)})
    assert space.default().nested() == {"opt": "adam", "opt.adam": 2, "layers.0": 2}
    level = Space(n=Int(1, 2), when=When("n", 2, Space({"n.0": Int(1, 3)})))
    assert level.complete({"n": 2}).nested() == {"n": 2, "n.0": 2}


def test_a_point_of_a_program_stays_flat():
    study = tk.study(sampler="random", seed=0)

    def objective(trial):
        trial.suggest_int("n", 2, 2)
        trial.suggest_int("n.0", 1, 1)
        assert trial.params.nested() == {"n": 2, "n.0": 1}
        return 0.0

    study.optimize(objective, n_trials=1)
    assert study.best_params.nested() == {"n": 2, "n.0": 1}


def leaves(value):
    if isinstance(value, dict | list):
        inner = value.values() if isinstance(value, dict) else value
        return [leaf for v in inner for leaf in leaves(v)]
    return [value]


@given(st.integers(0, 2**32))
def test_nesting_keeps_every_leaf_and_survives_storage_of_space_and_point(seed):
    point = sample(TREE, stream(seed, 0))
    again = space_from_dict(space_to_dict(TREE)).validate(json.loads(json.dumps(point)))
    assert again.nested() == pickle.loads(pickle.dumps(point)).nested() == point.nested()
    assert len(point.nested()["layers"]) == point["layers"]
    assert list(point.nested()["model"]) == [point["model"]]
    kept = [v for path, v in point.items() if path not in ("model", "layers")]
    assert sorted(leaves(point.nested())) == sorted(kept)


def test_a_point_takes_values_by_name_as_a_dict_does() -> None:
    assert Params({"lr": 0.1}, n=2, space="flat") == {"lr": 0.1, "n": 2, "space": "flat"}
    assert Params(lr=0.1) == Params({"lr": 0.1})
