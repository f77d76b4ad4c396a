"""The file behind ALTER SYSTEM, read and edited without a server."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg2 import sql

from tests.dbms.postgresql.versions import programs_of
from tunekit_integrations.dbms.postgresql import auto_conf
from tunekit_integrations.dbms.postgresql.session import ReconnectingSession

texts = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), max_size=20)
names = st.from_regex(r"[a-z_][a-z0-9_]{0,10}(\.[a-z_]+)?", fullmatch=True)


@given(st.dictionaries(names, texts), st.dictionaries(names, st.none() | texts))
def test_what_is_written_is_read_again_and_the_rest_stays(before, changes):
    text = auto_conf.with_settings("", before)
    after = auto_conf.read_settings(auto_conf.with_settings(text, changes))
    wanted = {n: v for n, v in {**before, **changes}.items() if v is not None}
    assert after == wanted


def test_comments_and_other_lines_stay():
    text = "# mine\nwork_mem = 4MB # note\n\nInclude_dir 'x'\nWORK_MEM='5MB'\n"
    assert auto_conf.read_settings(text) == {"work_mem": "5MB", "include_dir": "x"}
    assert auto_conf.with_settings(text, {"work_mem": None}) == "# mine\n\nInclude_dir 'x'\n"


def test_an_edit_that_changes_nothing_leaves_the_file_alone(tmp_path):
    file = tmp_path / auto_conf.FILE
    file.write_text("work_mem = '4MB'")
    auto_conf.edit(tmp_path, {"work_mem": "4MB", "jit": None})
    assert file.read_text() == "work_mem = '4MB'"
    assert [p.name for p in tmp_path.iterdir()] == [auto_conf.FILE]


@pytest.mark.postgres
def test_the_server_reads_what_is_written_and_the_other_way_round(servers):
    programs_of(15)
    server = servers(15)
    odd = 'a\'b\\c "d" #e'
    session = ReconnectingSession(server.url)
    session.run(sql.SQL("ALTER SYSTEM SET log_line_prefix = {}").format(sql.Literal(odd)))
    file = server.data_folder / auto_conf.FILE
    assert auto_conf.read_settings(file.read_text()) == {"log_line_prefix": odd}
    auto_conf.edit(server.data_folder, {"log_line_prefix": None, "search_path": odd})
    told = session.run("SELECT name, setting FROM pg_file_settings WHERE sourcefile LIKE '%auto%'")
    assert told == [("search_path", odd)]
    session.run("ALTER SYSTEM RESET ALL")
    session.close()
