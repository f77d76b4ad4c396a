"""What is taken of a reply, and what is refused: nothing raises, nothing is clamped."""

from __future__ import annotations

import json
import os
from typing import Any

import pytest
from hypothesis import given, settings

from tests.samplers.llm.hostile_replies import SPACE, TEXTS
from tunekit.noise.replicates import key_of
from tunekit.samplers.llm.replies import MAX_POINTS, read_reply
from tunekit.samplers.llm.reply_schema import reply_schema

ROUNDS = int(os.environ.get("TUNEKIT_FAULT_ROUNDS", "3"))


def said(*points: Any, rationale: Any = "because") -> str:
    return json.dumps({"rationale": rationale, "points": list(points)})


FOREST = {"model": "forest", "model.forest.n": 100, "wait": 7}


@pytest.mark.parametrize(
    "text",
    [
        said(FOREST),
        f"Sure! Here they are:\n```json\n{said(FOREST)}\n```\nGood luck {{}}",
        said({"model": "forest", "n": "1e2", "wait": 7.0}),
        said({"model": {"forest": {"n": 100}}, "wait": 7}),
        said({**FOREST, "model.svm.C": 3.0}),  # of a branch that is not taken
    ],
)
def test_points_are_read_from_the_forms_that_models_use(text: str) -> None:
    read = read_reply(text, SPACE)
    assert [dict(p.params) for p in read.points] == [FOREST]
    assert read.refused == ()


def test_what_a_reply_leaves_out_has_its_default_and_is_named() -> None:
    (point,) = read_reply(said({"model": "svm", "kernel": "rbf", "gamma": 2}), SPACE).points
    assert point.params["model.svm.C"] == SPACE.by_path["model.svm.C"].domain.default_value()
    assert point.filled == ("model.svm.C", "wait")


@pytest.mark.parametrize(
    ("point", "why"),
    [
        ({"model": "svm", "C": 1e9}, r"expected a value in \[0.001, 1000.0\]"),
        ({"model": "svm", "C": "32 MB"}, "plain number without a unit"),
        ({"model": "svm", "C": float("nan")}, "finite number"),
        ({"model": "tree"}, "expected one of"),
        ({"modell": "svm"}, "unknown parameter"),
        ({"model": "forest", "n": 10.5}, "model.forest.n"),
        ({"model": "forest", "n": 480, "wait": 99}, "does not hold"),
        ({"wait": True}, "wait"),
        ({"wait": [1]}, "wait"),
        (3, "expected an object"),
        (None, "expected an object"),
    ],
)
def test_what_does_not_fit_is_refused_with_a_sentence(point: Any, why: str) -> None:
    read = read_reply(said(point, FOREST), SPACE)
    assert [dict(p.params) for p in read.points] == [FOREST]
    assert len(read.refused) == 1
    with pytest.raises(AssertionError, match=why):
        raise AssertionError(read.refused[0])


def test_points_that_are_taken_or_repeated_are_refused() -> None:
    read = read_reply(said(FOREST, FOREST), SPACE)
    assert len(read.points) == 1
    assert len(read.refused) == 1
    again = read_reply(said(FOREST), SPACE, taken={key_of(read.points[0].params)})
    assert again.points == ()


def test_values_that_the_user_fixed_win() -> None:
    (point,) = read_reply(said(FOREST), SPACE, fixed={"wait": 9}).points
    assert point.params["wait"] == 9


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no JSON",
        "{" * 5000,
        "[" * 100_000,
        '{"points": ' + '{"a":' * 500 + "1" + "}" * 500 + "}",
        said({"model": json.loads('{"a":' * 300 + "1" + "}" * 300)}),
        said(*[FOREST] * (MAX_POINTS + 500)),
        said({"model": "x" * 100_000}),
        '{"points": [{"wait": ' + "9" * 4000 + "}]}",
        said({"model": "\ud800"}),
        '{"points": [{"wait": 1e999}]}',
    ],
)
def test_hostile_texts_give_no_points_and_short_sentences(text: str) -> None:
    read = read_reply(text, SPACE)
    assert len(read.points) <= 1
    assert read.refused
    assert len(read.refused) <= 20
    assert all(len(sentence) < 2000 for sentence in read.refused)


@settings(max_examples=50 * ROUNDS, deadline=None)
@given(text=TEXTS)
def test_no_reply_raises_or_gives_an_invalid_point(text: str) -> None:
    read = read_reply(text, SPACE)
    for point in read.points:
        assert SPACE.validate(point.params) == point.params
    assert len({key_of(p.params) for p in read.points}) == len(read.points)


def test_the_schema_lists_each_parameter_with_its_values() -> None:
    schema = reply_schema(SPACE, 3)
    assert schema["properties"]["points"]["maxItems"] == 3
    values = schema["properties"]["points"]["items"]["properties"]
    assert list(values) == [p.path for p in SPACE]
    assert values["model"] == {"enum": ["svm", "forest"]}
    assert values["wait"]["anyOf"][1] == {"enum": [-1]}
