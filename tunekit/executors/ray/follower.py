"""Runs in the Ray actors that hold the places of a distributed trial's other ranks.

A follower does nothing until the process that runs the trial connects to it. Then it starts one
rank, tells how that ended, and kills it with all that it has started when the connection closes,
which it does with the trial's process, however that dies.
"""

from __future__ import annotations

import contextlib
import select
import socket
import sys
from collections.abc import Mapping
from typing import NoReturn

from tunekit.executors.base import Limits, Task
from tunekit.executors.devices import Seat
from tunekit.executors.process.executor import ProcessExecutor, Shipped
from tunekit.executors.process.worker import pickled
from tunekit.executors.ranks import interface_of
from tunekit.executors.ray.host import Setup, TrialLog
from tunekit.executors.ray.wire import MessageChannel
from tunekit.records import CONTINUE

POLL_S = 60.0
STRANGERS = 64


class Follower:
    """Starts the rank of one trial after the other.

    Args:
        setup: what is known of the driver.
        ip: the address of this node, as the other nodes reach it.
        devices: the accelerators that Ray dealt to this actor.

    Raises:
        ConnectionError: nobody can be listened for at this address.

    Attributes:
        address: where it listens.
    """

    def __init__(self, setup: Setup, ip: str, devices: tuple[str, ...]) -> None:
        setup.enter_folder()
        self._setup = setup
        self._devices = devices
        try:
            self._listener = socket.create_server((ip, 0))
        except OSError as error:
            raise ConnectionError(f"cannot listen at {ip}: {error}") from None
        self._listener.setblocking(False)
        self._strangers: list[MessageChannel] = []
        self.address: tuple[str, int] = (ip, self._listener.getsockname()[1])

    def serve(self) -> NoReturn:
        """Wait for trials, until this process is killed."""
        log = TrialLog(sys.stderr)
        with contextlib.redirect_stderr(log):
            while True:
                line, objective, env, task = self._next()
                log.forget()
                try:
                    self._run(line, objective, env, task, log)
                except OSError:
                    pass  # it hung up while we spoke
                finally:
                    line.close()

    def _next(self) -> tuple[MessageChannel, bytes, Mapping[str, str], Task]:
        """Return the first connection with the right token, and its task."""
        while True:
            anybody: list[socket.socket | MessageChannel] = [self._listener, *self._strangers]
            select.select(anybody, [], [])
            with contextlib.suppress(OSError):  # no new connection, or it was closed again
                accepted = self._listener.accept()[0]
                self._strangers.append(MessageChannel(accepted, self._setup.ranks_token))
            if len(self._strangers) > STRANGERS:  # who says nothing costs a descriptor
                self._strangers.pop(0).close()
            for line in list(self._strangers):
                messages, is_there = line.receive()
                if messages or not is_there:
                    self._strangers.remove(line)
                if messages:
                    return (line, *messages[0])
                if not is_there:
                    line.close()

    def _run(
        self,
        line: MessageChannel,
        objective: bytes,
        env: Mapping[str, str],
        task: Task,
        log: TrialLog,
    ) -> None:
        interface = interface_of(self.address[0])
        seat = Seat(self._devices, {**self._setup.thread_limits(), **interface, **env})
        # Its time limit is the trial's, whose process is watched where it runs.
        limits = Limits(memory_mib=self._setup.limits.memory_mib)
        executor = ProcessExecutor(limits=limits, seats=[seat])
        executor.open(Shipped(objective), lambda number, report: CONTINUE)
        executor.wake_on = (line.fileno(),)
        try:
            executor.start(task)
            while line.receive()[1]:
                for ended in executor.poll(POLL_S):
                    raised = b"" if ended.exception is None else pickled(ended.exception)
                    line.send(ended.outcome, raised, ended.has_died, log.tail())
        finally:
            executor.close()
