"""Completion: the scripts of the shells, and study names out of the storage."""

from __future__ import annotations

import threading

import pytest

from tunekit.cli import completion


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("bash", "complete -o default"),
        ("zsh", "#compdef tunekit"),
        ("fish", "complete --command tunekit"),
    ],
)
def test_the_script_of_each_shell_is_printed(cli, name, word):
    result = cli("completion", "show", "--shell", name)
    assert (result.exit_code, word in result.stdout) == (0, True)


def test_install_writes_into_the_home_folder(shell, folder):
    done = shell("completion", "install", "--shell", "bash", HOME=str(folder))
    assert done.returncode == 0, done.stderr
    assert (folder / ".bash_completions" / "tunekit.sh").exists()
    assert "tunekit.sh" in (folder / ".bashrc").read_text()


@pytest.mark.usefixtures("finished")
def test_study_names_are_completed(shell):
    done = shell(
        _TUNEKIT_COMPLETE="complete_bash", COMP_WORDS="tunekit studies show ", COMP_CWORD="3"
    )
    assert done.stdout.split() == ["s"]


def test_a_storage_that_hangs_gives_no_names(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr(completion, "LIMIT_S", 0.01)
    monkeypatch.setattr("tunekit.cli.stores.open_existing", lambda flag: released.wait(30))
    assert completion.complete_study(Context(), "") == []
    released.set()


def test_a_broken_storage_gives_no_names(folder):
    (folder / "tunekit.db").write_bytes(b"this is no database" * 100)
    assert completion.complete_study(Context(), "") == []


class Context:
    def __init__(self):
        self.params = {}
