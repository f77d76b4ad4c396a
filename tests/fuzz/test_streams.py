"""Closed or full streams, and an interrupt while it loads: a status and at most one line."""

from __future__ import annotations

import subprocess
import sys

import pytest

COMMANDS = ["--help", "studies show nobody"]
INTERRUPTED = """
import sys
from tunekit.cli import main
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == "{module}":
            raise KeyboardInterrupt
sys.meta_path.insert(0, Finder())
sys.argv = ["tunekit", "studies", "ls"]
main()
"""


@pytest.mark.parametrize("streams", [">/dev/full", "2>/dev/full", ">&-", "2>&-", ">&- 2>&-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_streams_that_take_nothing_are_no_traceback(command, streams, tmp_path):
    done = subprocess.run(
        ["sh", "-c", f'exec "{sys.executable}" -m tunekit {command} {streams}'],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = done.stdout + done.stderr
    assert "Traceback" not in said and "Exception ignored" not in said
    if streams == ">/dev/full" and command == "--help":
        assert done.returncode == 1 and said.count("\n") == 1 and "cannot be written" in said


@pytest.mark.parametrize("module", ["tunekit.cli.app", "typer", "tunekit.storages.urls"])
def test_an_interrupt_while_it_loads_is_one_line_and_status_130(module, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED.format(module=module)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 130
    assert done.stderr.startswith("tunekit: interrupted") and done.stderr.count("\n") == 1
