"""A user's MariaDB has its own configuration back after tunekit was killed while it tuned."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tunekit_integrations.dbms.guard import rolled_back
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.mariadb.connection import connected
from tunekit_integrations.dbms.mariadb.target import open_mariadb

pytestmark = [pytest.mark.mariadb, pytest.mark.xdist_group("mariadb")]

TUNER = """
import sys
from pathlib import Path
from tunekit_integrations.dbms.guard import own_configuration_kept
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.mariadb.target import open_mariadb

url, folder, step = sys.argv[1:]

def reached(name):
    if name == step:
        print("here", flush=True)
        sys.stdin.read()

target = open_mariadb(url)
with own_configuration_kept(target, "mariadb", Journals(Path(folder)), print):
    reached("before the first change")
    target.apply({"sort_buffer_size": 512, "innodb_io_capacity_max": 950})
    reached("after a change")
    target.apply({"innodb_buffer_pool_size": 200, "optimizer_switch_mrr": True})
    target.apply({"innodb_log_file_size": 64})
    reached("after more changes")
"""


def all_variables(target):
    with connected(target.url) as connection:
        return dict(connection.rows("SHOW GLOBAL VARIABLES"))


@pytest.mark.parametrize(
    "step", ["before the first change", "after a change", "after more changes"]
)
def test_a_rollback_brings_everything_back(target, tmp_path, step):
    with connected(target.url) as connection:  # the owner's own, in no file
        connection.rows("SET GLOBAL join_buffer_size = 777216")
    before = all_variables(target)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", TUNER, target.url, str(tmp_path), step]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as tuner:
        assert tuner.stdout.readline() == "here\n"
        tuner.send_signal(signal.SIGKILL)
    journals = Journals(tmp_path)
    (left,) = journals.all()
    assert left.url == target.url
    rolled_back(open_mariadb(left.url), left, journals)
    assert journals.all() == []
    after = all_variables(target)
    assert {n for n in before if before[n] != after[n]} <= {"timestamp", "rand_seed1"}
    with connected(target.url) as connection:
        connection.rows("SET GLOBAL join_buffer_size = DEFAULT")


def test_a_server_that_restarted_meanwhile_keeps_what_it_started_with(target, tmp_path):
    before = all_variables(target)
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", TUNER, target.url, str(tmp_path), "after a change"]
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as tuner:
        assert tuner.stdout.readline() == "here\n"
        tuner.send_signal(signal.SIGKILL)
    target.crash()
    journals = Journals(tmp_path)
    (left,) = journals.all()
    rolled_back(open_mariadb(left.url), left, journals)
    after = all_variables(target)
    assert {n for n in before if before[n] != after[n]} <= {"timestamp", "rand_seed1"}


def test_a_user_with_the_least_privileges_can_tune(target):
    with connected(target.url) as connection:
        connection.rows("CREATE OR REPLACE USER 'tuner'@'localhost'")
        connection.rows("GRANT SUPER ON *.* TO 'tuner'@'localhost'")
    attached = open_mariadb(target.url.replace("root@", "tuner@").replace("/tunekit?", "/?"))
    snapshot = attached.snapshot()
    settings = {"sort_buffer_size": 512, "innodb_io_capacity": 300, "thread_cache_size": 20}
    assert attached.apply(settings).effective == settings
    attached.revert(snapshot)
    with connected(target.url) as connection:
        connection.rows("REVOKE SUPER ON *.* FROM 'tuner'@'localhost'")
    nobody = open_mariadb(attached.url)
    with pytest.raises(Exception, match="may not do that"):
        nobody.apply(settings)
    assert nobody.in_force()["sort_buffer_size"].value == 2048
