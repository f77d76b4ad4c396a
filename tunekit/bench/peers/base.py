"""Defines the peer protocol and lists the peers, without importing their libraries."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from tunekit.bench.contenders import Contender
from tunekit.bench.episode import Proposer
from tunekit.errors import InvalidArgument, MissingExtra, TunekitError, did_you_mean
from tunekit.records import MetricConstraint, ObjectiveSpec, Proposal, TrialRecord, TrialState
from tunekit.registry import make
from tunekit.samplers.base import StudyView
from tunekit.spaces import Params, Scalar, Space

DEFAULT = "+default"
"""Suffix of a peer's name that makes its first trial the default configuration."""


@dataclass(frozen=True, slots=True)
class Setting:
    """Describes the run to a new peer.

    Attributes:
        seed: seed for all randomness of the peer.
        n_trials: trial budget.
        workers: number of trials that run in parallel.
        first: point that the peer must propose first, if given.
        objectives: objectives of the problem.
        constraints: constraints on its metrics.
    """

    seed: int
    n_trials: int
    workers: int = 1
    first: Params | None = None
    objectives: tuple[ObjectiveSpec, ...] = (ObjectiveSpec("loss"),)
    constraints: tuple[MetricConstraint, ...] = ()


class Peer(Protocol):
    """Adapts an optimiser of another library, which keeps its own state, to a tunekit space.

    Constructed as `(space, setting, **options)`.
    """

    def ask(self) -> Params:
        """Propose the next point; may be called several times before a `tell`."""
        ...

    def tell(self, params: Params, loss: float | None) -> None:
        """Receive the loss of a proposed point; `None` if its trial failed."""
        ...


@runtime_checkable
class Observer(Protocol):
    """A peer that accepts trials which it did not propose."""

    def observe(self, params: Params, loss: float) -> None:
        """Receive a finished trial."""
        ...


@runtime_checkable
class MetricsPeer(Protocol):
    """A peer that supports several objectives and constraints on metrics."""

    def tell_metrics(
        self, params: Params, losses: Sequence[float] | None, slacks: Mapping[str, float]
    ) -> None:
        """Receive all losses of a proposed point, and its distance above each bound.

        `losses` is `None` if its trial failed; a slack above 0 breaks its constraint.
        """
        ...


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """Locates a peer's adapter and the packages it requires.

    Attributes:
        target: `module:class` of the adapter.
        modules: import names of the required packages.
        install: arguments for `pip install`.
        options: keyword arguments that select this peer from the adapter.
    """

    target: str
    modules: tuple[str, ...]
    install: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def missing(self) -> str:
        """Return the command that installs missing packages, or an empty text."""
        absent = [m for m in self.modules if find_spec(m) is None]
        return f"pip install {self.install}" if absent else ""


def _optuna(kind: str, *more: str) -> PeerEntry:
    install = " ".join(["optuna", *more])
    return PeerEntry(
        "tunekit.bench.peers.optuna:OptunaPeer", ("optuna", *more), install, {"kind": kind}
    )


PEERS: dict[str, PeerEntry] = {
    "optuna-random": _optuna("random"),
    "optuna-tpe": _optuna("tpe"),
    "optuna-tpe-group": _optuna("tpe-group"),
    "optuna-gp": _optuna("gp", "torch"),
    "optuna-cmaes": _optuna("cmaes", "cmaes"),
    "optuna-nsgaii": _optuna("nsgaii"),
    "optuna-auto": _optuna("auto", "optunahub", "torch", "cmaes"),
    "smac": PeerEntry("tunekit.bench.peers.smac:SmacPeer", ("smac",), "smac"),
    "ax": PeerEntry("tunekit.bench.peers.ax:AxPeer", ("ax", "torch"), "ax-platform"),
    "hebo": PeerEntry("tunekit.bench.peers.hebo:HeboPeer", ("hebo", "torch", "pandas"), "HEBO"),
    "nevergrad": PeerEntry(
        "tunekit.bench.peers.nevergrad:NevergradPeer", ("nevergrad",), "nevergrad"
    ),
    "hyperopt": PeerEntry("tunekit.bench.peers.hyperopt:HyperoptPeer", ("hyperopt",), "hyperopt"),
}


def make_peer(contender: Contender, space: Space, setting: Setting) -> Proposer:
    """Make the proposer of a peer.

    Raises:
        InvalidArgument: unknown peer or options.
            Also if the problem has several objectives, which the peer does not support.
        MissingPeer: its library is not installed.
    """
    name = contender.name.removesuffix(DEFAULT)
    entry = check_peer(contender.name)
    module, _, attribute = entry.target.partition(":")
    factory = getattr(import_module(module), attribute)
    if contender.name.endswith(DEFAULT):
        setting = replace(setting, first=space.default())
    options = {**entry.options, **dict(contender.options)}
    try:
        peer = factory(space, setting, **options)
    except TypeError as error:
        raise InvalidArgument(
            f'peer "{name}" rejects the options {options}: {error}; correct or remove them.'
        ) from None
    if len(setting.objectives) > 1 and not isinstance(peer, MetricsPeer):
        raise InvalidArgument(
            f'peer "{name}" supports one objective, and the problem has '
            f"{len(setting.objectives)}; compare it on other problems."
        )
    return PeerProposer(peer, contender.name, setting)


def check_peer(name: str) -> PeerEntry:
    """Return the entry of an installed peer.

    Raises:
        InvalidArgument: unknown peer.
        MissingPeer: its library is not installed.
    """
    name = name.removesuffix(DEFAULT)
    if name not in PEERS:
        raise InvalidArgument(
            f'unknown peer "{name}"{did_you_mean(name, PEERS)}; expected {", ".join(PEERS)}.'
        )
    entry = PEERS[name]
    if entry.missing():
        raise MissingPeer(name, entry.missing())
    return entry


def check_contender(contender: Contender) -> None:
    """Check that a contender can be made, before any run starts.

    Raises:
        InvalidArgument: unknown sampler or peer, or unknown sampler options.
        MissingExtra: a required package is not installed.
    """
    if contender.kind == "sampler":
        make("sampler", contender.name, dict(contender.options))
        return
    check_peer(contender.name)


def lacking(sampler: str) -> str:
    """Return the reason why a sampler cannot be made here, or an empty text."""
    try:
        make("sampler", sampler)
    except TunekitError as error:
        return error.message
    return ""


class MissingPeer(MissingExtra):
    """The library of a peer is not installed."""

    def __init__(self, name: str, command: str) -> None:
        super().__init__("bench", f'the peer "{name}"')
        self.message = f'the peer "{name}" is not installed: {command}'


class PeerProposer:
    """Asks and tells a peer through the proposer interface; peers do not use views."""

    def __init__(self, peer: Peer, name: str, setting: Setting | None = None) -> None:
        self._peer = peer
        self._name = name
        self._setting = setting or Setting(0, 1)

    def ask(self, view: StudyView, number: int) -> Proposal:
        """Propose the peer's point in canonical form."""
        return Proposal(canonical(view.space, self._peer.ask()), self._name)

    def tell(self, record: TrialRecord, loss: float | None) -> None:
        """Pass the result to the peer.

        A peer without support for constraints takes a trial that breaks one as failed.
        """
        assert record.params is not None
        setting = self._setting
        if not isinstance(self._peer, MetricsPeer) or (
            len(setting.objectives) == 1 and not setting.constraints
        ):
            self._peer.tell(record.params, loss)
            return
        slacks = {str(c): c.slack(record.metrics) for c in setting.constraints}
        if record.state is not TrialState.COMPLETE or not all(map(math.isfinite, slacks.values())):
            self._peer.tell_metrics(record.params, None, {})
            return
        losses = [o.loss(record.metrics[o.metric]) for o in setting.objectives]
        self._peer.tell_metrics(record.params, losses, slacks)

    def observe(self, record: TrialRecord, loss: float) -> None:
        """Pass a trial to the peer that it did not propose.

        Raises:
            InvalidArgument: the peer accepts only its own proposals.
        """
        if not isinstance(self._peer, Observer):
            raise InvalidArgument(
                f'the peer "{self._name}" accepts only trials that it proposed; measure the '
                "cost of its suggestions in a run."
            )
        assert record.params is not None
        self._peer.observe(record.params, loss)


def canonical(space: Space, params: Mapping[str, Scalar]) -> Params:
    """Convert values to the domains' types, without checking the constraints of the space.

    Peers do not know the constraints, so a point that violates one must not end the run; its
    trial fails instead.
    """
    return Params(
        {p.path: p.domain.validate(params[p.path], p.path) for p in space if p.path in params}
    )


def point_key(params: Mapping[str, Scalar]) -> str:
    """Return a text that is equal exactly for equal points."""
    return repr(sorted(params.items()))
