"""The catalogues of MariaDB and MySQL, and how texts of variables become values."""

from __future__ import annotations

import pytest

from tunekit_integrations.dbms.catalogue import Knob, load_catalogue
from tunekit_integrations.dbms.mariadb.connection import address_of
from tunekit_integrations.dbms.mariadb.option_file import HEAD, options_text, write_whole
from tunekit_integrations.dbms.mariadb.variables import parse_version, text_of, value_of


@pytest.mark.parametrize("system", ["mariadb", "mysql"])
def test_no_knob_is_closed_and_every_durability_knob_says_what_is_lost(system):
    catalogue = load_catalogue(system)
    assert catalogue.system == system
    assert [name for name in catalogue.knobs if catalogue.is_closed(name)] == []
    assert {n for n, knob in catalogue.knobs.items() if knob.loss} == {
        "innodb_flush_log_at_trx_commit",
        "sync_binlog",
        "innodb_doublewrite",
    }
    assert all(knob.why for knob in catalogue.knobs.values())
    for name in ("query_cache_size", "datadir", "log_bin", "max_connections", "sql_mode"):
        assert catalogue.is_closed(name) or name not in catalogue.knobs


@pytest.mark.parametrize(
    ("system", "name", "version", "is_known"),
    [
        ("mariadb", "innodb_flush_method", (10, 11, 19), True),
        ("mariadb", "innodb_flush_method", (11, 4, 2), False),
        ("mariadb", "innodb_data_file_buffering", (10, 11, 19), False),
        ("mariadb", "innodb_data_file_buffering", (11, 4, 2), True),
        ("mariadb", "optimizer_disk_read_ratio", (11, 0), True),
        ("mariadb", "innodb_log_file_buffering", (10, 6, 20), False),
        ("mysql", "innodb_redo_log_capacity", (8, 0, 29), False),
        ("mysql", "innodb_redo_log_capacity", (8, 4, 0), True),
        ("mysql", "innodb_log_file_size", (8, 0, 29), True),
        ("mysql", "innodb_log_file_size", (8, 0, 30), False),
    ],
)
def test_a_knob_belongs_to_its_versions(system, name, version, is_known):
    assert load_catalogue(system).knobs[name].is_known_to(version) is is_known


@pytest.mark.parametrize(
    ("knob", "text", "value", "written"),
    [
        (Knob("x", "int", "MB"), "134217728", 128, "134217728"),
        (Knob("x", "int", "kB"), "5000", 4, "4096"),
        (Knob("x", "int", "MB", special=(0,)), "0", 0, "0"),
        (Knob("x", "int", "kB", special=(-1,)), "-1", -1, "-1"),
        (Knob("x", "int", "ms"), "1000", 1000, "1000"),
        (Knob("x", "float"), "90.000000", 90.0, "90.0"),
        (Knob("x", "bool"), "ON", True, "ON"),
        (Knob("x", "bool"), "0", False, "OFF"),
        (Knob("x", "enum", choices=("O_DIRECT",)), "o_direct", "O_DIRECT", "O_DIRECT"),
        (Knob("x", "enum", choices=("a",)), "other", "other", "other"),
    ],
)
def test_a_text_is_a_value_in_the_unit_of_its_knob(knob, text, value, written):
    assert value_of(knob, text) == value
    assert type(value_of(knob, text)) is type(value)
    assert text_of(knob, value) == written


def test_a_version_is_read_from_what_servers_say():
    assert parse_version("10.11.19-MariaDB-0+deb12u1") == (10, 11, 19)
    assert parse_version("8.4.6") == (8, 4, 6)
    assert parse_version("11.8.2-MariaDB-ubu2404-log") == (11, 8, 2)


def test_flags_of_the_optimizer_become_one_line_of_the_option_file(tmp_path):
    text = options_text(
        {"optimizer_switch_mrr": "ON", "sort_buffer_size": "1024", "optimizer_switch_x": "OFF"}
    )
    assert text == f"{HEAD}[mysqld]\nsort_buffer_size = 1024\noptimizer_switch = mrr=on,x=off\n"
    file = tmp_path / "tunekit.cnf"
    write_whole(file, text)
    assert file.read_text() == text and file.stat().st_mode & 0o777 == 0o644
    write_whole(file, "")
    write_whole(file, "")
    assert list(tmp_path.iterdir()) == []


def test_a_url_has_no_password_and_only_known_options():
    from tunekit.errors import InvalidArgument

    address = address_of("mysql://me%40home@db.example:3307/shop?unix_socket=/run/a%20b.sock")
    assert (address.user, address.host, address.port) == ("me@home", "db.example", 3307)
    assert (address.database, address.socket) == ("shop", "/run/a b.sock")
    assert address_of(address.url()) == address
    with pytest.raises(InvalidArgument, match="MYSQL_PWD") as caught:
        address_of("mariadb://me:hidden@localhost/shop")
    assert "hidden" not in str(caught.value)
    for url in ("postgresql://x/y", "mariadb://h:99999/x", "mariadb://h/x?local_infile=1", ""):
        with pytest.raises(InvalidArgument, match="expected mariadb://user@host:port/database"):
            address_of(url)
