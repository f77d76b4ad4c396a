"""Runs Optuna's samplers on the tree, with suggestions through `walk` and the full history.

Optuna's samplers hold state (random streams, known search spaces, optimisers). Here a fresh
sampler makes every proposal: (study seed, trial number) seeds it, the history provides its data,
and the attributes it stores on trials and study travel in the evidence of proposals.
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from tunekit.errors import InvalidArgument, MissingExtra, did_you_mean
from tunekit.records import Proposal, TrialRecord, TrialState
from tunekit.registry import check_options, named_module
from tunekit.samplers.base import StudyView, held, keeping, known_points, repaired, sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Params, walk

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

    from tunekit.samplers.optuna_bridge.storage import ToldStorage
    from tunekit.samplers.optuna_bridge.told import ToldTrials

SHORT = {
    "tpe": "TPESampler",
    "gp": "GPSampler",
    "cmaes": "CmaEsSampler",
    "nsgaii": "NSGAIISampler",
    "nsgaiii": "NSGAIIISampler",
    "qmc": "QMCSampler",
    "random": "RandomSampler",
}

_DEFAULTS: dict[str, dict[str, Any]] = {
    "TPESampler": {"multivariate": True, "group": True, "constant_liar": True},
    "QMCSampler": {"scramble": True},  # otherwise every study has the same points
}

TRIES = 3
"""Attempts of Optuna to propose a point that satisfies the constraints of the space."""

_SHARED = ("tpe:relative_params", "gp:relative_params")
"""Attributes that inform other processes of a running trial; here they get its full params."""


class OptunaSampler:
    """Proposes points by one of Optuna's samplers.

    The first trial is the default configuration. Pending trials appear to Optuna as running.

    Args:
        name: `"tpe"` (multivariate, grouped by branch, with a constant liar), `"gp"`, `"cmaes"`,
            `"nsgaii"`, `"nsgaiii"`, `"qmc"`, `"random"`; the name of any class in
            `optuna.samplers`; or `"package.module:Class"` for another `BaseSampler`.
        options: keyword arguments of that class; the seed comes from the study.

    Raises:
        MissingExtra: Optuna, or another package the sampler needs, is not installed.
        InvalidArgument: the sampler does not exist, or does not accept an option.
    """

    may_end = False

    def __init__(self, name: str = "tpe", **options: Any) -> None:
        self.name = name
        self._class = _sampler_class(name)
        self._options = {**_DEFAULTS.get(self._class.__name__, {}), **options}
        if self._options.get("multivariate") is False and "group" not in options:
            del self._options["group"]  # grouping is a form of the multivariate estimator
        if "seed" in options or "seed" not in inspect.signature(self._class).parameters:
            raise InvalidArgument(
                f'sampler "{name}": the study sets its seed, so the sampler must accept seed= and '
                "the options must not contain it; set the seed of the study."
            )
        check_options(f'sampler "{name}"', self._class, options, without={"seed"})
        try:
            self._fresh(0, np.random.default_rng(0))
        except (TypeError, ValueError) as error:
            raise InvalidArgument(f'sampler "{name}": {error}.') from None
        self._told: ToldTrials | None = None

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each takes the earlier ones as pending.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            InvalidArgument: the sampler handles one objective but the study has several.
        """
        if len(view.objectives) > 1 and self._class.__name__ == "CmaEsSampler":
            raise InvalidArgument(
                f'sampler "{self.name}" handles one objective, but the study has '
                f'{len(view.objectives)}; use "nsgaii" or "tpe".'
            )
        known = self._tell(view, numbers)
        proposals = []
        for number in numbers:
            proposal = self._propose(view, number, known)
            proposals.append(proposal)
            sibling = TrialRecord(
                number, TrialState.RUNNING, params=proposal.params, evidence=proposal.evidence
            )
            known.add(sibling)
        return proposals

    def _propose(self, view: StudyView, number: int, known: ToldTrials) -> Proposal:
        fixed = held(view, number)
        if number == 0 and not fixed:
            point = view.space.default()
            if not view.space.violated(point):
                return Proposal(point, self.name, "the default configuration")
        rng = stream(view.seed, number)
        for _ in range(TRIES):
            point, evidence = self._ask(view, number, known, rng)
            broken = view.space.violated(point)
            if not broken:
                n_pending = known.n_pending
                n_ended = len(known.trials) - n_pending
                why = f"Optuna's {self._class.__name__}, told {n_ended} ended trials"
                return Proposal(point, self.name, f"{why} and {n_pending} pending", evidence)
        near = repaired(view.space, point, rng, fixed)
        if near is not None:
            why = f'a proposal of Optuna, repaired to satisfy "{broken[0]}"'
            return Proposal(near, self.name, why)
        why = f'a random draw: {TRIES} proposals of Optuna violate "{broken[0]}"'
        point = sample(view.space, rng, fixed, known=known_points(view))
        return Proposal(point, self.name, why)

    def _ask(
        self, view: StudyView, number: int, known: ToldTrials, rng: np.random.Generator
    ) -> tuple[Params, dict[str, Any]]:
        """Return Optuna's point and the attributes its sampler stored."""
        point, storage = self._ask_once(view, number, known, rng)
        if self._class.__name__ == "QMCSampler":
            # It counts its points in a study attribute, which two processes would read alike; the
            # number of the trial replaces this counter.
            counted = {key: number - 1 for key in storage.noted}
            return self._ask_once(view, number, known, rng, counted)[0], {}
        assert storage.asked is not None
        notes = storage.asked.system_attrs.items()
        noted = {k: v for k, v in notes if not k.startswith(_SHARED)}
        if not noted and not storage.noted:
            return point, {}
        return point, {"space": known.codec.fingerprint, "trial": noted, "study": storage.noted}

    def _ask_once(
        self,
        view: StudyView,
        number: int,
        known: ToldTrials,
        rng: np.random.Generator,
        attrs: Mapping[str, Any] | None = None,
    ) -> tuple[Params, ToldStorage]:
        from tunekit.samplers.optuna_bridge.storage import told_study

        # Deprecation was reported when this sampler was created, not again in every trial.
        with _quiet(FutureWarning), _needs(self.name):
            sampler = self._fresh(view.seed, rng)
            known.lend(sampler, number)
            study, storage = told_study(
                known.trials,
                view.objectives,
                sampler=sampler,
                attrs=known.attrs if attrs is None else attrs,
                number=number,
            )
            trial = study.ask()
            fixed = held(view, number)
            point = walk(view.space, keeping(fixed, lambda p, _: known.codec.ask(trial, p)))
        return point, storage

    def _fresh(self, study_seed: int, rng: np.random.Generator) -> BaseSampler:
        """Return a new sampler seeded from one trial's stream."""
        options = dict(self._options)
        seed = int(rng.integers(2**32))
        if self._class.__name__ == "QMCSampler":
            # One sequence for the whole study; other parameters are drawn per trial.
            from optuna.samplers import RandomSampler

            options.setdefault("independent_sampler", RandomSampler(seed=seed))
            seed = study_seed & 0xFFFFFFFF
        options["seed"] = seed
        with _quiet(), _needs(self.name):
            return self._class(**options)

    def _tell(self, view: StudyView, numbers: Sequence[int]) -> ToldTrials:
        """Return the history as Optuna's trials and attributes, converting only changed trials."""
        from tunekit.samplers.optuna_bridge.codec import Codec
        from tunekit.samplers.optuna_bridge.told import ToldTrials

        if self._told is None or self._told.codec.space != view.space:
            self._told = ToldTrials(Codec(view.space))
        self._told.follow(view.history, without=numbers)
        return self._told


def _sampler_class(name: str) -> type[BaseSampler]:
    try:
        from optuna import samplers
    except ImportError:
        raise MissingExtra("optuna", f'the sampler "{name}"') from None
    module, found, attribute = str(name).partition(":")
    try:
        owner = named_module(module) if found else samplers
    except ImportError as error:
        raise InvalidArgument(
            f'sampler "{name}": {error}; install its package, or correct the name.'
        ) from None
    chosen = getattr(owner, attribute if found else SHORT.get(name, name), None)
    if not inspect.isclass(chosen) or not issubclass(chosen, samplers.BaseSampler):
        hint = did_you_mean(str(name), [*SHORT, *samplers.__all__])
        raise InvalidArgument(
            f'"{name}" is not a sampler of Optuna{hint}; '
            f'expected {", ".join(SHORT)}, a class of optuna.samplers or "module:Class".'
        )
    return chosen


@contextmanager
def _needs(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError:
        raise MissingExtra("optuna", f'the sampler "{name}"') from None


@contextmanager
def _quiet(*more: type[Warning]) -> Iterator[None]:
    """Silence Optuna's messages about its experimental features within this context."""
    import optuna

    verbosity = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            for category in more:
                warnings.simplefilter("ignore", category)
            yield
    finally:
        optuna.logging.set_verbosity(verbosity)
