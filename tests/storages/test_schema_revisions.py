import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, inspect, text

from tunekit.errors import SchemaMismatch
from tunekit.storages.sql.revision import migrations
from tunekit.storages.sql.schema import HEAD, metadata, revision, trials
from tunekit.storages.sql.statements import FREE
from tunekit.storages.urls import open_storage
from tunekit.testing.storages.access import Access


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "postgres":
        url = str(request.getfixturevalue("postgres_url"))
        return url.replace("postgresql", "postgresql+psycopg2", 1)
    return f"sqlite:///{tmp_path}/s.db"


def _where(index: Mapping[str, Any]) -> list[str]:
    return [str(v) for k, v in index.get("dialect_options", {}).items() if k.endswith("_where")]


def _shape(connection: Connection) -> dict[str, object]:
    seen = inspect(connection)
    return {
        table: (
            [(c["name"], str(c["type"]), c["nullable"]) for c in seen.get_columns(table)],
            seen.get_pk_constraint(table)["constrained_columns"],
            sorted(
                (i["name"], i["column_names"], bool(i["unique"]), _where(i))
                for i in seen.get_indexes(table)
            ),
        )
        for table in sorted(seen.get_table_names())
    }


def test_the_newest_migration_is_the_revision_of_the_tables() -> None:
    with create_engine("sqlite://").connect() as connection:
        assert ScriptDirectory.from_config(migrations(connection)).get_heads() == [HEAD]


def test_migrations_make_the_same_tables_as_an_empty_database_gets(
    url: str, tmp_path: Path
) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        command.upgrade(migrations(connection), "head")
        migrated = _shape(connection)
        context = MigrationContext.configure(
            connection, opts={"version_table": revision.name, "compare_type": True}
        )
        assert compare_metadata(context, metadata) == []
        metadata.drop_all(connection)
    open_storage(url).close()
    with engine.connect() as connection:
        assert _shape(connection) == migrated
    engine.dispose()


def test_migrations_go_down_and_an_old_database_is_brought_up_again(url: str) -> None:
    open_storage(url).close()
    engine = create_engine(url)
    with engine.begin() as connection:
        command.downgrade(migrations(connection), "base")
        assert inspect(connection).get_table_names() == [revision.name]
    storage = open_storage(url)  # older than ours: opening it runs the migrations
    Access(storage).take()
    storage.close()
    with engine.connect() as connection:
        assert connection.execute(text("select version_num from tk_revision")).scalar() == HEAD
    engine.dispose()


def test_a_database_of_a_newer_tunekit_is_refused_and_left_alone(url: str) -> None:
    storage = open_storage(url)
    Access(storage).take()
    storage.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("update tk_revision set version_num = '9999'"))
    with pytest.raises(SchemaMismatch, match=r'schema "9999".*upgrade this one'):
        open_storage(url)
    with engine.begin() as connection:
        connection.execute(text("update tk_revision set version_num = :v"), {"v": HEAD})
    storage = open_storage(url)
    assert storage.get_study("study").n_trials == 1
    storage.close()
    engine.dispose()


def test_tables_of_other_programs_in_the_same_database_stay(url: str) -> None:
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("create table studies (id int)"))
        connection.execute(text("insert into studies values (7)"))
    storage = open_storage(url)
    Access(storage).take()
    storage.close()
    with engine.connect() as connection:
        assert connection.execute(text("select id from studies")).scalar() == 7
    engine.dispose()


def test_opening_a_current_database_imports_no_alembic(tmp_path: Path) -> None:
    code = (
        "import sys; from tunekit.storages.urls import open_storage; open_storage(sys.argv[1]); "
        "open_storage(sys.argv[1]); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path / "s.db")], check=True)


@pytest.mark.parametrize("is_reversed", [False, True])
def test_a_claim_looks_at_no_trial_that_has_ended(tmp_path: Path, is_reversed: bool) -> None:
    # Indexes are made in no fixed order, and SQLite takes the first of equally good ones.
    engine = create_engine(f"sqlite:///{tmp_path}/s.db")
    indexes = sorted(trials.indexes, key=lambda i: str(i.name), reverse=is_reversed)
    with engine.begin() as connection:
        metadata.create_all(connection)
        for index in indexes:
            index.drop(connection)
        for index in indexes:
            index.create(connection)
        claim = str(FREE.compile(engine, compile_kwargs={"render_postcompile": True}))
        bound = (1,) * claim.count("?")
        plan = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {claim}", bound)
        used = [row[3].partition("INDEX ")[2] for row in plan if "USING INDEX" in row[3]]
    engine.dispose()
    assert used == [
        "tk_trials_claim (study_id=? AND claim_key=?)",
        "tk_trials_waiting (study_id=? AND state=?)",
        "tk_trials_preempted (study_id=? AND state=?)",
        "tk_trials_running (study_id=? AND state=? AND lease_until<?)",
    ]
