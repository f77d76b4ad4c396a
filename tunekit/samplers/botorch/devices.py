"""Chooses the device of the computations."""

from __future__ import annotations

import logging

import torch

from tunekit.errors import InvalidArgument

log = logging.getLogger("tunekit")

_told: set[str] = set()


def device_of(name: str) -> torch.device:
    """Return a device by its name, the CPU with a line in the log if there is none of that kind.

    Raises:
        InvalidArgument: no device has this name.
    """
    try:
        wanted = torch.device(name)
    except RuntimeError:
        raise InvalidArgument(
            f'botorch: device={name!r}, expected "cpu", "cuda" or a GPU such as "cuda:1".'
        ) from None
    if wanted.type == "cpu":
        return wanted
    n = torch.cuda.device_count() if wanted.type == "cuda" else 0
    if (wanted.index or 0) < n:
        return wanted
    if name not in _told:
        _told.add(name)
        log.warning('botorch: no device "%s" here (%d CUDA devices); the CPU proposes.', name, n)
    return torch.device("cpu")
