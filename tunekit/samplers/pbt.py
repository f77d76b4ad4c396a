"""The explore step of population-based training: perturbs copies of good members."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from tunekit.checks import is_whole
from tunekit.errors import InvalidArgument, SpaceExhausted
from tunekit.history import History, HistoryFollower
from tunekit.records import Branch, Proposal, TrialRecord, TrialState
from tunekit.samplers.base import PLAIN_DRAWS, StudyView, held, known_points, repaired, sample
from tunekit.samplers.random_streams import stream
from tunekit.spaces import Float, Int, Parameter, Params, Scalar, Space, walk


class PbtSampler:
    """Proposes a first population at random, then branches that replace stopped members.

    Use it with the stopper of the same name. A branch takes the params of one of the best trials,
    perturbs each, and starts from that trial's checkpoint. If a member has ended and a slot is
    free, the best member still training gets another branch. Once none is training, the search is
    over (`SpaceExhausted`), so `n_trials` is an upper bound.

    Args:
        population: number of trials that start from scratch; run as many concurrently.
        factors: factors, one of which multiplies a perturbed number.
        resample: probability that a value is redrawn instead of perturbed.
        explore: paths of the parameters that may change while a model trains; by default all
            of type `Float`, because others often shape the model.

    Raises:
        InvalidArgument: an option lies outside its range.

    Reference:
        M. Jaderberg et al., 2017, "Population Based Training of Neural Networks"
        (arXiv 1711.09846), section 4.1.1: perturb, "where each hyperparameter independently is
        randomly perturbed by a factor of 1.2 or 0.8", and resample, "with some probability".
    """

    name = "pbt"
    may_end = True

    def __init__(
        self,
        *,
        population: int = 8,
        factors: Sequence[float] = (0.8, 1.2),
        resample: float = 0.1,
        explore: Iterable[str] | None = None,
    ) -> None:
        if not is_whole(population) or population < 2:
            raise InvalidArgument(
                f"population={population!r}, expected a whole number of 2 or more."
            )
        if not factors or any(not f > 0 for f in factors):
            raise InvalidArgument(f"factors={factors!r}, expected numbers above 0.")
        if not 0 <= resample <= 1:
            raise InvalidArgument(f"resample={resample!r}, expected a number in [0, 1].")
        self.population = population
        self.factors = tuple(factors)
        self.resample = resample
        self.explore = None if explore is None else frozenset(explore)
        self._vacancies = _Vacancies()

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number, in order.

        Raises:
            SpaceExhausted: the whole population has ended.
        """
        self._check(view.space)
        vacant = self._vacancies.of(view.history)
        return [self._propose(view, n, vacant, set(numbers)) for n in numbers]

    def _propose(
        self, view: StudyView, number: int, vacant: list[TrialRecord], asked: set[int]
    ) -> Proposal:
        rng = stream(view.seed, number)
        fixed = held(view, number)
        if fixed or number < self.population:
            params = sample(view.space, rng, fixed, known=known_points(view))
            return Proposal(params, self.name, "a random member of the first population")
        while vacant:
            stopped = vacant.pop(0)
            parent = view.history.get(int(stopped.stop_evidence["parent"]))
            branch = _branch(parent, int(stopped.stop_evidence["step"]))
            if parent is not None and branch is not None:
                return self._child(view, rng, parent, branch, stopped.number)
        training = [
            t for t in view.history.unfinished() if t.number not in asked and t.params is not None
        ]
        with_checkpoint = [t for t in training if _branch(t, None) is not None]
        if with_checkpoint:
            best = min(with_checkpoint, key=lambda t: (_loss(view, t), t.number))
            branch = _branch(best, None)
            assert branch is not None
            return self._child(view, rng, best, branch, None)
        if training:
            point = sample(view.space, rng, known=known_points(view))
            return Proposal(point, self.name, "a further random member")
        raise SpaceExhausted(
            f"pbt: all {self.population} members of the population have ended; no member is left "
            "to branch from."
        )

    def _child(
        self,
        view: StudyView,
        rng: np.random.Generator,
        parent: TrialRecord,
        branch: Branch,
        replaces: int | None,
    ) -> Proposal:
        assert parent.params is not None
        params = self._explored(view.space, parent.params, rng)
        instead = "" if replaces is None else f", in place of trial {replaces}"
        reason = f"explores around trial {parent.number} from step {branch.step}{instead}"
        evidence = {} if replaces is None else {"replaces": replaces}
        return Proposal(params, self.name, reason, evidence, branch)

    def _explored(self, space: Space, start: Params, rng: np.random.Generator) -> Params:
        """Return perturbed params, the parent's own if none satisfy the constraints."""

        def pick(p: Parameter, _: Mapping[str, Scalar]) -> Scalar:
            if p.path not in start:
                return p.domain.from_unit(rng.random())
            return self._perturbed(p, start[p.path], rng) if self._explores(p) else start[p.path]

        for _ in range(PLAIN_DRAWS):
            point = walk(space, pick)
            if not space.violated(point):
                return point
        kept = Params({p: v for p, v in start.items() if not self._explores(space.by_path[p])})
        return repaired(space, point, rng, kept) or start

    def _explores(self, p: Parameter) -> bool:
        if self.explore is not None:
            return p.path in self.explore
        return isinstance(p.domain, Float) and not p.domain.has_target

    def _perturbed(self, p: Parameter, value: Scalar, rng: np.random.Generator) -> Scalar:
        domain = p.domain
        redraw, u = rng.random() < self.resample, rng.random()
        factor = self.factors[int(rng.integers(len(self.factors)))]
        if redraw or not isinstance(domain, Float | Int):
            return domain.from_unit(u) if redraw else value
        if value in domain.special:
            return value
        moved = min(max(float(value or 0.0) * factor, domain.lo), domain.hi)
        # The round trip through the unit interval snaps to the domain's grid.
        whole = round(moved) if isinstance(domain, Int) else moved
        return domain.from_unit(domain.to_unit(whole))

    def _check(self, space: Space) -> None:
        unknown = [path for path in self.explore or () if path not in space.by_path]
        if unknown:
            raise InvalidArgument(
                f"explore={sorted(unknown)}, expected paths of the space: "
                f"{sorted(space.by_path)}; correct them."
            )


class _Vacancies:
    """The stopped members without a successor; a trial is read again once it has changed."""

    def __init__(self) -> None:
        self._follower = HistoryFollower()
        self._replaces: dict[int, object] = {}
        self._stopped: dict[int, TrialRecord] = {}

    def of(self, history: History) -> list[TrialRecord]:
        """Return them by number."""
        changed = self._follower.changed(history)
        if changed is None:
            self._replaces.clear()
            self._stopped.clear()
            changed = {t.number for t in history}
        for number in changed:
            trial = history.get(number)
            self._replaces.pop(number, None)
            self._stopped.pop(number, None)
            if trial is not None and "replaces" in trial.evidence:
                self._replaces[number] = trial.evidence["replaces"]
            if trial is not None and trial.state is TrialState.STOPPED:
                if "parent" in trial.stop_evidence:
                    self._stopped[number] = trial
        replaced = set(self._replaces.values())
        return [self._stopped[n] for n in sorted(self._stopped.keys() - replaced)]


def _branch(parent: TrialRecord | None, step: int | None) -> Branch | None:
    """Return the parent's last checkpoint; of an ended parent, the last one up to `step`."""
    if parent is None:
        return None
    steps = [c.step for c in parent.checkpoints]
    if parent.state.is_finished:
        steps = [s for s in steps if step is not None and s <= step]
    return Branch(parent.number, steps[-1]) if steps else None


def _loss(view: StudyView, trial: TrialRecord) -> float:
    value = trial.checkpoints[-1].value
    return np.inf if value is None else view.objectives[0].loss(value)
