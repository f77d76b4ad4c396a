"""The command line. Nothing heavy is imported before a command runs."""

from __future__ import annotations


def main() -> None:
    """Run the command line: the console script `tunekit`."""
    from tunekit.cli.app import app

    app(prog_name="tunekit")
