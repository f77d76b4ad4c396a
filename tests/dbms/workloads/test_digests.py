"""Digests tell wrong results from harmless differences."""

from __future__ import annotations

from decimal import Decimal

import pytest

from tunekit_integrations.dbms.workloads.digests import result_digest
from tunekit_integrations.dbms.workloads.statements import is_limited, order_columns


def test_rows_may_come_in_any_order_where_none_is_asked_for() -> None:
    assert result_digest([(1, "a"), (2, "b")]) == result_digest([(2, "b"), (1, "a")])
    assert result_digest([(1, "a")]) != result_digest([(1, "a"), (1, "a")])


def test_rows_keep_the_order_that_is_asked_for_but_ties_do_not_matter() -> None:
    rows = [(1, "a"), (2, "b"), (2, "c")]
    ties = [(1, "a"), (2, "c"), (2, "b")]
    assert result_digest(rows, order=(0,)) == result_digest(ties, order=(0,))
    assert result_digest(rows, order=(0,)) != result_digest(rows[::-1], order=(0,))


def test_ties_for_the_last_place_of_a_limit_may_differ() -> None:
    rows, other = [(1, "a"), (2, "b")], [(1, "a"), (2, "c")]
    assert result_digest(rows, order=(0,), is_limited=True) == result_digest(
        other, order=(0,), is_limited=True
    )
    assert result_digest(rows, order=(0,)) != result_digest(other, order=(0,))
    assert result_digest([(1, "z"), (2, "b")], order=(0,), is_limited=True) != result_digest(
        rows, order=(0,), is_limited=True
    )


@pytest.mark.parametrize(
    ("one", "other", "is_same"),
    [
        (0.1 + 0.2, 0.3, True),
        (0.0, -0.0, True),
        (1.00001, 1.00002, False),
        (Decimal("1.10"), Decimal("1.1"), True),
        (Decimal("100"), Decimal("1E+2"), True),
        (Decimal("1.0000000001"), Decimal("1"), False),
        (None, "None", False),
        (True, 1, False),
        (float("nan"), float("nan"), True),
        ([0.1 + 0.2], [0.3], True),
    ],
)
def test_values_are_equal_if_a_reader_would_say_so(
    one: object, other: object, is_same: bool
) -> None:
    assert (result_digest([(one,)]) == result_digest([(other,)])) is is_same


@pytest.mark.parametrize(
    ("sql", "columns", "limited"),
    [
        ("SELECT a, b FROM t ORDER BY b DESC, 1", (1, 0), False),
        ("SELECT a + 1 AS c, b FROM t ORDER BY c LIMIT 3", (0,), True),
        ("SELECT a + 1, b FROM t ORDER BY a + 1 FETCH FIRST ROW ONLY", (0,), True),
        ("SELECT a FROM t ORDER BY a, hidden, b", (0,), False),
        ("SELECT * FROM t ORDER BY a", (), False),
        ("SELECT a FROM (SELECT a FROM t ORDER BY a LIMIT 1) AS s", (), False),
        ("SELECT a FROM t", (), False),
        ("this is no SQL at all (", (), False),
    ],
)
def test_the_order_of_a_query_is_read_from_its_text(
    sql: str, columns: tuple[int, ...], limited: bool
) -> None:
    assert order_columns(sql) == columns
    assert is_limited(sql) is limited
