"""Draws demo.svg: runs `tunekit demo` and keeps its live table as it once stood.

Run it as `python docs/_extensions/draw_demo.py` after a change of the display.
"""

from __future__ import annotations

import io
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from tunekit.cli import demo_table
from tunekit.cli.demo import demo

if TYPE_CHECKING:
    from rich.console import RenderableType

    from tunekit.history import History

PICTURE = Path(__file__).parents[1] / "_static" / "demo.svg"
WIDTH = 80


class KeptTable(demo_table.LiveTable):
    """The live table of the demo, saved while it is full and has the best trial among its rows."""

    def block(self, history: History, running: int) -> RenderableType:
        """Return what is drawn."""
        drawn = super().block(history, running)
        rows = self._recent.trials
        best = history.best
        if running and best in rows and len(rows) == demo_table.N_RECENT:
            console = Console(record=True, width=WIDTH, file=io.StringIO())
            console.print(Text("$ tunekit demo", style="bold"), drawn, sep="\n")
            console.save_svg(str(PICTURE), title="tunekit demo", unique_id="demo")
        return drawn


def main() -> None:
    """Run the demo in a folder of its own and save the picture."""
    demo_table.make_demo_progress = lambda *, quiet: KeptTable()
    with TemporaryDirectory() as folder:
        try:
            demo(trials=60, workers=2, storage=f"sqlite:///{folder}/demo.db")
        except typer.Exit as ended:
            raise SystemExit(ended.exit_code) from None


if __name__ == "__main__":
    main()
