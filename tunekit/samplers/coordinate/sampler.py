"""`coordinate`: changes one parameter at a time until no such change is better."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.checks import shown
from tunekit.errors import InvalidArgument, NoPointYet, SpaceExhausted
from tunekit.records import Proposal
from tunekit.samplers.base import StudyView, held, keeping, sample
from tunekit.samplers.coordinate.certificate import one_objective, start_of, surveyed
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.samplers.coordinate.survey import Run, Survey
from tunekit.samplers.random_streams import light_stream
from tunekit.spaces import Params, Scalar, walk


class CoordinateSampler:
    """Changes one parameter at a time around the best point until a certificate holds.

    It holds once every value of every parameter has been tried in the best point and none is
    better; `Study.certificate` shows it, and the study then ends as "exhausted". Near values are
    tried first, and the centre moves as soon as a change is better, so that most changes are
    only run around the last centre. All of a neighbourhood can run in parallel.

    A choice that opens parameters is judged by the best point of its branch: these parameters
    descend on their own, everything else held. With `n_blocks` above 1 the point of each block is
    one of several seeds or folds (`trial.block`); a change counts as better, or worse, only if
    its interval says so, and points in doubt are measured again.

    Args:
        start: the point to begin at, or a part of it; by default the defaults of the space.
        n_points, values, vary, reach, tolerance, n_blocks, alpha: see `CoordinateRules`.

    Raises:
        InvalidArgument: an option lies outside its range.

    Reference: Wen et al., 2025, "Fantastic pretraining optimizers and where to find them",
    section 3 (coordinate descent, phase I).
    """

    name = "coordinate"
    may_end = True

    def __init__(
        self,
        *,
        start: Mapping[str, Scalar] | None = None,
        n_points: int = 5,
        values: Mapping[str, Sequence[Scalar]] | None = None,
        vary: Sequence[str] | None = None,
        reach: int | None = None,
        tolerance: float = 0.0,
        n_blocks: int = 1,
        alpha: float = 0.05,
    ) -> None:
        if start is not None and not isinstance(start, Mapping):
            raise InvalidArgument(
                f"coordinate: start={shown(start)}, expected a mapping of parameter to value."
            )
        self.start: Mapping[str, Scalar] = dict(start or {})
        self.rules = CoordinateRules(
            n_points=n_points,
            values={} if values is None else values,
            vary=None if vary is None else tuple([vary] if isinstance(vary, str) else vary),
            reach=reach,
            tolerance=tolerance,
            n_blocks=n_blocks,
            alpha=alpha,
        )

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number: changes that have not been run.

        Raises:
            InvalidArgument: the study has several objectives, or an option does not fit the space.
            NoPointYet: all changes of the best point run at the moment.
            SpaceExhausted: the certificate holds, or a change cannot be measured.
        """
        one_objective(view.objectives, "coordinate")
        if not numbers:
            return []
        survey, standings = surveyed(view, self.rules, self.start_in(view))
        runs = list({(tuple(r.params.items()), r.block): r for r in _sorted(survey.runs)}.values())
        out = []
        for number in numbers:
            if view.fixed.get(number):
                out.append(self._users(view, number, survey))
                continue
            if not runs:
                raise _ended(view, survey, is_known=standings.state(survey.centre) is None)
            run = _pick(runs, view.seed, number)
            runs.remove(run)
            centre = standings.get(survey.centre)
            out.append(self._proposal(run, None if centre is None else centre.number))
        return out

    def start_in(self, view: StudyView) -> Params:
        """Return the point of the space that the descent begins at.

        Raises:
            InvalidArgument: the given start is not part of a point of the space.
        """
        if not view.space.parameters:  # a program has not asked for any yet
            return Params({}, view.space)
        return start_of(view, self.start)

    def _proposal(self, run: Run, centre: int | None) -> Proposal:
        around = "" if centre is None else f" around trial {centre}"
        evidence: dict[str, Any] = {"centre": centre}
        if run.block:
            evidence["block"] = run.block
        return Proposal(run.params, self.name, f"coordinate: {run.why}{around}", evidence)

    def _users(self, view: StudyView, number: int, survey: Survey) -> Proposal:
        """Return the user's values with those of the best point, or random ones if invalid."""
        fixed = held(view, number)
        centre = dict(survey.centre)
        default = keeping(
            fixed, lambda p, _: centre[p.path] if p.path in centre else p.domain.default_value()
        )
        point = walk(view.space, default)
        if view.space.violated(point):
            point = sample(view.space, light_stream(view.seed, number), fixed)
        return Proposal(point, self.name, "the user's values, with those of the best point")


def _sorted(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.urgency)


def _pick(runs: Sequence[Run], seed: int, number: int) -> Run:
    """Return one of the most urgent runs; trials of neighbouring numbers get different ones."""
    urgent = [run for run in runs if run.urgency == runs[0].urgency]
    return urgent[(number + 2 * seed) % len(urgent)]


def _ended(view: StudyView, survey: Survey, *, is_known: bool) -> SpaceExhausted:
    if view.history.unfinished():  # also what was begun around an earlier best point
        return NoPointYet(
            "coordinate: all changes of the best point have been run or are running; the next one "
            "depends on the results."
        )
    if not is_known:
        return SpaceExhausted(
            "coordinate: neither the point where the descent began nor any change of it has a "
            "result; read why the trials failed, or give another start."
        )
    if survey.is_settled:
        return SpaceExhausted(
            f"coordinate: the certificate holds: all {len(survey.seen)} changes of one parameter "
            "have been run and none is better; see study.certificate()."
        )
    return SpaceExhausted(
        "coordinate: some changes have no result after two attempts, so the certificate does "
        "not hold; see study.certificate()."
    )
