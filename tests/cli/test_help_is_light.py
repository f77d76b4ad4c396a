"""`--help` and completion load nothing heavy; proven by what a process has imported."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tunekit as tk

HEAVY = (
    "numpy",
    "scipy",
    "sqlalchemy",
    "sklearn",
    "optuna",
    "torch",
    "pandas",
    "yaml",
)

COMPLETE = {"_TUNEKIT_COMPLETE": "complete_bash"}

PROBE = """
import sys
sys.argv = ["tunekit", *{words!r}]
try:
    from tunekit.cli import main
    main()
except SystemExit as end:
    assert not end.code, end.code
print([m for m in {heavy!r} if m in sys.modules], file=sys.stderr)
"""


@pytest.mark.parametrize(
    ("words", "env"),
    [
        (["--help"], {}),
        (["run", "--help"], {}),
        (["--version"], {}),
        (["completion", "show", "--shell", "zsh"], {}),
        ([], {**COMPLETE, "COMP_WORDS": "tunekit stu", "COMP_CWORD": "1"}),
        # A study name, where there is no database.
        ([], {**COMPLETE, "COMP_WORDS": "tunekit pause ", "COMP_CWORD": "2"}),
    ],
)
def test_nothing_heavy_is_imported(words, env):
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(words=words, heavy=HEAVY)],
        capture_output=True,
        text=True,
        env={**os.environ, **env},
    )
    assert done.stderr == "[]\n", done.stderr
    if "COMP_CWORD" in env:
        assert "studies" in done.stdout or env["COMP_CWORD"] == "2"
    else:
        assert done.stdout


def test_a_command_that_needs_numpy_would_be_noticed(folder):
    """The probe itself can fail: listing studies loads the storage."""
    tk.study("s", storage=f"sqlite:///{folder}/tunekit.db")
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(words=["studies", "ls"], heavy=HEAVY)],
        capture_output=True,
        text=True,
    )
    assert "sqlalchemy" in done.stderr
