"""What an agent may do with the studies of a storage: make, ask, tell and read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.api import load_study, study
from tunekit.cli.agent import requests as r
from tunekit.cli.agent.budget import AGENT, Budget
from tunekit.cli.studies import best_rows, study_details, study_row
from tunekit.errors import InvalidArgument, NotAllowed, QuotaReached, UnknownTrial
from tunekit.history import History
from tunekit.records import StudyRecord, StudyState, TrialRecord
from tunekit.spaces.describe import describe
from tunekit.spaces.serialize import FORMAT, space_from_dict
from tunekit.storages.base import Storage
from tunekit.studies.histories import read_history
from tunekit.studies.labels import is_archived
from tunekit.studies.study import Study

MAX_LISTED = 200
"""Studies of one list."""

N_LAST = 10
"""Trials of a description."""

MAX_REASON = 1000
"""Characters of a reason that are kept."""

MAX_REPORTS = 1000
"""Steps of one trial that are kept."""

STOPPERS = ("", "asha", "auto", "fast", "hyperband", "median", "second_look")
"""Stoppers that an agent may choose: those that need no options."""

SAMPLERS = (
    "auto", "bayesian", "cmaes", "coordinate", "evolution", "gp", "grid", "mcts", "nsgaii",
    "nsgaiii", "random", "sobol", "tpe",
)  # fmt: skip
"""Samplers that an agent may choose: those that compute on this machine and cost no money."""


class AgentStudies:
    """The studies of a storage, as far as an agent may use them.

    It reads all of them. It is given trials of those that it has created and of those that the
    person has named, and tells the results of the trials that it holds. It changes and deletes
    nothing else.

    Args:
        storage: database or project.
        budget: what it may use up.
        named: names of other people's studies in which it may work.
    """

    def __init__(self, storage: Storage, budget: Budget, named: Sequence[str] = ()) -> None:
        self.storage = storage
        self.budget = budget
        self.named = frozenset(named)
        self._opened: dict[int, Study] = {}

    def list_studies(self, given: r.NoArguments) -> dict[str, Any]:
        """Return all studies by name, and what is left of the budget."""
        found = [x for x in self.storage.list_studies() if not is_archived(x.spec)]
        rows = [
            {**study_row(x, read_history(self.storage, x)), "may_ask": self._is_ours(x)}
            for x in found[:MAX_LISTED]
        ]
        return {"studies": rows, "not_shown": max(len(found) - MAX_LISTED, 0), **self._left()}

    def describe_study(self, given: r.OneStudy) -> dict[str, Any]:
        """Return the space, goal, progress and last trials of a study."""
        record = self.storage.get_study(given.study)
        history = read_history(self.storage, record)
        details = study_details(record, history)
        del details["run"]  # how its owner starts it
        spaces = self.storage.spaces(record.id)
        space = spaces[max(spaces)] if spaces else record.spec.space
        trials = list(history)
        return {
            **details,
            "space": describe(space) if space is not None else "discovered by its program",
            "last_trials": [_trial(t) for t in trials[-N_LAST:]],
            "yours_running": [_trial(t) for t in history.unfinished() if self.budget.holds(t)],
            "may_ask": self._is_ours(record),
            **self._left(),
        }

    def create_study(self, given: r.CreateStudy) -> dict[str, Any]:
        """Create a study.

        Raises:
            QuotaReached: the agent may create no more.
            InvalidSpace, InvalidArgument: the settings contradict each other.
            StudyExists: the name is taken.
            NotAllowed: the token's role in the project is too low.
        """
        if given.sampler not in SAMPLERS:
            raise InvalidArgument(
                f"sampler {given.sampler[:50]!r}, expected one of {', '.join(SAMPLERS)}."
            )
        if given.stopper not in STOPPERS:
            raise InvalidArgument(
                f"stopper {given.stopper[:50]!r}, expected one of {', '.join(STOPPERS[1:])}, or "
                "leave it out."
            )
        self.budget.check_studies(self._n_created() + 1)
        space = space_from_dict({"format": FORMAT, **given.space})
        made = study(
            given.name,
            space=space,
            objectives=dict(given.objectives),
            constraints=list(given.constraints),
            storage=self.storage,
            sampler=given.sampler,
            stopper=given.stopper or None,
            seed=given.seed,
            attrs={AGENT: self.budget.agent, "max_trials": self.budget.max_trials},
            load_if_exists=False,
        )
        try:  # another server of the same agent may have created one in the meantime
            self.budget.check_studies(self._n_created())
        except QuotaReached:
            self.storage.set_state(made.id, StudyState.CANCELLED)
            raise
        self._opened[made.id] = made
        return {"created": made.name, "space": describe(space), **self._left()}

    def ask(self, given: r.AskArguments) -> dict[str, Any]:
        """Return the next trial of a study; the agent holds it until it tells the result.

        Raises:
            QuotaReached: the agent may have no more trials.
            NotAllowed: the study is somebody else's.
            InvalidParams, UnknownParameter: the given values do not lie in the space.
            SpaceExhausted: there is no further point.
        """
        opened = self._ours(given.study)
        self.budget.check_trials(self._n_given() + 1)
        trial = opened.ask(fixed=given.params)
        # A trial counts from this mark on, and is not given out without it.
        self.storage.set_trial_attrs(opened.id, trial.number, self.budget.mark(trial.epoch))
        try:  # another server of the same agent may have asked in the meantime
            self.budget.check_trials(self._n_given())
        except QuotaReached as spent:
            opened.tell(trial, state="cancelled", reason=spent.message)
            raise
        known = opened.refresh().get(trial.number)
        assert known is not None
        return {
            "trial": trial.number,
            "params": dict(trial.params),
            "sampler": known.sampler,
            "reason": known.reason,
            **self._left(),
        }

    def report(self, given: r.ReportArguments) -> dict[str, Any]:
        """Store what was measured at a step of a trial, and return whether it goes on.

        Raises:
            NotAllowed: the trial is somebody else's.
            UnknownTrial: the study has none of this number.
            LeaseLost: it has ended.
            InvalidArgument, InvalidResult: a step or metric is not numeric, or none is given.
            QuotaReached: the trial has reported at too many steps.
        """
        opened = self._ours(given.study)
        self._check_holds(opened, given.trial)
        if not given.metrics:
            raise InvalidArgument("got no metrics to report; name at least one.")
        steps = {x.step for x in opened.reports(given.trial).get(given.trial, ())}
        if len(steps) >= MAX_REPORTS and given.step not in steps:
            raise QuotaReached(
                f"trial {given.trial} has reported at {MAX_REPORTS} steps, which is all that are "
                "kept; report less often, or tell its result."
            )
        decision = opened.report(given.trial, dict(given.metrics), given.step)
        return {
            "trial": given.trial,
            "decision": decision.action,
            "reason": decision.reason,
            **self._left(),
        }

    def tell(self, given: r.TellArguments) -> dict[str, Any]:
        """Store the result of a trial that the agent holds; results are final.

        Raises:
            NotAllowed: the trial is somebody else's.
            UnknownTrial: the study has none of this number.
            InvalidResult: a metric is missing or no number.
            TrialConflict: it has ended with another result.
        """
        opened = self._ours(given.study)
        self._check_holds(opened, given.trial)
        told = opened.tell(
            given.trial,
            dict(given.metrics) or None,
            state=None if given.state == "complete" else given.state,
            reason=given.reason[:MAX_REASON],
        )
        best = opened.history.best
        return {
            **_trial(told),
            "best_trial": None if best is None else best.number,
            **self._left(),
        }

    def best(self, given: r.OneStudy) -> dict[str, Any]:
        """Return the best trial, or the Pareto front of several objectives.

        Raises:
            NoCompleteTrial: no trial is complete and keeps the constraints yet.
        """
        record = self.storage.get_study(given.study)
        return {"best": best_rows(record, read_history(self.storage, record))}

    def health(self, given: r.OneStudy) -> dict[str, Any]:
        """Return what goes wrong in a study, each with one thing to do."""
        opened = load_study(given.study, storage=self.storage, sampler="random", stopper=[])
        return opened.health().to_dict()

    def _check_holds(self, opened: Study, number: int) -> None:
        known = opened.refresh().get(number)
        if known is None:
            raise UnknownTrial(
                f"study {opened.name!r} has no trial {number}; give the number that ask gave."
            )
        if not self.budget.holds(known):
            raise NotAllowed(
                f"trial {number} was not given to you, or somebody else runs it now; report and "
                "tell only the trials that ask gave you."
            )

    def n_trials_left(self) -> int:
        """Return how many trials the agent may still be given."""
        return max(self.budget.max_trials - self._n_given(), 0)

    def _left(self) -> dict[str, int]:
        """Return what is left of the budget."""
        return {
            "trials_left": self.n_trials_left(),
            "studies_left": max(self.budget.max_studies - self._n_created(), 0),
        }

    def _n_created(self) -> int:
        return sum(self.budget.created(x) for x in self.storage.list_studies())

    def _n_given(self) -> int:
        records = [x for x in self.storage.list_studies() if self._is_ours(x)]
        return self.budget.n_given(self._history(x) for x in records)

    def _history(self, record: StudyRecord) -> History:
        """Return the trials of a study; one that is open reads only what is new."""
        known = self._opened.get(record.id)
        return read_history(self.storage, record) if known is None else known.refresh()

    def _is_ours(self, record: StudyRecord) -> bool:
        return self.budget.created(record) or record.spec.name in self.named

    def _ours(self, name: str) -> Study:
        """Return a study in which the agent may work.

        Raises:
            NotAllowed: it is somebody else's.
        """
        record = self.storage.get_study(name)
        if not self._is_ours(record):
            raise NotAllowed(
                f"study {name!r} is not yours: you may read it, but not run its trials. Create "
                "your own, or ask the person to start this server with --study."
            )
        known = self._opened.get(record.id)
        if known is None or known.name != name:  # a person may have renamed it
            known = self._opened[record.id] = load_study(name, storage=self.storage)
        return known


def _trial(trial: TrialRecord) -> dict[str, Any]:
    params: Mapping[str, Any] = trial.params or {}
    return {
        "number": trial.number,
        "state": str(trial.state),
        "params": dict(params),
        "metrics": dict(trial.metrics),
        "end_reason": trial.end_reason,
    }
