"""Every command with an output format takes `--json` for it."""

from __future__ import annotations

import json
from collections.abc import Iterator

import click
import pytest
from typer.main import get_command

from tunekit.cli.app import app


def commands(command: click.Command, *words: str) -> Iterator[tuple[tuple[str, ...], set[str]]]:
    """Yield every command's words and flags."""
    yield words, {flag for p in command.params for flag in p.opts}
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, *words, name)


def test_json_is_short_for_the_format_wherever_there_is_one():
    found = dict(commands(get_command(app)))
    assert {words for words, flags in found.items() if "--format" in flags} == {
        words for words, flags in found.items() if "--json" in flags
    }
    assert "--json" in found["studies", "ls"] and "--json" in found["run",]
    assert "--json" not in found["studies", "rm"]


@pytest.mark.parametrize("words", [("studies", "ls"), ("studies", "best", "s"), ("bench", "ls")])
def test_json_prints_what_the_format_json_prints(cli, finished, words):
    short, long = cli(*words, "--json"), cli(*words, "--format", "json")
    assert short.stdout == long.stdout
    assert json.loads(short.stdout)


def test_json_overrides_another_format(cli, finished):
    assert json.loads(cli("studies", "ls", "--format", "csv", "--json").stdout)
