"""Commands of other distributions: found by entry points, and never paid for by own commands."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import typer

PLUGIN = """
    import typer
    app = typer.Typer(help="Greets.", no_args_is_help=True, rich_help_panel="Salutations")

    @app.command("hello")
    def hello() -> None:
        print("hello from outside")

    @app.command("bye")
    def bye() -> None:
        print("bye")

    number = 3
"""
ENTRY_POINTS = """
    [tunekit.commands]
    greet = greeting_plugin:app
    broken = no_such_module:app
    wrong = greeting_plugin:number
    run = greeting_plugin:app
"""


@pytest.fixture
def outside(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "greeting_plugin.py").write_text(textwrap.dedent(PLUGIN))
    folder = tmp_path / "greeting-1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: greeting\nVersion: 1.0\n")
    (folder / "entry_points.txt").write_text(textwrap.dedent(ENTRY_POINTS))
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    return {**os.environ, "PYTHONPATH": path.rstrip(os.pathsep)}


def tunekit(*words: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tunekit", *words]
    return subprocess.run(command, capture_output=True, text=True, env=env, check=False)


def test_a_command_of_another_distribution_runs(outside: dict[str, str]) -> None:
    done = tunekit("greet", "hello", env=outside)
    assert (done.returncode, done.stdout) == (0, "hello from outside\n")


def test_help_and_completion_show_it_and_what_is_broken(outside: dict[str, str]) -> None:
    done = tunekit("--help", env=outside)
    assert done.returncode == 0
    assert "Greets." in done.stdout
    assert "Salutations" in done.stdout, "it chooses its panel"
    assert "no_such_module" in done.stdout
    words = {"COMP_WORDS": "tunekit gre", "COMP_CWORD": "1", "_TUNEKIT_COMPLETE": "complete_bash"}
    code = "from tunekit.cli import main; main()"
    shown = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**outside, **words}
    )
    assert shown.stdout.split() == ["greet"]


@pytest.mark.parametrize(
    ("name", "why"), [("broken", "No module named"), ("wrong", "expected a typer.Typer")]
)
def test_a_broken_one_says_why_and_ends_with_1(
    outside: dict[str, str], name: str, why: str
) -> None:
    done = tunekit(name, env=outside)
    assert done.returncode == 1
    assert why in done.stderr
    assert "Traceback" not in done.stderr


def test_an_own_command_is_not_replaced(outside: dict[str, str]) -> None:
    shown = tunekit("run", "--help", env=outside).stdout
    assert "--trials" in shown
    assert "Greets." not in shown


def test_an_unknown_command_is_still_unknown(outside: dict[str, str]) -> None:
    done = tunekit("nonsense", env=outside)
    assert done.returncode == 2
    assert "No such command" in done.stderr


def test_own_commands_read_no_entry_points() -> None:
    code = (
        "import sys; sys.argv = ['tunekit', *sys.argv[1:]]\n"
        "from tunekit.cli import main\n"
        "from tunekit.cli.plugged import _entries\n"
        "try: main()\n"
        "except SystemExit: print(_entries.cache_info().misses, file=sys.stderr)"
    )
    for words, n_read in ((["studies", "--help"], 0), (["--help"], 1)):
        done = subprocess.run(
            [sys.executable, "-c", code, *words], capture_output=True, text=True, check=False
        )
        assert done.stderr == f"{n_read}\n"


def test_the_commands_that_tunekit_adds_this_way_are_there() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
    points = project["project"]["entry-points"]["tunekit.commands"]
    assert points
    for value in points.values():
        module, _, name = value.partition(":")
        assert isinstance(getattr(import_module(module), name), typer.Typer)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        ("best", "there is `tunekit studies best`."),
        ("hello", "there is `tunekit greet hello`."),
        ("stduies", "Did you mean 'studies'"),
    ],
)
def test_an_unknown_command_says_where_it_is(
    outside: dict[str, str], word: str, said: str
) -> None:
    done = tunekit(word, env={**outside, "COLUMNS": "200"})
    assert done.returncode == 2
    assert said in done.stderr
