"""What a decoding study is made of: answers, requests and questions."""

from __future__ import annotations

import pytest

import tunekit as tk
from tunekit import decoding
from tunekit.decoding.measured import Measured
from tunekit.decoding.parameters import check_parameters, request
from tunekit.decoding.questions import question_set
from tunekit.errors import InvalidArgument

PAIRS = [(f"question {i}", str(i)) for i in range(40)]


@pytest.mark.parametrize(
    ("reply", "answer", "right"),
    [
        ("First 3, then 4.\n#### 7", "7", True),
        ("#### 7 apples", "7", True),
        ("So the answer is: $1,234.50", "1234.5", True),
        ("It is 12 and then 13", "13", True),
        ("It is 12 and then 13", "12", False),
        (r"thus \boxed{42}", "42", True),
        ("Answer: 7\nAnswer: 8", "8", True),
        ("Answer: 7\nAnswer: 8", "7", False),
        ("-5", "5", False),
        ("0.30000000000000004", "0.3", True),
        ("I do not know", "7", False),
        ("", "7", False),
        ("Let me think.\nParis.", "paris", True),
        ("Answer: Paris", "Paris", True),
        ("Paris is not it.\nAnswer: London", "Paris", False),
        ("9" * 5000, "7", False),
        ("1e999999999", "7", False),
    ],
)
def test_a_reply_is_right_by_its_final_answer(reply, answer, right):
    assert decoding.is_correct(reply, answer) is right


def test_a_point_becomes_the_fields_and_the_sentences_of_a_request():
    params = {"temperature": 0.25, "effort": "low", "reasoning_steps": 4, "prompt": "long"}
    messages, fields = request(params, {"short": "S", "long": "Think."}, "2 + {temperature}?")
    assert fields == {"temperature": 0.25, "reasoning_effort": "low"}
    assert [m["role"] for m in messages] == ["system", "user"]
    assert messages[0]["content"] == "Think.\nReason in at most 4 numbered steps."
    assert messages[1]["content"] == "2 + {temperature}?"


def test_a_prompt_can_hold_the_question_and_parameters_of_its_own():
    prompts = {"only": "In {style} style and {reasoning_steps} steps: {question}"}
    messages, fields = request({"style": "dry", "reasoning_steps": 3}, prompts, "1 + {style}?")
    assert messages == [{"role": "user", "content": "In dry style and 3 steps: 1 + {style}?"}]
    assert fields == {}


@pytest.mark.parametrize(
    ("space", "prompts", "said"),
    [
        (
            {"temprature": tk.Float(0.0, 1.0)},
            {"a": "A"},
            "'temprature' is not a field of a request",
        ),
        ({"style": ["x", "y"]}, {"a": "{style}", "b": "B"}, "does not occur in the prompt 'b'"),
        ({"prompt": ["a", "c"]}, {"a": "A", "b": "B"}, "give the same names"),
        ({"temperature": tk.Float(0.0, 1.0)}, {"a": "A", "b": "B"}, "no parameter 'prompt'"),
        ({"temperature": tk.Float(0.0, 1.0)}, {"a": " "}, "expected a text"),
    ],
)
def test_a_parameter_or_prompt_without_effect_is_refused(space, prompts, said):
    with pytest.raises(InvalidArgument, match=said):
        check_parameters(tk.Space(space), prompts)


def test_the_usual_space_has_a_choice_of_prompts_only_where_there_are_several():
    assert "prompt" not in decoding.space(prompts={"a": "A"}).by_path
    found = decoding.space(
        prompts={"a": "A", "b": "B"}, effort=("low", "high"), max_tokens=(64, 512)
    )
    assert {"prompt", "effort", "max_tokens"} <= set(found.by_path)
    assert found.default()["max_tokens"] == 512


def test_the_questions_are_split_and_ordered_by_the_seed():
    found = question_set(PAIRS, held_out=0.25, seed=3)
    assert sorted([*found.tuning, *found.held_out]) == list(range(40))
    assert len(found.held_out) == 10
    assert sorted(found.order(0)) == sorted(found.tuning)
    assert found.order(0) != found.order(1)
    again = question_set(PAIRS, held_out=0.25, seed=3)
    assert (again, again.order(5), again.digest()) == (found, found.order(5), found.digest())
    other = question_set(PAIRS, held_out=0.25, seed=4)
    assert other.tuning != found.tuning
    assert question_set(PAIRS[1:], held_out=0.25, seed=3).digest() != found.digest()


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        (PAIRS[:12], "expected 10 or more"),
        ([*PAIRS, PAIRS[0]], "appears twice"),
        ([*PAIRS, {"q": "x"}], "is not a question"),
        ([*PAIRS, ("x", 7)], "answer"),
        ([*PAIRS, "text"], "is not a question"),
    ],
)
def test_questions_that_cannot_be_right_are_refused(questions, said):
    with pytest.raises(InvalidArgument, match=said):
        question_set(questions, held_out=0.5, seed=0)


def test_answers_survive_the_storage():
    doc = {
        "asked": [3, 1], "correct": "10", "tokens": [7, 9], "dollars": [0.5, 0.0],
        "seconds": [1.0, 2.5],
    }  # fmt: skip
    found = Measured.from_dict(doc)
    assert found.to_dict() == doc
    assert (found.accuracy, found.per_correct("tokens"), found.cost("dollars")) == (0.5, 16.0, 0.5)
