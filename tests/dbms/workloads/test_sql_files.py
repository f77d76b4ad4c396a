"""Queries of one's own: names, weights, strings with semicolons, and data that are reset."""

from __future__ import annotations

from pathlib import Path

import pytest

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.records import TargetFailure
from tunekit_integrations.dbms.workloads.session import connect
from tunekit_integrations.dbms.workloads.sql_files import SqlFiles

TEXT = """
-- name: best customers
-- weight: 3
SELECT g, ';' AS mark FROM generate_series(1, 5) AS g ORDER BY g DESC LIMIT 2;

/* a comment; with a semicolon */
SELECT $body$a;b$body$;
;
SET work_mem = '5MB'
"""


def _file(folder: Path, text: str, name: str = "mine.sql") -> Path:
    (folder / name).write_text(text)
    return folder / name


def test_comments_name_statements_and_say_how_often_they_run(tmp_path: Path) -> None:
    workload = SqlFiles([_file(tmp_path, TEXT)])
    assert workload.weights() == {"best customers": 3, "mine 2": 1, "mine 3": 1}
    assert list(workload.queries()) == ["best customers", "mine 2"]  # SET has no plan
    assert workload.name == "sql mine.sql"


@pytest.mark.postgres
def test_statements_of_a_file_run_and_their_results_are_compared(
    tmp_path: Path, postgres_url: str
) -> None:
    found = SqlFiles([_file(tmp_path, TEXT)], clients=2).run(
        postgres_url, seconds=0, deadline_s=60, seed=3
    )
    assert found.units == 5
    assert set(found.per_query) == set(found.digests) == {"best customers", "mine 2", "mine 3"}


@pytest.mark.postgres
def test_statements_change_data_only_if_they_may_and_a_file_brings_them_back(
    tmp_path: Path, postgres_url: str
) -> None:
    connection = connect(postgres_url)
    cursor = connection.cursor()
    cursor.execute("CREATE TABLE t AS SELECT 1 AS a")
    change = _file(tmp_path, "INSERT INTO t VALUES (2);")
    with pytest.raises(TargetFailure, match="read-only"):
        SqlFiles([change]).run(postgres_url, seconds=0, deadline_s=60, seed=0)
    back = _file(tmp_path, "TRUNCATE t; INSERT INTO t VALUES (1)", "back.sql")
    workload = SqlFiles([change], may_write=True, reset_file=back)
    workload.run(postgres_url, seconds=0, deadline_s=60, seed=0)
    cursor.execute("SELECT count(*) FROM t")
    assert cursor.fetchone() == (2,)
    workload.reset(postgres_url)
    cursor.execute("SELECT count(*), min(a) FROM t")
    assert cursor.fetchone() == (1, 1)
    connection.close()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "the name"),
        ("-- weight: 0\nSELECT 1;", "whole number"),
        ("-- weight: often\nSELECT 1;", "whole number"),
        ("SELECT 'no end", "cannot be read"),
        ("-- nothing here", "at least one"),
    ],
)
def test_faults_of_a_file_are_told(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(InvalidArgument, match=message):
        SqlFiles([_file(tmp_path, text)])


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgument, match="cannot be read"):
        SqlFiles([tmp_path / "none.sql"])
