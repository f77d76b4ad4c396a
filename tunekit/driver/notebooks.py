"""Whether this is a notebook, and how its cells show something that changes."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100


def in_notebook() -> bool:
    """Return whether the code runs in the kernel of a notebook (IPython in a terminal is none)."""
    ipython = sys.modules.get("IPython")  # a kernel has loaded it
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def show_in_notebook(block: RenderableType, cell: Any) -> Any:
    """Show a block under the running cell, or anew where it was shown before.

    Args:
        block: what rich can print.
        cell: what the last call gave; `None` at first.
    """
    from IPython.display import display
    from rich.console import Console

    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH, force_jupyter=False).print(block)
    content = {"text/plain": buffer.getvalue()}
    if cell is None:
        return display(content, raw=True, display_id=True)
    cell.update(content, raw=True)
    return cell
