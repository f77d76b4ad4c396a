"""Fits the processes of a study and searches for the best points: the heavy half of `botorch`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from botorch.exceptions.warnings import BotorchWarning
from numpy.typing import NDArray

from tunekit.history import History
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, at_target, filled, held, sample
from tunekit.samplers.bayesian.candidates import Candidates
from tunekit.samplers.bayesian.continuing import continuing
from tunekit.samplers.bayesian.fidelity import Fidelity, may_win
from tunekit.samplers.bayesian.fidelity_choice import chosen_or_due
from tunekit.samplers.bayesian.search import SearchSize, first_new
from tunekit.samplers.bayesian.training_data import TrialRows
from tunekit.samplers.bayesian.trust_region import RegionCandidates, TrustRegion, region_of
from tunekit.samplers.botorch.acquisition import AcquisitionScore, acquisition
from tunekit.samplers.botorch.devices import device_of
from tunekit.samplers.botorch.embedding import UnionEmbedding
from tunekit.samplers.botorch.fidelity import FidelityModel, RowProcess
from tunekit.samplers.botorch.fitting import TorchFit, fitted
from tunekit.samplers.botorch.outputs import Output, StudyOutputs, learnt
from tunekit.samplers.botorch.processes import TorchProcess, process_of
from tunekit.samplers.random_streams import stream
from tunekit.samplers.threads import one_thread
from tunekit.spaces import Params, Space
from tunekit.spaces.encode import Encoder
from tunekit_surrogates.hypervolume import reference_point

MAX_TRIALS = {"cpu": 2_000, "cuda": 8_000}
MAX_FRONT = 4
"""Maximum objectives for hypervolumes; with more, each proposal draws random weights."""

N_BASELINE = 24
"""Best trials that a new point has to improve on, in each draw."""

FIRST_FIT, FIT_GROWTH = 40, 1.15
"""Hyperparameters are fitted anew after each trial up to the first number, then when there are
so many times more."""

SIZE = SearchSize(200, 200, moves=((0.1, 10), (0.03, 10)), n_starts=8, n_climbed=4)


class BoTorchSearch:
    """Keeps the rows and processes of a study between proposals; see `BoTorchSampler`."""

    def __init__(
        self,
        space: Space,
        *,
        device: str,
        acquisition: str,
        n_draws: int,
        max_trials: int | None,
        trust_region: int | None,
        prior: str,
    ) -> None:
        self.rows = TrialRows(Encoder(space))
        self._device = device_of(device)
        fidelity = Fidelity.of(self.rows.encoder)
        stretched = () if fidelity is None else fidelity.columns
        self._embedding = UnionEmbedding(self.rows.encoder, self._device, stretched=stretched)
        self._acquisition, self._n_draws = acquisition, n_draws
        self._max_trials = max_trials or MAX_TRIALS[self._device.type]
        self._trust_region, self._prior = trust_region, prior
        self._fits: dict[tuple[bytes, bytes, float], TorchFit] = {}
        self._kept: tuple[History, int, FittedOutputs] | None = None

    def proposal(self, view: StudyView, number: int, busy: Sequence[Params]) -> Proposal:
        """Return the proposal for a trial, with the points in `busy` as pending.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
        """
        if not len(self.rows.encoder):
            return Proposal(filled(view, number), "botorch", "the only point of the space")
        with _quiet(self._device):
            fitted = self._fitted(view)
            if fitted is None:
                fixed, rng = held(view, number), stream(view.seed, number)
                point = sample(view.space, rng, at_target(view.space, fixed))
                return Proposal(point, "botorch", "no trial with a result to learn from")
            return self._best(view, fitted, number, busy)

    def _fitted(self, view: StudyView) -> FittedOutputs | None:
        """Return the processes of the trials so far, which are kept until one of them changes."""
        history = view.history
        if self._kept is not None and self._kept[:2] == (history, history.revision):
            return self._kept[2]
        known = learnt(view, self.rows, max_rows=self._max_trials)
        if not len(known.data.trials):
            return None
        is_sparse = self._prior == "saas" and known.data.losses.shape[1] == 1
        processes = [self._process(output, is_sparse=is_sparse) for output in known.outputs]
        region = None
        if self._trust_region is not None and len(view.objectives) == 1:
            region = region_of(history, known.data, self.rows.encoder, self._trust_region)
        fitted = FittedOutputs(known, processes, region)
        self._kept = history, history.revision, fitted
        return fitted

    def _process(self, output: Output, *, is_sparse: bool) -> TorchProcess:
        """Return the process of an output, exact on all rows."""
        is_sparse &= output.kind == "objective"
        n, start = len(output.x), FIRST_FIT
        if n > start:
            steps = math.floor(math.log(n / start) / math.log(FIT_GROWTH) + 1e-9)
            n = math.floor(start * FIT_GROWTH**steps)
        part = output.first(n)
        key = part.x.tobytes(), part.values.tobytes(), part.reach
        if key not in self._fits:
            if len(self._fits) > 64:
                self._fits.clear()
            rows = self._embedded(part.x)
            self._fits[key] = fitted(rows, *self._of(part), is_sparse=is_sparse)
        return process_of(self._embedded(output.x), self._of(output)[0], self._fits[key])

    def _of(self, output: Output) -> tuple[torch.Tensor, list[int]]:
        return self._embedding.tensor(output.scaled()), output.order.tolist()

    def _embedded(self, x: NDArray[np.float64]) -> torch.Tensor:
        return self._embedding(self._embedding.tensor(x))

    def _best(
        self, view: StudyView, fitted: FittedOutputs, number: int, busy: Sequence[Params]
    ) -> Proposal:
        rng = stream(view.seed, number)
        encoder, data = self.rows.encoder, fitted.learnt.data
        pending = encoder.encode(busy)
        score = self._score(fitted, pending, rng)
        fixed = held(view, number)
        candidates = self._candidates(fitted, at_target(view.space, fixed), rng)
        by_fidelity = self._by_fidelity(fitted)
        good = data.x[fitted.learnt.order] if by_fidelity is None else by_fidelity.good()
        rows, values = SIZE.ranked(score, candidates, good[:N_BASELINE])
        best = first_new(rows, np.concatenate([pending, data.x])) or 0
        row, value, n = rows[best], float(values[best]), len(data.trials)
        choice = None
        if by_fidelity is not None:
            choice = chosen_or_due(by_fidelity, row, pending, score, fixed=fixed or {})
        if choice is not None and choice.n_known:  # in place of what the search found
            value = float(score(choice.row[None])[0])
        evidence: dict[str, Any] = {"acquisition": score.name, "value": round(value, 6)}
        why = f"the largest {score.name}, {value:.3g}, under processes of {n} trials"
        if choice is not None:
            row = choice.row
            evidence, why = choice.explained(evidence, why)
        # A trial below the target fidelity counts neither as success nor as failure of the region.
        if fitted.region is not None and not fixed and may_win(encoder, row[None])[0]:
            evidence.update(fitted.region.evidence(row))
        proposal = Proposal(encoder.decode(row[None])[0], "botorch", why, evidence)
        if data.fidelity is None or fixed:
            return proposal
        return continuing(proposal, data.fidelity, row, data.trials, data.x)

    def _by_fidelity(self, fitted: FittedOutputs) -> FidelityModel | None:
        """Return what chooses the fidelity of a point, `None` where there is none to choose."""
        data = fitted.learnt.data
        if data.fidelity is None:
            return None
        objectives = fitted.processes[: data.losses.shape[1]]
        gps = [RowProcess(process, self._embedding) for process in objectives]
        return FidelityModel(self.rows.encoder, data, gps)

    def _score(
        self, fitted: FittedOutputs, pending: NDArray[np.float64], rng: np.random.Generator
    ) -> AcquisitionScore:
        data = fitted.learnt.data
        m = data.losses.shape[1]
        name = self._acquisition
        if name == "auto":
            name = "qLogNEI" if m == 1 else "qLogNEHVI" if m <= MAX_FRONT else "qLogNParEGO"
        n_draws = max(4, self._n_draws // max(1, m - 1)) if name == "qLogNEHVI" else self._n_draws
        torch.manual_seed(int(rng.integers(2**62)))
        functions = [process.drawn(n_draws) for process in fitted.processes]
        worst = None
        if name == "qLogNEHVI":
            scaled = -np.stack([o.scaled() for o in fitted.learnt.outputs[:m]], axis=1)
            front = scaled[data.feasible] if data.feasible.any() else scaled
            worst = -self._embedding.tensor(reference_point(front))
        if data.fidelity is not None:  # or a batch would run one point at all fidelities
            pending = data.fidelity.raised(pending)
        found = acquisition(
            name,
            functions,
            m,
            baseline=self._embedded(fitted.learnt.incumbents[:N_BASELINE]),
            pending=self._embedded(pending),
            reference=worst,
            weights=self._embedding.tensor(rng.dirichlet(np.ones(m))),
        )
        return AcquisitionScore(name, found, self._embedding)

    def _candidates(
        self, fitted: FittedOutputs, fixed: Params | None, rng: np.random.Generator
    ) -> Candidates:
        region = fitted.region
        if region is None or region.is_open:
            return Candidates(self.rows.encoder, fixed, rng)
        lengths = self._embedding.column_lengths(fitted.processes[0].log_lengths)
        return RegionCandidates(self.rows.encoder, fixed, rng, region=region, lengths=lengths)


class FittedOutputs:
    """The processes of all outputs, and the region to search in."""

    def __init__(
        self,
        learnt: StudyOutputs,
        processes: Sequence[TorchProcess],
        region: TrustRegion | None,
    ) -> None:
        self.learnt, self.processes, self.region = learnt, processes, region


@contextmanager
def _quiet(device: torch.device) -> Iterator[None]:
    """Use one thread, random numbers of our own and no warnings; restore torch's state.

    BoTorch warns, for example, where no trial is feasible yet; users can do nothing about it.
    """
    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        devices = [device] if device.type == "cuda" else []
        with one_thread(), torch.random.fork_rng(devices=devices), warnings.catch_warnings():
            warnings.simplefilter("ignore", BotorchWarning)
            yield
    finally:
        torch.set_num_threads(n_threads)
