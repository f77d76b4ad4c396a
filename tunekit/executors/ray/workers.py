"""Manages a driver's workers on a Ray cluster: requests, joins, losses and releases."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import select
import selectors
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Collection
from dataclasses import KW_ONLY, dataclass, replace
from multiprocessing.connection import Connection
from typing import Any

from tunekit.errors import ExecutorFailed
from tunekit.executors.base import Limits
from tunekit.executors.process.spawn import started
from tunekit.executors.ray.agent import NOT_INSTALLED, ClusterPlan
from tunekit.executors.ray.host import Setup
from tunekit.executors.ray.placement import Amounts, Group, capacity, shortage
from tunekit.executors.ray.wire import TOKEN_BYTES, MessageChannel

log = logging.getLogger("tunekit")

NOTICE_S = 10.0
"""A worker that has waited this long for its place is reported."""

CONNECT_S = 120.0
"""Minimum time that the cluster has to answer before the first worker is asked for."""

RETRY_S = 2.0
TEND_S = 0.2
"""Interval between two checks of the workers."""

SILENT_S = 30.0
"""A cluster that has not answered for this long counts as unreachable."""

TEARDOWN_S = 12.0
"""Seconds that workers have to tear their objective down before their actors are killed."""

CLOSE_S = 15.0
"""Time that the process which speaks to Ray has to end a cluster that it started."""

START_TRIES = 3
"""Number of workers that may fail to start before the run ends."""


@dataclass(eq=False, slots=True)
class JoinedWorker:
    """A worker that has joined.

    Attributes:
        node: Ray's id of its node.
        devices: the accelerators that Ray dealt to it.
        is_parked: whether it only blocks its place for others and runs nothing.
    """

    key: int
    line: MessageChannel
    node: str
    host: str
    pid: int
    devices: tuple[str, ...]
    is_parked: bool = False

    def __str__(self) -> str:
        return f"worker {self.pid} on {self.host}"


@dataclass(frozen=True, slots=True)
class WorkerEvent:
    """A worker has joined, was lost, or has sent a message."""

    kind: str
    worker: JoinedWorker
    content: tuple[Any, ...] = ()


@dataclass(eq=False)
class RayPool:
    """Maintains the wanted number of workers, as far as the cluster has room.

    Args:
        plan: how to reach the cluster.
        wanted: how many workers; `None` for all that fit, also on nodes that join later.
        need: the resources of one process of a trial, by tunekit's names.
        group: of the processes of a trial.
        limits: of one trial.
        placement_timeout_s: with no worker for so long the pool gives up.
        host: the address of this machine as the cluster reaches it; `None` asks Ray.

    Attributes:
        workers: the joined ones by key.
    """

    plan: ClusterPlan
    wanted: int | None
    _: KW_ONLY
    need: Amounts
    group: Group
    limits: Limits
    placement_timeout_s: float
    host: str | None

    def __post_init__(self) -> None:
        self.workers: dict[int, JoinedWorker] = {}
        self._objective = b""
        self._address = ("", 0)
        self._token = secrets.token_bytes(TOKEN_BYTES)
        self._keys_given = 0
        self._asked: dict[int, float] = {}
        self._selector = selectors.DefaultSelector()
        self._listener: socket.socket | None = None
        self._agent: _AgentProcess | None = None
        self._events: deque[WorkerEvent] = deque()
        self._nodes: dict[str, Amounts] | None = None
        self._free: Amounts = {}
        self._retry_at = self._next_tending = 0.0
        self._served_at = self._heard_at = time.monotonic()
        self._bad_starts = 0
        self._has_given_up = False
        self._trouble = ""
        self._said = ""

    def open(self, objective: bytes) -> None:
        """Connect to the cluster and ask for workers, without waiting for any."""
        self._objective = objective
        self._served_at = time.monotonic()
        self._begin()

    def poll(self, timeout_s: float) -> list[WorkerEvent]:
        """Return the first events within a time.

        Raises:
            ExecutorFailed: there was no worker for `placement_timeout_s`, or none can be started.
        """
        if time.monotonic() >= self._next_tending:
            self._tend()
            self._next_tending = time.monotonic() + TEND_S
        for key, _ in self._selector.select(timeout_s):
            key.data(key.fileobj)
        events = list(self._events)
        self._events.clear()
        return events

    def drop(self, worker: JoinedWorker, reason: str) -> None:
        """Give up a worker; its loss is the next event."""
        self._remove(worker)
        self._events.append(WorkerEvent("lost", worker, (reason,)))

    def room_outside(self, nodes: Collection[str]) -> int:
        """Return how many trials the other nodes of the cluster could hold if they were unused."""
        others = [has for node, has in (self._nodes or {}).items() if node not in nodes]
        return capacity(self.need, others, self.group)

    def close(self) -> None:
        """End all workers, and the cluster if it was started here."""
        self._let_tear_down()
        for worker in list(self.workers.values()):
            self._remove(worker)
        if self._agent is not None:
            self._end_agent(wait_s=CLOSE_S)
        for key in list(self._selector.get_map().values()):
            self._hang_up(key.fileobj)
        self._selector.close()

    def _let_tear_down(self) -> None:
        """Tell the workers to exit, and wait until they have or the time is over."""
        leaving: list[MessageChannel] = []
        for worker in self.workers.values():
            with contextlib.suppress(OSError):
                worker.line.send("leave", 0)
                leaving.append(worker.line)
        until = time.monotonic() + TEARDOWN_S
        while leaving and time.monotonic() < until:
            left = max(until - time.monotonic(), 0.0)
            heard = select.select(leaving, [], [], left)[0]
            gone = [line for line in heard if not line.receive()[1]]
            leaving = [line for line in leaving if line not in gone]

    # The agent

    def _begin(self) -> None:
        self._agent = _AgentProcess(self.plan)
        self._nodes, self._heard_at = None, time.monotonic()
        self._selector.register(self._agent.connection, selectors.EVENT_READ, self._hear_agent)

    def _end_agent(self, *, wait_s: float) -> None:
        assert self._agent is not None
        agent, self._agent = self._agent, None
        self._selector.unregister(agent.connection)
        agent.close(wait_s)

    def _hear_agent(self, connection: Any) -> None:
        try:
            kind, *content = connection.recv()
        except Exception:  # it died, maybe in the middle of a message
            said = self._agent.said() if self._agent is not None else ""
            self._break(f"the connection to the Ray cluster broke{said}")
            return
        self._heard_at = time.monotonic()
        if kind == "connected":
            self._connected(content[0])
        elif kind == "unreachable":
            where = "here" if self.plan.address is None else f"at {self.plan.address}"
            trouble = f"no Ray cluster can be reached {where}: {content[0]}"
            if self._listener is None:  # it never was: no use in waiting for it to come back
                raise self._given_up(f"{trouble}; start it, or correct its address.")
            self._break(trouble)
        elif kind == "nodes":
            if self._nodes is None and not self._keys_given:
                self._served_at = self._heard_at  # the search for a place begins
            self._nodes, self._free = content
            self._ask()
        else:
            self._gone(*content)

    def _connected(self, ip: str) -> None:
        if self._listener is not None:
            self._hang_up(self._listener)
        self._listener = socket.create_server((ip if self.host is None else "", 0), backlog=512)
        self._listener.setblocking(False)
        self._selector.register(self._listener, selectors.EVENT_READ, self._accept)
        self._address = (self.host or ip, self._listener.getsockname()[1])
        self._tell("objective_is", self._objective)

    def _break(self, trouble: str) -> None:
        """Handle an unreachable cluster: all workers are lost, and it is retried after a while."""
        self._trouble, self._nodes = trouble, None
        log.warning("%s; trying again", trouble)
        self._end_agent(wait_s=0)
        self._asked.clear()
        for worker in list(self.workers.values()):
            self._remove(worker)
            self._events.append(WorkerEvent("lost", worker, ("the Ray cluster went away", False)))
        self._retry_at = time.monotonic() + RETRY_S

    def _tell(self, *message: Any) -> None:
        if self._agent is not None:
            with contextlib.suppress(OSError):  # it died: we hear that soon
                self._agent.connection.send(message)

    # Workers

    def _ask(self) -> None:
        """Request the missing workers, and cancel surplus requests."""
        assert self._nodes is not None
        parked = sum(w.is_parked for w in self.workers.values())
        room = self.room_outside(())
        if not room and self.plan.address is None:  # nobody will join this one
            why = self._why()
            raise self._given_up(f"{why}; ask for less, or name a cluster (address=...).")
        wanted = room if self.wanted is None else self.wanted
        missing = wanted - len(self._asked) - len(self.workers)
        missing += parked if self.wanted is not None else 0
        for _ in range(missing):
            key = self._keys_given = self._keys_given + 1
            folder = None if "working_dir" in self.plan.runtime_env else os.getcwd()
            ours, theirs = self._token, secrets.token_bytes(TOKEN_BYTES)
            setup = Setup(key, self._address, ours, self.limits, folder, theirs)
            self._asked[key] = time.monotonic()
            self._tell("start", setup, self.need, self.group)
        for key in list(self._asked)[: max(-missing, 0)]:
            del self._asked[key]
            self._tell("kill", key)

    def _accept(self, listener: Any) -> None:
        with contextlib.suppress(OSError):  # it went away again
            line = MessageChannel(listener.accept()[0], self._token)
            self._selector.register(line, selectors.EVENT_READ, self._greet)

    def _greet(self, line: Any) -> None:
        messages, is_there = line.receive()
        if messages and messages[0][1] in self._asked and is_there:
            _, key, *who = messages[0]
            del self._asked[key]
            worker = self.workers[key] = JoinedWorker(key, line, *who)
            self._selector.modify(line, selectors.EVENT_READ, lambda _: self._hear(worker))
            self._bad_starts, self._trouble, self._said = 0, "", ""
            self._events.append(WorkerEvent("joined", worker))
        elif messages or not is_there:  # nobody we asked for, or no more
            self._hang_up(line)

    def _hear(self, worker: JoinedWorker) -> None:
        if self.workers.get(worker.key) is not worker:
            return  # it was given up for what another one said just now
        messages, is_there = worker.line.receive()
        self._events.extend(WorkerEvent(m[0], worker, m[1:]) for m in messages)
        if not is_there:
            self.drop(worker, f"lost its {worker}")

    def _gone(self, key: int, reason: str) -> None:
        if key in self.workers:
            worker = self.workers[key]
            self.drop(worker, f"lost its {worker}: {reason}")
            return
        if self._asked.pop(key, None) is None:
            return
        if reason == NOT_INSTALLED and not self.plan.is_shipping:
            self.plan = replace(self.plan, is_shipping=True)
            self._break("the cluster has no tunekit: it is sent along")
            self._retry_at = 0.0
            return
        self._bad_starts += 1
        self._trouble = f"a Ray worker did not start: {reason}"
        if self._bad_starts >= START_TRIES and not self.workers:
            raise self._given_up(f"{self._trouble}, {START_TRIES} times; check runtime_env.")

    def _remove(self, worker: JoinedWorker) -> None:
        if self.workers.pop(worker.key, None) is not None:
            self._hang_up(worker.line)
            self._tell("kill", worker.key)

    def _hang_up(self, end: Any) -> None:
        self._selector.unregister(end)
        end.close()

    # Patience

    def _given_up(self, why: str) -> ExecutorFailed:
        """Mark the pool as failed, so that remaining results can still be collected."""
        self._has_given_up = True
        return ExecutorFailed(why)

    def _tend(self) -> None:
        now = time.monotonic()
        if self._has_given_up:
            return
        if self._agent is None and now >= self._retry_at:
            self._begin()
        if any(not w.is_parked for w in self.workers.values()):
            self._served_at = now
        elif self._nodes is not None and now - self._heard_at > SILENT_S:
            self._break("the Ray cluster does not answer")
        if self._asked and now - min(self._asked.values()) >= NOTICE_S:
            self._say(self._why())
        # A cluster takes a while to answer at all; the search for a place starts afterwards.
        patience_s = max(self.placement_timeout_s, 0.0 if self._keys_given else CONNECT_S)
        if now - self._served_at >= patience_s:
            raise self._given_up(
                f"no worker on the Ray cluster for {patience_s:g} s: {self._why()}; ask for "
                "less, add nodes, or wait longer (placement_timeout_s)."
            )

    def _why(self) -> str:
        if self._trouble or self._nodes is None:
            return self._trouble or "it has not answered yet"
        return shortage(self.need, list(self._nodes.values()), self._free, self.group)

    def _say(self, why: str) -> None:
        if why != self._said:
            self._said = why
            n = len(self.workers)
            log.warning("waiting for a place on the Ray cluster, %d workers run: %s", n, why)


class _AgentProcess:
    """The driver's end of `agent`."""

    def __init__(self, plan: ClusterPlan) -> None:
        self._output = tempfile.TemporaryFile()
        try:
            self._process, end = started("tunekit.executors.ray.agent", output=self._output)
        except OSError as error:
            raise ExecutorFailed(f"no process to speak to Ray could start: {error}") from None
        self.connection = Connection(end)
        with contextlib.suppress(OSError):  # it died: we hear that soon
            self.connection.send(plan)

    def said(self) -> str:
        """Return the last line it printed, except stack frames, after a colon."""
        self._output.seek(0, os.SEEK_END)
        self._output.seek(max(0, self._output.tell() - 4096))
        lines = self._output.read().decode(errors="replace").split("\n")
        told = (x.strip() for x in reversed(lines) if x.strip() and "[0x" not in x)
        last = next(told, "")
        return f": {last[:300]}" if last else ""

    def close(self, wait_s: float) -> None:
        """End it: after a wait in which it can end its cluster, by force."""
        self.connection.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(wait_s)
        self._process.kill()
        self._process.wait()
        self._output.close()
