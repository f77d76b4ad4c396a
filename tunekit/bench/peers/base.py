"""The peer contract, and the names of the peers: nothing of theirs is imported here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Protocol, runtime_checkable

from tunekit.bench.contenders import Contender
from tunekit.bench.episode import Proposer
from tunekit.errors import InvalidArgument, MissingExtra, TunekitError, did_you_mean
from tunekit.records import Proposal, TrialRecord
from tunekit.registry import make
from tunekit.samplers.base import StudyView
from tunekit.spaces import Params, Scalar, Space

DEFAULT = "+default"
"""After a peer's name: its first trial is the default configuration."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What a peer may know of the run when it is made.

    Attributes:
        seed: of all its randomness.
        n_trials: the budget.
        workers: how many trials run at once.
        first: the point that it shall ask for first, if one is given.
    """

    seed: int
    n_trials: int
    workers: int = 1
    first: Params | None = None


class Peer(Protocol):
    """An optimiser of another library on a tunekit space; it keeps its own state.

    A peer is made with `(space, setting, **options)`.
    """

    def ask(self) -> Params:
        """Return what to try next; several may be asked for before one is told."""
        ...

    def tell(self, params: Params, loss: float | None) -> None:
        """Hear the loss of a point that was asked for; `None` where it failed."""
        ...


@runtime_checkable
class Observer(Protocol):
    """A peer that can be told of trials that it was not asked for."""

    def observe(self, params: Params, loss: float) -> None:
        """Hear of a finished trial."""
        ...


@dataclass(frozen=True, slots=True)
class PeerEntry:
    """Where a peer lives.

    Attributes:
        target: `module:class` of its adapter.
        modules: what has to be installed, by import name.
        install: what pip installs.
        options: that make it this peer.
    """

    target: str
    modules: tuple[str, ...]
    install: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def missing(self) -> str:
        """Return what is to be installed, or an empty text where nothing is."""
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
    """Return the proposer of a peer.

    Raises:
        InvalidArgument: no such peer, or options that it does not take.
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
        raise InvalidArgument(f'peer "{name}": {error}; options: {options}.') from None
    return PeerProposer(peer, contender.name)


def check_peer(name: str) -> PeerEntry:
    """Return the entry of a peer that is installed.

    Raises:
        InvalidArgument: no such peer.
        MissingPeer: its library is not installed.
    """
    name = name.removesuffix(DEFAULT)
    if name not in PEERS:
        raise InvalidArgument(
            f'unknown peer "{name}"{did_you_mean(name, PEERS)}; there are {", ".join(PEERS)}.'
        )
    entry = PEERS[name]
    if entry.missing():
        raise MissingPeer(name, entry.missing())
    return entry


def check_contender(contender: Contender) -> None:
    """Raise what would stop a contender before its first proposal.

    Raises:
        InvalidArgument: no such sampler or peer, or options that a sampler does not take.
        MissingExtra: it needs a package that is not installed.
    """
    if contender.kind == "sampler":
        make("sampler", contender.name, dict(contender.options))
        return
    check_peer(contender.name)


def lacking(sampler: str) -> str:
    """Return why a sampler cannot be made here, or an empty text."""
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
    """Asks and tells a peer, which takes no views."""

    def __init__(self, peer: Peer, name: str) -> None:
        self._peer = peer
        self._name = name

    def ask(self, view: StudyView, number: int) -> Proposal:
        """Return the peer's point, in canonical form."""
        return Proposal(canonical(view.space, self._peer.ask()), self._name)

    def tell(self, record: TrialRecord, loss: float | None) -> None:
        """Tell the peer."""
        assert record.params is not None
        self._peer.tell(record.params, loss)

    def observe(self, record: TrialRecord, loss: float) -> None:
        """Tell the peer of a trial that it was not asked for.

        Raises:
            InvalidArgument: this peer cannot be told of such.
        """
        if not isinstance(self._peer, Observer):
            raise InvalidArgument(
                f'the peer "{self._name}" hears only of trials that it proposed; the cost of its '
                "suggestions is measured in a run."
            )
        assert record.params is not None
        self._peer.observe(record.params, loss)


def canonical(space: Space, params: Mapping[str, Scalar]) -> Params:
    """Return the point with its values as the domains have them, also where it breaks a bound.

    A constraint of the space that peers cannot know is no reason to end a run: such a point
    comes back, and its trial fails.
    """
    return Params(
        {p.path: p.domain.validate(params[p.path], p.path) for p in space if p.path in params}
    )


def point_key(params: Mapping[str, Scalar]) -> str:
    """Return a text that two points share only if they are the same."""
    return repr(sorted(params.items()))
