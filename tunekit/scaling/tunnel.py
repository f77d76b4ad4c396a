"""The wind tunnel: a ladder of sizes, tuned once at the smallest and checked on the way up."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tunekit.checkpoints.base import Checkpoints
from tunekit.checks import check_number, check_whole, seconds
from tunekit.driver.run_settings import Ending
from tunekit.errors import InvalidArgument, NoCompleteTrial
from tunekit.executors.trial import Trial
from tunekit.records import TrialState
from tunekit.scaling.branching import (
    SHARE,
    DecayPoint,
    decay_branches,
    decay_points,
    stable_run,
)
from tunekit.scaling.drift import Drift, drift_of
from tunekit.scaling.rung_studies import RungStudies, rung_rules
from tunekit.scaling.rungs import KEY, Rung, rung_of
from tunekit.scaling.stability import StabilityReport, stability_report
from tunekit.scaling.transfer import Carried
from tunekit.scaling.tunnel_plan import TunnelPlan
from tunekit.scaling.tunnel_report import RungRow, TunnelReport
from tunekit.spaces import Scalar
from tunekit.storages.base import Storage
from tunekit.studies.study import Study

FAR = 10.0
"""Ratio of sizes beyond which a prediction is called far."""


@dataclass(frozen=True, slots=True)
class TunnelPrediction:
    """The point that a wind tunnel carries to another size.

    Attributes:
        params: path -> value.
        carried: path -> how it got there, with the intervals of fitted rules.
        ratio: the largest ratio of a size to that of the last rung.
        cautions: what weakens it, in sentences.
    """

    params: Mapping[str, Scalar]
    carried: Mapping[str, Carried]
    ratio: float
    cautions: tuple[str, ...]


class WindTunnel:
    """A ladder of studies, one a size; made by `tunekit.scaling.wind_tunnel`.

    All of it is in the storage: any process may open it by its name and go on.

    Attributes:
        plan: what it does.
        storage: where its studies are.
        checkpoints: place of the trials' checkpoints, if there is one.
    """

    def __init__(
        self, plan: TunnelPlan, storage: Storage, checkpoints: str | Path | Checkpoints | None
    ) -> None:
        self.plan = plan
        self.storage = storage
        self.checkpoints = checkpoints
        self._rungs = RungStudies(plan, storage, checkpoints)

    @property
    def name(self) -> str:
        """Return its name."""
        return self.plan.name

    @property
    def studies(self) -> list[Study]:
        """Return the studies of the rungs that have begun, from small to large."""
        return self._rungs.begun()

    def run(
        self,
        objective: Callable[[Trial], Any],
        *,
        timeout: float | str | None = None,
        **options: Any,
    ) -> Ending:
        """Run the rungs one after the other, from where the tunnel stands.

        A later rung begins at the point that the transfer rules carry up from the one before, and
        looks at its neighbours; it descends from there only where one of them is better.

        Args:
            objective: called with a `Trial`, whose params hold the sizes of its rung as well.
            timeout: for all rungs together, as in `Study.optimize`.
            options: further arguments of `Study.optimize`, such as `workers` and `resources`.

        Returns:
            "done" once every rung has ended; otherwise why the current one ended.

        Raises:
            InvalidArgument: an option that the tunnel sets itself.
            NoCompleteTrial: a rung has ended without a complete trial to carry up.
            Whatever `Study.optimize` raises.
        """
        if own := {"n_trials", "total_trials"} & options.keys():
            raise InvalidArgument(
                f"run({', '.join(sorted(own))}=...): the tunnel has its own numbers of trials; "
                "give n_trials= to wind_tunnel."
            )
        limit_s = seconds(timeout)
        begin = time.monotonic()
        for index, budget in enumerate(self.plan.n_trials):
            study = self._rungs.begin(index)
            left = None if limit_s is None else max(0.0, limit_s - (time.monotonic() - begin))
            ending = study.optimize(objective, total_trials=budget, timeout=left, **options)
            if ending not in ("done", "exhausted"):
                return ending
        return "done"

    def wsd(
        self,
        objective: Callable[[Trial], Any],
        *,
        steps: Sequence[int],
        share: float = SHARE,
        rung: int | None = None,
        **options: Any,
    ) -> list[DecayPoint]:
        """Run the best point of a rung once, stable, and a decay from each of its checkpoints.

        The runs are in a study of their own, `NAME-rungK-wsd`; a further call goes on where it
        was killed, and with more steps or another share only runs what is new.

        Args:
            objective: as in `run`; `schedule_of(trial.user_attrs)` says what a trial is to do.
            steps: where the stable run saves checkpoints, which `keep_every` has to keep.
            share: of all steps that a decay takes, above 0 and below 1.
            rung: its index; by default the last that has a result.
            options: further arguments of `Study.optimize`.

        Returns:
            One point for each decay that is complete, by length.

        Raises:
            InvalidArgument: no such rung, bad steps, or checkpoints that are not kept.
            NoCompleteTrial: the rung has no result, or its stable run failed.
        """
        done = [s for s in self.studies if s.refresh().best is not None]
        index = max(0, len(done) - 1) if rung is None else rung
        check_whole(index, "rung", low=0, high=len(self.plan.rungs) - 1)
        tuned = self._rungs.begin(index)
        # Where there is no result, best_params says why.
        best = self._rungs.certificate(tuned).params or tuned.best_params
        study = self._rungs.decays(index)
        parent = stable_run(study, best, steps=steps)
        study.optimize(objective, total_trials=len(study.trials), **options)
        run = study.trials[parent]
        if run.state is not TrialState.COMPLETE:
            raise NoCompleteTrial(
                f"wsd: the stable run, trial {parent} of study {study.name!r}, is {run.state}: "
                f"{run.end_reason or 'it did not run'}; mend the cause and call it again."
            )
        decay_branches(study, parent, steps=steps, share=share)
        study.optimize(objective, total_trials=len(study.trials), **options)
        return decay_points(study, parent)

    def drift(self) -> list[Drift]:
        """Return the drift of each parameter on each rung but the first, from small to large."""
        out = []
        for study in self.studies[1:]:
            rung = _rung(study)
            rules = rung_rules(study)
            out += drift_of(
                rung,
                study.space,
                certificate=study.certificate(),
                history=study.refresh(),
                carried=study.user_attrs[KEY]["carried"],
                rules=rules,
            )
        return out

    def stability(self, *, tolerance: float | None = None) -> StabilityReport:
        """Return which parameters are stable under their rules, by the rungs that have begun.

        Raises:
            InvalidArgument, NoCompleteTrial: as `stability_report`.
        """
        tolerance = self.plan.stability if tolerance is None else tolerance
        return stability_report(self.studies, tolerance=tolerance)

    def predict(self, **sizes: float) -> TunnelPrediction:
        """Return the point that the rules carry from the rungs that have begun to other sizes.

        Raises:
            InvalidArgument: other sizes than those of the rungs, or no number above 0.
            NoCompleteTrial: no rung has a complete trial.
        """
        names = list(self.plan.rungs[0].sizes)
        if set(sizes) != set(names):
            raise InvalidArgument(
                f"predict: got the sizes {sorted(sizes)}, expected {sorted(names)}, as the rungs "
                "have them."
            )
        for name, value in sizes.items():
            check_number(value, f"predict: {name}", low=0.0, is_open=True)
        done = [s for s in self.studies if s.refresh().best is not None]
        if not done:
            self._rungs.begin(0).best_trial  # noqa: B018 - says why there is none
        last = _rung(done[-1])
        chosen = self.plan.multiplier or names[0]
        m = sizes[chosen] / self.plan.rungs[0].sizes[chosen]
        found = self._rungs.carried(done, sizes, m)
        ratio = max(max(v / last.sizes[n], last.sizes[n] / v) for n, v in sizes.items())
        params = {path: c.value for path, c in found.items()}
        return TunnelPrediction(params, found, ratio, self._cautions(ratio, last))

    def report(self) -> TunnelReport:
        """Return the rungs with their results, and the drift between them."""
        studies = self.studies
        rows = []
        for rung, budget in zip(self.plan.rungs, self.plan.n_trials, strict=True):
            study = studies[rung.index] if rung.index < len(studies) else None
            found = None if study is None else self._rungs.certificate(study)
            rows.append(RungRow.of(rung, found, study, budget))
        return TunnelReport(self.name, tuple(rows), tuple(self.drift()))

    def __repr__(self) -> str:
        return f"WindTunnel({self.name!r}, {len(self.plan.rungs)} rungs, {self.storage.url!r})"

    def _cautions(self, ratio: float, last: Rung) -> tuple[str, ...]:
        out = []
        if ratio > FAR:
            out.append(
                f"the sizes are {ratio:.3g} times those of the last rung that has results "
                f"({dict(last.sizes)}); beyond {FAR:g} times no rung has checked the rules."
            )
        for found in self.drift():
            if found.verdict == "drift" and not self.plan.rule(found.path).is_fitted:
                rule = self.plan.rule(found.path).text
                out.append(f'{found}; the rule "{rule}" does not hold, so fit it: "law".')
            if found.at_edge:
                out.append(f"{found}; widen its range, because the best value may lie beyond.")
        return tuple(dict.fromkeys(out))


def _rung(study: Study) -> Rung:
    found = rung_of(study.user_attrs)
    assert found is not None
    return found
