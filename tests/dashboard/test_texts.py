from datetime import UTC

import pytest

from tunekit_dashboard.texts import cut, number, numbers, plain
from tunekit_dashboard.times import shown_span, shown_time


def test_a_text_of_a_user_cannot_become_markup():
    text = plain("<img src=x> **b** [a](http://b) $x$ :red[y] `c`")
    assert text.replace("\\", "") == "<img src=x> **b** [a](http://b) $x$ :red[y] `c`"
    for mark in "<*[($:`":
        assert f"\\{mark}" in text


def test_a_text_is_shown_in_one_line_and_cut():
    assert cut("a\nb\tc\u202ed") == "a b c d"
    assert cut("x" * 300, 20) == "x" * 19 + "…"


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, "-"), (0.123456, "0.1235"), (12.0, "12"), (1e300, "1e+300"), (float("nan"), "nan"),
     (float("inf"), "inf"), (1234.0, "1,234")],
)  # fmt: skip
def test_any_number_is_shown(value, text):
    assert number(value) == text


def test_a_count_agrees_with_its_noun():
    assert numbers(1, "study", "studies") == "1 study"
    assert numbers(2000, "trial") == "2,000 trials"


def test_a_time_has_its_zone():
    assert shown_time(0.0, UTC) == "1 Jan 1970, 00:00:00 UTC"
    assert shown_time(1e30, UTC) == "-"


def test_a_duration_has_its_two_largest_units():
    assert [shown_span(s) for s in (2.5, 61, 7800, 90_000)] == [
        "2.5 s", "1 min 1 s", "2 h 10 min", "1 d 1 h",
    ]  # fmt: skip
