"""A load looks at a database, says what it is, and leaves every byte of it as it was."""

from __future__ import annotations

import hashlib
import sqlite3

import pytest

import tunekit as tk
from tunekit.errors import StorageError, UnknownStudy


def foreign(path, *tables):
    link = sqlite3.connect(path)
    for table in tables:
        link.execute(f"CREATE TABLE {table} (id INTEGER)")
    link.commit()
    link.close()


def content(folder):
    return {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.iterdir()}


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        (("studies", "trials", "trial_values"), "a database of Optuna"),
        (("experiments", "runs"), "another program, with the tables experiments, runs"),
        (("t1", "t2", "t3", "t4", "t5", "t6"), "t5, ..."),
        ((), "an empty database"),
    ],
)
def test_another_programs_database_is_named_and_stays_as_it_is(tmp_path, tables, said):
    foreign(tmp_path / "a.db", *tables)
    before = content(tmp_path)
    with pytest.raises(StorageError, match=said):
        tk.load_study("s", storage=tmp_path / "a.db")
    assert content(tmp_path) == before


def test_a_real_study_of_optuna_is_recognised(tmp_path):
    optuna = pytest.importorskip("optuna")
    url = f"sqlite:///{tmp_path}/o.db"
    optuna.create_study(study_name="s", storage=url)
    before = content(tmp_path)
    with pytest.raises(StorageError, match=r"database of Optuna; open it with optuna\.load_study"):
        tk.load_study("s", storage=url)
    assert content(tmp_path) == before


def test_a_file_that_is_no_database_stays_as_it_is(tmp_path):
    (tmp_path / "a.db").write_text("a text " * 500)
    before = content(tmp_path)
    with pytest.raises(StorageError, match="is not an SQLite database"):
        tk.load_study("s", storage=tmp_path / "a.db")
    assert content(tmp_path) == before


def test_a_file_that_is_not_there_is_not_made(tmp_path):
    with pytest.raises(UnknownStudy, match="no database at"):
        tk.load_study("s", storage=tmp_path / "a.db")
    assert content(tmp_path) == {}


def test_a_study_beside_the_tables_of_another_program_is_loaded(tmp_path):
    foreign(tmp_path / "a.db", "studies", "trials", "trial_values")
    tk.study("s", storage=tmp_path / "a.db", space={"x": [1, 2]}, sampler="random")
    assert tk.load_study("s", storage=tmp_path / "a.db").name == "s"


@pytest.mark.postgres
def test_an_empty_database_of_a_server_gets_no_tables_from_a_load(postgres_url):
    for _ in range(2):
        with pytest.raises(StorageError, match="an empty database"):
            tk.load_study("s", storage=postgres_url)
