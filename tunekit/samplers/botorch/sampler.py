"""`botorch`: proposes with BoTorch where NumPy is slow; loads torch before its first model."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from tunekit.checks import check_whole
from tunekit.errors import InvalidArgument, MissingExtra
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView
from tunekit.samplers.bayesian.initial_design import InitialDesign, n_initial
from tunekit.samplers.bayesian.learnable import LearnableTrials

if TYPE_CHECKING:
    from tunekit.samplers.botorch.search import BoTorchSearch

Acquisition: TypeAlias = Literal["auto", "qLogNEI", "qLogNEHVI", "qLogNParEGO"]
Prior: TypeAlias = Literal["dimension", "saas"]

MANY_NUMBERS = 20
"""Number of active numeric parameters from which a stuck model searches in a trust region."""


class BoTorchSampler:
    """Proposes by BoTorch's acquisitions, each evaluated on functions drawn from the processes.

    Exact Gaussian processes over the union of all branches model the objectives, the metric
    constraints, and whether a trial fails. Their hyperparameters are fitted to up to 250 trials;
    a fixed number of functions is drawn from the processes of all trials, so one point costs the
    same whether one trial runs or fifty. Running trials and earlier points of a batch enter the
    acquisition as pending, and a batch is filled point by point. In a space with a fidelity, a
    point is chosen for its improvement at the target fidelity and run at the cheapest one that is
    informative, as `bayesian` does; see `tunekit.samplers.bayesian.fidelity_choice`.

    Args:
        n_start: trials before the model proposes; by default enough to cover the root branches.
        device: of the computations, such as "cuda"; without such a device the CPU computes and
            the log says so.
        acquisition: "auto" takes `qLogNEI` for one objective, `qLogNEHVI` for two to four, and
            `qLogNParEGO` with random weights for more.
        n_draws: functions drawn for each proposal, half as many for hypervolumes of three
            objectives and a quarter for four.
        max_trials: trials that the processes take; with more, the best half of them and an even
            choice of the others. By default 2,000, on a GPU 8,000.
        trust_region: number of active numeric parameters from which a stuck model searches in
            a box around the best trial; `None` for never.
        prior: of the length scales of one objective. "dimension" lets every parameter matter,
            less so the more there are; "saas" lets few of them matter, which predicts better
            where that is so among dozens of numbers, and worse where it is not.

    Raises:
        InvalidArgument: an option lies outside its range.
        MissingExtra: BoTorch is not installed.
    """

    name = "botorch"
    may_end = False

    def __init__(
        self,
        *,
        n_start: int | None = None,
        device: str = "cpu",
        acquisition: Acquisition = "auto",
        n_draws: int = 64,
        max_trials: int | None = None,
        trust_region: int | None = MANY_NUMBERS,
        prior: Prior = "dimension",
    ) -> None:
        for option, given, known in (
            ("acquisition", acquisition, get_args(Acquisition)),
            ("prior", prior, get_args(Prior)),
        ):
            if given not in known:
                raise InvalidArgument(
                    f"botorch: {option}={given!r}, expected one of {', '.join(known)}."
                )
        for name, value, low in (
            ("n_start", n_start, 1),
            ("max_trials", max_trials, 10),
            ("trust_region", trust_region, 1),
        ):
            if value is not None:
                check_whole(value, f"botorch: {name}", low=low)
        check_whole(n_draws, "botorch: n_draws", low=4)
        if not isinstance(device, str):
            raise InvalidArgument(f'botorch: device={device!r}, expected a name such as "cuda".')
        if find_spec("botorch") is None:
            raise MissingExtra("bayesian", 'The sampler "botorch"')
        self.n_start, self.device, self.acquisition = n_start, device, acquisition
        self.n_draws, self.max_trials, self.trust_region = n_draws, max_trials, trust_region
        self.prior = prior
        self._known: LearnableTrials | None = None
        self._search: BoTorchSearch | None = None

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number; each takes the earlier ones as pending.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            InvalidArgument: the acquisition does not suit the number of objectives.
        """
        self._check_objectives(len(view.objectives))
        if self._known is None or self._known.space != view.space:
            self._known = LearnableTrials(view.space)
        n_start = self.n_start or n_initial(view.space)
        learnable = self._known.count(view, enough=max(2, n_start))
        design = InitialDesign(view, n_start, learnable)
        busy = [t.params for t in view.history.pending() if t.params is not None]
        found: list[Proposal] = []
        for number in numbers:
            proposal = design.proposal(number, busy)
            if proposal is None:
                proposal = self._model(view).proposal(view, number, busy)
            found.append(replace(proposal, sampler=self.name))
            busy = [*busy, found[-1].params]
        return found

    def _check_objectives(self, n: int) -> None:
        suits_one = self.acquisition in ("auto", "qLogNEI")
        suits_several = self.acquisition != "qLogNEI"
        if not (suits_one if n == 1 else suits_several):
            raise InvalidArgument(
                f"botorch: acquisition={self.acquisition!r} does not suit {n} "
                f"objective{'s' if n > 1 else ''}; remove the option."
            )

    def _model(self, view: StudyView) -> BoTorchSearch:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch, by GPyTorch's import
            from tunekit.samplers.botorch.search import BoTorchSearch

        if self._search is None or self._search.rows.encoder.space != view.space:
            self._search = BoTorchSearch(
                view.space,
                device=self.device,
                acquisition=self.acquisition,
                n_draws=self.n_draws,
                max_trials=self.max_trials,
                trust_region=self.trust_region,
                prior=self.prior,
            )
        return self._search
