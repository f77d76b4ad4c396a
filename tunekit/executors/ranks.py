"""Runs the ranks of a distributed trial at their own places, from the trial's process."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

import psutil

from tunekit.errors import RankLost
from tunekit.executors.base import Ended, Ranks, ReportHandler, Task
from tunekit.executors.devices import Seat
from tunekit.executors.process.executor import ProcessExecutor, Shipped, shipped, unpickled
from tunekit.executors.ray.wire import MessageChannel


class RankExecutor:
    """Runs rank 0 as a child of this process, and each other rank at its place.

    Tasks are numbered by rank; only rank 0 may report. All ranks end with `close`, and with this
    process.

    Args:
        ranks: their places.
        devices: the accelerators of rank 0.
        envs: what the environment of each rank has beside that of its worker.
    """

    def __init__(
        self, ranks: Ranks, devices: tuple[str, ...], envs: Sequence[Mapping[str, str]]
    ) -> None:
        self._ranks = ranks
        self._envs = envs
        self._first = ProcessExecutor(
            seats=[Seat(devices, {**interface_of(ranks.host), **envs[0]})]
        )
        self._objective = b""
        self._others: dict[int, tuple[MessageChannel, Task]] = {}

    def open(self, objective: Callable[..., Any], on_report: ReportHandler) -> None:
        """Prepare to run the ranks of one objective.

        Raises:
            InvalidArgument: the objective cannot be pickled.
        """
        self._objective = shipped(objective)
        self._first.open(Shipped(self._objective), on_report)

    def start(self, task: Task) -> None:
        """Start a rank.

        Raises:
            RankLost: nobody answers at its place.
        """
        if task.number == 0:
            self._first.start(task)
            return
        address = self._ranks.followers[task.number - 1]
        try:
            line = MessageChannel.connect(address, self._ranks.token)
            self._others[task.number] = line, task
            line.send(self._objective, self._envs[task.number], task)
        except OSError as error:
            raise self._lost(task.number, f": {error}") from None
        self._listen()

    def poll(self, timeout_s: float) -> list[Ended]:
        """Serve the reports until a rank ends or the time is over; return the ended ones.

        Raises:
            RankLost: the place of a rank is gone, with what ran there.
        """
        ended = self._first.poll(timeout_s)
        for rank, (line, task) in list(self._others.items()):
            messages, is_there = line.receive()
            for outcome, raised, has_died, printed in messages[:1]:
                if printed:
                    with suppress(OSError, ValueError, AttributeError):  # closed, or none
                        sys.stderr.write(printed + "\n")
                        sys.stderr.flush()
                ended.append(Ended(rank, task.epoch, outcome, unpickled(raised), has_died))
                del self._others[rank]
                line.close()
            if not messages and not is_there:
                raise self._lost(rank)
        self._listen()
        return ended

    def close(self) -> None:
        """End all ranks."""
        for line, _ in self._others.values():
            line.close()
        self._others.clear()
        self._first.close()

    def _listen(self) -> None:
        self._first.wake_on = tuple(line.fileno() for line, _ in self._others.values())

    def _lost(self, rank: int, why: str = "") -> RankLost:
        host, port = self._ranks.followers[rank - 1]
        n = self._ranks.world_size
        return RankLost(f"lost the worker of rank {rank} of {n} at {host}:{port}{why}")


def interface_of(ip: str) -> dict[str, str]:
    """Return the variables that make a rank communicate from this address.

    Variables already set in its worker's environment stay, because a cluster's owner may know a
    faster route.
    """
    names = (
        name
        for name, addresses in psutil.net_if_addrs().items()
        if any(address.address == ip for address in addresses)
    )
    name = next(names, None)
    if name is None:
        return {}
    variables = ("GLOO_SOCKET_IFNAME", "NCCL_SOCKET_IFNAME")
    return {variable: name for variable in variables if variable not in os.environ}
