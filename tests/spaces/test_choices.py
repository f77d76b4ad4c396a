"""One list of choices at every door: its order lasts, and a text is no list."""

import numpy as np
import pytest

from tunekit.errors import InvalidSpace
from tunekit.spaces import Categorical, Space
from tunekit.spaces.program import Chooser
from tunekit.spaces.versions import narrow, widen

SPACE = Space(kind=Categorical(["a", "b"]))
DOORS = [
    Categorical,
    lambda choices: Chooser(lambda p, _: p.domain.default_value()).suggest_categorical(
        "x", choices
    ),
    lambda choices: widen(SPACE, "kind", choices=choices),
    lambda choices: narrow(SPACE, "kind", choices=choices),
]


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("choices", [{"a", "z"}, frozenset("a"), {"a": 1}.keys()])
def test_choices_without_a_lasting_order_or_in_a_set_are_refused(door, choices):
    with pytest.raises(InvalidSpace, match="order differs between processes"):
        door(choices)


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("choices", ["az", b"az", bytearray(b"az"), 3, iter("az")])
def test_a_text_or_what_is_no_list_is_not_taken_as_its_parts(door, choices):
    with pytest.raises(InvalidSpace, match="expected a list"):
        door(choices)


def test_sequences_and_arrays_are_taken_in_their_order():
    for given in (["b", "a"], ("b", "a"), np.array(["b", "a"])):
        assert Categorical(given).choices == ("b", "a")
        chooser = Chooser(lambda p, _: p.domain.from_unit(0.0))
        assert chooser.suggest_categorical("x", given) == "b"
    assert Categorical(range(3)).choices == (0, 1, 2)


BAD_RANGES = [
    {"low": float("nan"), "high": 1},
    {"low": 0, "high": float("inf")},
    {"low": 2, "high": 1},
    {"low": "0", "high": 1},
    {"low": False, "high": True},
    {"low": 0, "high": 1, "log": True},
    {"low": 1, "high": 2, "log": "yes"},
    {"low": 1, "high": 8, "log": True, "step": 2},
    {"low": 0, "high": 1, "step": 0},
    {"low": 0, "high": 1, "step": -1},
    {"low": 0, "high": 1, "step": True},
    {"low": 0, "high": 1, "step": float("nan")},
]


@pytest.mark.parametrize("kind", ["suggest_float", "suggest_int"])
@pytest.mark.parametrize("bounds", BAD_RANGES)
def test_the_door_of_programs_refuses_the_ranges_that_a_declaration_would(kind, bounds):
    chooser = Chooser(lambda p, _: p.domain.default_value())
    with pytest.raises(InvalidSpace):
        getattr(chooser, kind)("x", **bounds)
    assert chooser.params == {} and chooser.domains == {}
