"""Writes the log of the service as JSON lines on stderr.

Every line of a request carries its `request_id`, and its project, study, trial, worker and user
as far as they are known. No line holds a secret: URLs lose their passwords, and neither headers
nor bodies are logged.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

from tunekit.shown import printable

_NOISY = ("uvicorn.error", "uvicorn.access", "httpx2", "httpcore2", "authlib", "alembic")


def set_up_logs(level: str) -> None:
    """Send all log records of this process of `level` and above to stderr as JSON lines."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        without_secrets_in_values,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


def without_secrets_in_values(
    logger: object, method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Return the line with secrets and control characters removed from its texts."""
    for name, value in line.items():
        if isinstance(value, str):
            line[name] = printable(value)
    return line
