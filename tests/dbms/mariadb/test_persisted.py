"""The statements by which settings of MySQL outlive a restart."""

from __future__ import annotations

from tunekit_integrations.dbms.mariadb.persisted import persist, read_persisted


class Recorder:
    """Stands for a connection to MySQL, of which it knows the persisted variables only."""

    def __init__(self, persisted):
        self.persisted = persisted
        self.statements = []

    def rows(self, statement, parameters=()):
        if statement.startswith("SELECT"):
            return list(self.persisted.items())
        self.statements.append((statement, list(parameters)))
        return []


def test_settings_are_persisted_and_all_others_as_in_the_snapshot():
    server = Recorder({"sort_buffer_size": "1000", "innodb_io_capacity": "300"})
    knobs = ["sort_buffer_size", "innodb_io_capacity", "join_buffer_size", "optimizer_switch_mrr"]
    base = read_persisted(server, knobs)
    assert base == {
        "persisted:innodb_io_capacity": "300",
        "persisted:join_buffer_size": None,
        "persisted:optimizer_switch": None,
        "persisted:sort_buffer_size": "1000",
    }
    persist(server, base, {"join_buffer_size": "4096", "optimizer_switch_mrr": "OFF"})
    assert server.statements == [
        ("SET PERSIST join_buffer_size = %s", [4096]),
        ("SET PERSIST optimizer_switch = %s", ["mrr=off"]),
    ]


def test_a_revert_takes_away_what_was_not_persisted_before():
    base = {"persisted:innodb_io_capacity": "300", "persisted:join_buffer_size": None}
    server = Recorder({"innodb_io_capacity": "900", "join_buffer_size": "4096"})
    persist(server, {**base, "sort_buffer_size": "1"}, {})
    assert server.statements == [
        ("SET PERSIST innodb_io_capacity = %s", [300]),
        ("RESET PERSIST IF EXISTS join_buffer_size", []),
    ]
    server = Recorder({"innodb_io_capacity": "300"})
    persist(server, base, {})
    assert server.statements == []
