"""The only process that talks to Ray: it creates and kills actors for its driver.

Ray ends the process that is connected to it when its head has been gone for a minute, starts
threads in it and prints. So the driver starts this one beside itself; when it dies, Ray ends
its actors, and when the head comes back, another one takes its place.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from tunekit.executors.process.worker import PR_SET_PDEATHSIG
from tunekit.executors.ray.host import Setup
from tunekit.executors.ray.placement import Amounts, Group, bundle, ray_options, tunekit_names

TICK_S = 0.2
LOOK_S = 1.0
PROBE_S = 10.0
NOT_INSTALLED = "tunekit is not installed"
PACKAGES = ("tunekit", "tunekit_surrogates", "tunekit_integrations", "tunekit_dashboard")


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """How to reach the cluster.

    Attributes:
        address: of an existing cluster; `None` starts one on this machine.
        local: the resources of a cluster that is started here, by tunekit's names.
        runtime_env: of the workers, as Ray takes it.
        is_shipping: send our own packages along, because the cluster does not have them.
    """

    address: str | None
    local: Mapping[str, float]
    runtime_env: Mapping[str, Any]
    is_shipping: bool = False


def main(descriptor: int, driver: int) -> None:
    """Serve a driver until it closes the connection.

    Args:
        descriptor: our end of the socket pair.
        driver: process id of the driver, whose death ends this process at once.
    """
    os.set_inheritable(descriptor, False)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != driver:
        return  # it died before the line above
    connection = Connection(descriptor)
    plan: ClusterPlan = connection.recv()
    try:
        ip = _connect(plan)
    except (
        Exception
    ) as error:  # Ray may raise anything here, from ValueError to its own exceptions
        connection.send(("unreachable", _short(error)))
        return
    import ray

    connection.send(("connected", ip))
    try:
        _Agent(connection).serve()
    except (EOFError, ConnectionError):
        pass  # the driver is done with us
    finally:
        ray.shutdown()


def _connect(plan: ClusterPlan) -> str:
    """Connect to the cluster, or start one, and return the address of this machine in it."""
    if plan.address is None:
        os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"  # Ray's switch for loopback only
    import ray

    runtime_env = dict(plan.runtime_env)
    if plan.is_shipping:
        runtime_env["py_modules"] = [*runtime_env.get("py_modules", ()), *_own_packages()]
    options: dict[str, Any] = {
        "runtime_env": runtime_env,
        "log_to_driver": False,
        "logging_level": "ERROR",
        "configure_logging": False,
    }
    if plan.address is None:
        custom = {k: v for k, v in plan.local.items() if k not in ("cpu", "gpu")}
        ray.init(
            address="local",
            num_cpus=int(plan.local["cpu"]),
            num_gpus=None if "gpu" not in plan.local else int(plan.local["gpu"]),
            resources=custom,
            include_dashboard=False,
            **options,
        )
    else:
        _probe(plan.address)
        ray.init(address=plan.address, **options)
    return str(ray.util.get_node_ip_address())


def _probe(address: str) -> None:
    """Check whether the address answers, which Ray would take a minute to find out.

    Raises:
        OSError: it does not.
    """
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if port.isdigit():  # not "auto"
        socket.create_connection((host.strip("[]"), int(port)), PROBE_S).close()


def _own_packages() -> list[str]:
    found = (importlib.util.find_spec(name) for name in PACKAGES)
    return [str(Path(spec.origin).parent) for spec in found if spec is not None and spec.origin]


def _worker_class() -> Any:
    """Return the actor's class, which Ray ships by value, as nodes may lack tunekit."""

    class AgentWorker:
        def __init__(self, paths: list[str]) -> None:
            import importlib.util
            import os
            import sys

            sys.path.extend(p for p in paths if p not in sys.path and os.path.isdir(p))
            self.has_tunekit = importlib.util.find_spec("tunekit") is not None

        def devices(self) -> tuple[str, ...]:
            import ray

            found = ray.get_runtime_context().get_accelerator_ids().values()
            return tuple(str(x) for ids in found for x in ids)

        def listen(self, setup: tuple[Any, ...]) -> tuple[str, int] | None:
            import pickle

            import ray

            if not self.has_tunekit:
                return None
            from tunekit.executors.ray.follower import Follower

            known = pickle.loads(setup[0])  # noqa: S301 - from our driver, through Ray
            self.follower = Follower(known, ray.util.get_node_ip_address(), self.devices())
            return self.follower.address

        def follow(self, address: tuple[str, int] | None) -> str:
            if address is not None:  # else there was nothing to listen with
                self.follower.serve()
            return "tunekit is not installed"

        def serve(
            self, setup: tuple[Any, ...], objective: bytes, *followers: tuple[str, int] | None
        ) -> str:
            import pickle

            import ray

            found = tuple(address for address in followers if address is not None)
            if not self.has_tunekit or found != followers:
                return "tunekit is not installed"
            from tunekit.executors.base import Ranks
            from tunekit.executors.ray.host import serve

            known = pickle.loads(setup[0])  # noqa: S301 - from our driver, through Ray
            node = ray.get_runtime_context().get_node_id()
            ranks = None
            if found:
                ranks = Ranks(ray.util.get_node_ip_address(), found, known.ranks_token)
            serve(known, objective, node=node, devices=self.devices(), ranks=ranks)
            return "its driver hung up"

    return AgentWorker


@dataclass(frozen=True, slots=True)
class _Slot:
    """The actors of one trial: the leader, its followers, and their placement group.

    Attributes:
        calls: that each of them serves; the slot is done when one is.
    """

    actors: Sequence[Any]
    calls: Sequence[Any]
    group: Any = None

    def end(self) -> None:
        import ray

        for actor in self.actors:
            ray.kill(actor)
        if self.group is not None:
            ray.util.remove_placement_group(self.group)


class _Agent:
    """The actors of one driver."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._slots: dict[int, _Slot] = {}
        self._objective: Any = None
        self._class: Any = None
        self._next_look = 0.0

    def serve(self) -> None:
        while True:
            if self._connection.poll(TICK_S):
                kind, *content = self._connection.recv()
                getattr(self, f"_{kind}")(*content)
            self._bury()
            if time.monotonic() >= self._next_look:
                self._look()
                self._next_look = time.monotonic() + LOOK_S

    def _objective_is(self, objective: bytes) -> None:
        import ray

        self._objective = ray.put(objective)
        self._class = ray.remote(_worker_class())

    def _start(self, setup: Setup, need: Amounts, group: Group) -> None:
        import pickle

        known = (pickle.dumps(setup),)
        options, places = {"max_restarts": 0, **ray_options(need)}, None
        if group.processes > 1:
            places = _placement_group(need, group)
        actors = []
        for k in range(group.processes):
            if places is not None:
                options["scheduling_strategy"] = _bundle_of(places, k)
            actors.append(self._class.options(**options).remote(list(sys.path)))
        leader, *followers = actors
        addresses = [f.listen.remote(known) for f in followers]
        calls = [leader.serve.remote(known, self._objective, *addresses)]
        calls += [f.follow.remote(a) for f, a in zip(followers, addresses, strict=True)]
        self._slots[setup.key] = _Slot(actors, calls, places)

    def _kill(self, key: int) -> None:
        if key in self._slots:
            self._slots.pop(key).end()

    def _bury(self) -> None:
        """Report slots that lost an actor to the driver, with Ray's reason if known."""
        import ray

        if not self._slots:
            return
        calls = {
            call: (key, rank)
            for key, slot in self._slots.items()
            for rank, call in enumerate(slot.calls)
        }
        for call in ray.wait(list(calls), num_returns=len(calls), timeout=0)[0]:
            key, rank = calls[call]
            if key not in self._slots:
                continue  # another actor of it came first
            try:
                reason = ray.get(call)
            except Exception as error:  # from Ray, or raised by the host
                reason = f"that of rank {rank}: {_short(error)}" if rank else _short(error)
            self._kill(key)
            self._connection.send(("gone", key, reason))

    def _look(self) -> None:
        import ray

        nodes = {n["NodeID"]: tunekit_names(n["Resources"]) for n in ray.nodes() if n["Alive"]}
        free = tunekit_names(ray.available_resources())
        self._connection.send(("nodes", nodes, free))


def _placement_group(need: Amounts, group: Group) -> Any:
    from ray.util import placement_group

    return placement_group([bundle(need)] * group.processes, strategy=group.strategy)


def _bundle_of(places: Any, k: int) -> Any:
    """Return the scheduling strategy that assigns an actor to one of a group's places."""
    from ray.util.scheduling_strategies import PlacementGroupSchedulingStrategy

    return PlacementGroupSchedulingStrategy(places, placement_group_bundle_index=k)


def _short(error: BaseException) -> str:
    """Return the informative line of a long Ray message."""
    lines = [x.strip() for x in str(error).splitlines() if x.strip()] or [type(error).__name__]
    told = [x for x in lines if x.startswith(("The actor is dead because", "ConnectionError"))]
    return (told or lines)[-1 if told else 0][:300]
