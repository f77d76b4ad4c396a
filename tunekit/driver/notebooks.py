"""Detects notebooks, and updates output under their cells."""

from __future__ import annotations

import io
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

WIDTH = 100


def in_notebook() -> bool:
    """Return whether the code runs in a notebook kernel (not in IPython on a terminal)."""
    ipython = sys.modules.get("IPython")  # a kernel has loaded it
    shell = ipython.get_ipython() if ipython is not None else None
    return shell is not None and hasattr(shell, "kernel")


def show_in_notebook(block: RenderableType, cell: Any) -> Any:
    """Show a block under the running cell, replacing its earlier version.

    Args:
        block: a rich renderable.
        cell: return value of the last call; `None` at first.
    """
    import IPython.display
    from rich.console import Console

    display: Any = IPython.display.display  # untyped
    buffer = io.StringIO()
    Console(file=buffer, width=WIDTH, force_jupyter=False).print(block)
    content = {"text/plain": buffer.getvalue()}
    if cell is None:
        return display(content, raw=True, display_id=True)
    cell.update(content, raw=True)
    return cell
