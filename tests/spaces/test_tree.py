"""The tree: paths, conditions, validation of points, equality."""

import pickle
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import InvalidParams, InvalidSpace, UnknownParameter
from tunekit.spaces import Categorical, Constant, Float, Int, Params, Repeat, Space, When, walk
from tunekit.spaces.serialize import space_from_dict, space_to_dict
from tunekit.testing.spaces import random_point, spaces

EPOCHS = Int(1, 9, fidelity=True)

NESTED = Space(
    model=Categorical(
        {
            "svm": Space(
                C=Float(0.1, 10, log=True),
                kernel=Categorical({"linear": None, "rbf": Space(gamma=Float(0, 1))}),
            ),
            ("forest", "trees"): Space(n=Int(10, 500)),
        }
    ),
    layers=Repeat(0, 2, Space(units=Int(1, 8))),
    use_bias=bool,
    version=3,
    when=When("use_bias", True, Space(bias=Float(-1, 1))),
)


def test_paths_conditions_and_depth():
    table = {p.path: (p.requirement(), p.depth) for p in NESTED}
    assert table == {
        "model": ("", 0),
        "model.svm.C": ("model in {'svm'}", 1),
        "model.svm.kernel": ("model in {'svm'}", 1),
        "model.svm.kernel.rbf.gamma": ("model.svm.kernel in {'rbf'}", 2),
        "model.forest|trees.n": ("model in {'forest', 'trees'}", 1),
        "layers": ("", 0),
        "layers.0.units": ("layers in {1, 2}", 1),
        "layers.1.units": ("layers in {2}", 1),
        "use_bias": ("", 0),
        "version": ("", 0),
        "bias": ("use_bias in {True}", 1),
    }


def test_a_when_may_have_further_conditions():
    space = Space(
        a=bool, n=Int(1, 3), when=When("n", [2, 3], Space(x=Float(0, 1)), also={"a": True})
    )
    active = [(a, n) for a in (False, True) for n in (1, 2, 3)
              if space.by_path["x"].is_active({"a": a, "n": n})]  # fmt: skip
    assert active == [(True, 2), (True, 3)]
    assert space.by_path["x"].parent == "n"


def test_short_names_and_nested_form():
    point = NESTED.validate(
        {"model": "svm", "C": 1, "kernel": "rbf", "gamma": 0.5, "layers": 1,
         "layers.0.units": 4, "use_bias": False}
    )  # fmt: skip
    assert point["gamma"] == point["model.svm.kernel.rbf.gamma"] == 0.5
    assert point["version"] == 3
    assert point.nested() == {
        "model": {"svm": {"C": 1.0, "kernel": {"rbf": {"gamma": 0.5}}}},
        "layers": [{"units": 4}],
        "use_bias": False,
        "version": 3,
    }
    shared = NESTED.complete({"model": "trees"})
    assert shared.nested()["model"] == {"trees": {"n": shared["n"]}}


@pytest.mark.parametrize(
    ("params", "error", "words"),
    [
        ({"modle": "svm"}, UnknownParameter, 'did you mean "model"'),
        ({"units": 3}, UnknownParameter, "several"),
        ({"model": "svn"}, InvalidParams, 'did you mean "svm"'),
        ({"model": ["svm"]}, InvalidParams, "expected one of"),
        ({"model": "forest", "C": 1.0}, InvalidParams, "inactive"),
        ({"model": "svm", "C": 99}, InvalidParams, r"\[0.1, 10"),
        ({"C": 1.0, "model.svm.C": 2.0}, InvalidParams, "twice"),
        ({"version": 4}, InvalidParams, "fixed"),
        ([("model", "svm")], InvalidParams, "mapping"),
    ],
)
def test_a_point_that_is_none_is_refused(params, error, words):
    with pytest.raises(error, match=words):
        NESTED.complete(params)


def test_a_missing_value_is_an_error_only_for_validate():
    with pytest.raises(InvalidParams, match="no value for"):
        NESTED.validate({"model": "svm"})
    assert NESTED.complete({})["model"] == "svm"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Space({"a..b": 1}), "empty"),
        (lambda: Space({"": 1}), "empty|printable"),
        (lambda: Space({" a": 1}), "printable"),
        (lambda: Space({"a\n": 1}), "printable"),
        (lambda: Space({3: 1}), "printable"),
        (lambda: Space([1]), "mapping"),
        (lambda: Space(a=object()), "expected Float"),
        (lambda: Space(a=Space()), "needs a choice"),
        (lambda: Space(a=float("inf")), "finite"),
        (lambda: Space(m=Categorical({"x": 3})), "expected a Space"),
        (lambda: Space(m=Categorical({"x.y": Space(a=1)})), "dotted"),
        (lambda: Space({"m": Categorical({"x": Space(a=1)}), "m.x.a": 2}), "two parameters"),
        (lambda: Space(a=1, when=When("b", 1, Space())), "no parameter"),
        (lambda: Space(a=Float(0, 1), when=When("a", 1, Space())), "must be"),
        (lambda: Space(a=bool, when=When("a", 1, Space())), "expected one of"),
        (lambda: Space(a=bool, when=[3]), "expected When"),
        (lambda: When("a", [], Space()), "no values"),
        (lambda: When("a", 1, Space(), also={"a": 2}), "different names"),
        (lambda: Repeat(2, 1, Space()), "swap"),
        (lambda: Repeat(-1, 1, Space()), "0 or more"),
        (lambda: Repeat(0, 10**9, Space()), "at most"),
        (lambda: Space(a=Repeat(1, 900, Space(b=Repeat(1, 900, Space(c=1))))), "more than"),
        (lambda: Repeat(0, 1, 5), "expected a Space"),
        (lambda: Space(a=1, constraints=5), "list of strings"),
    ],
)
def test_a_space_that_cannot_be_is_refused(make, words):
    with pytest.raises(InvalidSpace, match=words):
        make()


@settings(max_examples=40, deadline=None)
@given(spaces(), st.integers(0, 2**32))
def test_every_walked_point_is_its_own_validated_form(space, seed):
    point = random_point(space, seed)
    if not space.violated(point):
        assert space.validate(point) == point
        assert list(space.validate(dict(reversed(point.items())))) == list(point)
    assert set(space.default()) <= set(space.by_path)
    for p in space:
        assert (p.path in point) is p.is_active(point)


@settings(max_examples=40, deadline=None)
@given(spaces())
def test_a_space_and_its_points_survive_pickling(space):
    copy = pickle.loads(pickle.dumps(space))
    assert copy == space
    assert hash(copy) == hash(space)
    point = pickle.loads(pickle.dumps(space.default()))
    assert type(point) is Params
    assert point == space.default()


def test_a_pickled_space_does_not_carry_the_hash_of_another_process():
    program = (
        "import pickle, sys; from tunekit.spaces import Space, Categorical;"
        "s = Space(a=Categorical(['x', 'y'])); hash(s); sys.stdout.buffer.write(pickle.dumps(s))"
    )
    data = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True).stdout
    assert pickle.loads(data) in {Space(a=Categorical(["x", "y"]))}


def test_values_of_a_set_have_a_lasting_order():
    assert When("m", {"b", "a", 3}, Space()) == When("m", [3, "a", "b"], Space())


def test_odd_names_and_empty_spaces_work():
    space = Space({"learning rate": Float(0, 1), "λ[0]": 1, "num.impute": [1, 2]},
                  constraints='params["learning rate"] < 2')  # fmt: skip
    point = space.default()
    assert list(point) == ["learning rate", "λ[0]", "num.impute"]
    assert Space().default() == {}
    assert Space().validate({}) == {}


def test_walk_asks_for_no_constant_and_no_inactive_parameter():
    asked = []

    def picker(p, chosen):
        asked.append(p.path)
        return p.domain.default_value()

    walk(Space(a=Constant(1), b=bool, when=When("b", True, Space(c=Int(1, 2)))), picker)
    assert asked == ["b"]


def test_a_fidelity_is_found_and_its_default_is_its_largest_value():
    space = Space(x=Float(0, 1), epochs=Int(1, 90, step=20, fidelity=True))
    assert space.fidelity == "epochs"
    assert space.target == space.default().__class__({"epochs": 81})
    assert space.complete({"x": 0.5})["epochs"] == 81
    assert Space(x=Float(0, 1)).fidelity is None
    assert not Space(x=Float(0, 1)).target


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Int(0, 9, fidelity=True), "lower bound above 0"),
        (lambda: Float(1, 9, fidelity=True, default=3), "remove default= and special="),
        (lambda: Float(1, 9, fidelity=True, special=[20]), "remove default= and special="),
        (lambda: Int(1, 9, fidelity="yes"), "expected True or False"),
        (lambda: Space(a=EPOCHS, b=EPOCHS), "expected at most one"),
        (lambda: Space(a=Categorical({"x": Space(b=EPOCHS)})), "at the root"),
        (lambda: Space(a=bool, when=When("a", True, Space(b=EPOCHS))), "at the root"),
        (lambda: Space(a=EPOCHS, when=When("a", 9, Space(b=bool))), "opens a child space"),
    ],
)
def test_a_fidelity_that_cannot_be_right_is_refused(make, words):
    with pytest.raises(InvalidSpace, match=words):
        make()


def test_a_space_has_several_scale_axes_by_their_role():
    space = Space(
        lr=Float(1e-4, 1, log=True),
        width=Int(1_000, 81_000, log=True, scale="N"),
        tokens=Float(1e6, 1e9, log=True, scale="D"),
        documents=Int(1, 9, scale="datastore"),
        epochs=Int(1, 9, fidelity=True),
    )
    assert space.scales == {"N": "width", "D": "tokens", "datastore": "documents"}
    largest = {"width": 81_000, "tokens": 1e9, "documents": 9, "epochs": 9}
    assert dict(space.target) == largest
    assert largest.items() <= space.default().items()
    assert space_from_dict(space_to_dict(space)) == space
    assert Space(x=Float(0, 1)).scales == {}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Int(0, 9, scale="N"), "a scale axis is an amount; raise the lower bound above 0"),
        (lambda: Float(1, 9, scale="N", default=3), "remove default= and special="),
        (lambda: Float(1, 9, scale="log"), "for a logarithmic range give log=True"),
        (lambda: Float(1, 9, scale=True), "expected the role of the axis"),
        (lambda: Int(1, 9, scale="N", fidelity=True), "remove fidelity=True"),
        (lambda: Space(a=Int(1, 9, scale="N"), b=Int(1, 9, scale="N")), "one parameter a role"),
        (
            lambda: Space(a=Categorical({"x": Space(n=Int(1, 9, scale="N")), "y": None})),
            "declare it at the root",
        ),
        (
            lambda: Space(n=Int(1, 9, scale="N"), when=When("n", [3], Space(x=Float(0, 1)))),
            "attach the child to another parameter",
        ),
    ],
)
def test_a_scale_axis_that_cannot_be_right_is_refused(make, words):
    with pytest.raises(InvalidSpace, match=words):
        make()
