"""Imports logging with the first message only: most workers have none."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from logging import Logger


def log() -> Logger:
    """Return the logger of tunekit."""
    import logging

    return logging.getLogger("tunekit")
