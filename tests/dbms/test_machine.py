"""What a server may use of its machine."""

from __future__ import annotations

import psutil
import pytest

from tunekit_integrations.dbms import machine
from tunekit_integrations.dbms.machine import this_machine


@pytest.fixture
def groups(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "CGROUPS", tmp_path)

    def write(path, text):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)

    return write


def group_of_process(monkeypatch, text):
    monkeypatch.setattr(machine.Path, "read_text", _patched(machine.Path.read_text, text))


def _patched(read_text, text):
    def read(self, *args, **kwargs):
        return text if str(self).startswith("/proc/self") else read_text(self, *args, **kwargs)

    return read


def test_limits_of_groups_above_count_too(groups, monkeypatch, tmp_path):
    group_of_process(monkeypatch, "0::/system.slice/db.service\n")
    groups("system.slice/db.service/memory.max", "max\n")
    groups("system.slice/memory.max", f"{2**30}\n")
    groups("system.slice/db.service/cpu.max", "100000 100000\n")
    found = this_machine(tmp_path)
    assert (found.ram_bytes, found.cpus) == (2**30, 1)


def test_limits_of_the_first_version_count(groups, monkeypatch, tmp_path):
    group_of_process(monkeypatch, "5:memory:/box\n4:cpu,cpuacct:/box\n")
    groups("memory/box/memory.limit_in_bytes", f"{2**29}\n")
    groups("cpu/box/cpu.cfs_quota_us", "-1\n")
    assert this_machine(tmp_path).ram_bytes == 2**29


def test_a_container_sees_its_limit_at_the_root(groups, monkeypatch, tmp_path):
    group_of_process(monkeypatch, "0::/docker/abc\n")
    groups("memory.max", f"{2**28}\n")
    assert this_machine(tmp_path).ram_bytes == 2**28


def test_the_users_budget_only_lowers_what_is_there(tmp_path):
    assert this_machine(tmp_path, ram_bytes=2**60).ram_bytes <= psutil.virtual_memory().total
    small = this_machine(tmp_path, ram_bytes=2**28, cpus=1)
    assert (small.ram_bytes, small.cpus) == (2**28, 1)
