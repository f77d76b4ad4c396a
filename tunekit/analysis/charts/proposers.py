"""The chart of proposers: hits, best results and shares of each sampler, and a model's advice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tunekit.analysis.charts.proposer_records import (
    AdviceRow,
    AdviceText,
    ProposerRecord,
    ProposersChart,
)
from tunekit.analysis.charts.samples import cut, number, spread
from tunekit.analysis.llm_report import ProposerRow, llm_report
from tunekit.history import History
from tunekit.records import ObjectiveSpec, TrialRecord
from tunekit.samplers.llm.past_advice import KEY, HitRates, advices, judged
from tunekit.samplers.llm.turns import allowed_share
from tunekit.spaces import Space

WINDOW = 20
"""Trials over which the share that a model took is averaged."""

MAX_ADVICE = 200
"""Requests in the table, the newest ones."""

MAX_TEXT = 20_000
"""Characters of a prompt and of a reply."""


def proposers_chart(
    history: History,
    space: Space,
    objective: ObjectiveSpec,
    asked: int | None,
    *,
    seq: int,
    most: int,
) -> ProposersChart:
    """Return who proposed the trials of a study, and what came of it.

    Args:
        history: the trials.
        space: their space.
        objective: the first objective.
        asked: number of the trial whose advice is shown with its texts; by default the newest.
        seq: of the study.
        most: points of each line.
    """
    report, given = llm_report(history), advices(history)
    rows = [row for row in report.rows if row.n_trials or row.sampler != KEY or given]
    shares = spread(_shares(history, space) if given else [], most)
    shown = [pair for pair in given if pair[0] == asked] or given[-1:]
    used = _used(history)
    return ProposersChart(
        seq, sum(row.n_trials for row in rows), history.n_finished,
        metric=objective.metric,
        direction=objective.direction,
        proposers=tuple([_proposer(history, objective, row, most) for row in rows]),
        numbers=tuple([n for n, _, _ in shares]),
        allowed=tuple([round(share, 4) for _, share, _ in shares]),
        taken=tuple([round(share, 4) for _, _, share in shares]),
        chance=report.chance,
        n_calls=report.spent.calls,
        n_failed=report.n_calls_failed,
        dollars=report.spent.dollars,
        tokens=report.spent.tokens,
        seconds=report.spent.seconds,
        advice=tuple([_row(n, a, used) for n, a in reversed(given[-MAX_ADVICE:])]),
        text=_text(*shown[0]) if shown else None,
    )  # fmt: skip


def _proposer(
    history: History, objective: ObjectiveSpec, row: ProposerRow, most: int
) -> ProposerRecord:
    steps = _improvements(history, objective, row.sampler)
    kept = spread(steps, most)
    return ProposerRecord(
        row.sampler, row.n_trials, row.hits, number(row.best), row.best_number,
        tuple([n for n, _ in kept]), tuple([number(value) for _, value in kept]),
    )  # fmt: skip


def _improvements(
    history: History, objective: ObjectiveSpec, sampler: str
) -> list[tuple[int, float]]:
    """Return (number, result) of the trials of a sampler that improved its own best."""
    found: list[tuple[int, float]] = []
    if len(history.objectives) > 1:
        return found
    for trial in history.complete():
        value = trial.metrics[objective.metric]
        if trial.sampler != sampler or history.violation(trial):
            continue
        if history.is_at_target(trial) and (
            not found or objective.loss(value) < objective.loss(found[-1][1])
        ):
            found.append((trial.number, value))
    return found


def _shares(history: History, space: Space) -> list[tuple[int, float, float]]:
    """Return (number, share that a model might take, share that it took around it) of trials."""
    llm, classical = [0, 0], [0, 0]
    hits = {t.number: is_hit for t, is_hit in judged(history)}
    recent: list[bool] = []
    found = []
    for trial in history:
        rates = HitRates((llm[0], llm[1]), (classical[0], classical[1]))
        is_llms = trial.sampler == KEY
        recent = [*recent[1 - WINDOW :], is_llms]
        if trial.number > 0:
            taken = sum(recent) / len(recent)
            found.append((trial.number, allowed_share(trial.number, rates, space), taken))
        if trial.number in hits and trial.number > 0 and trial.sampler != "user":
            (llm if is_llms else classical)[0 if hits[trial.number] else 1] += 1
    return found


def _used(history: History) -> dict[int, list[int]]:
    """Return the trials that took points, by the trial with which the advice is stored."""
    used: dict[int, list[int]] = {}
    for trial in history:
        of = _part(trial).get("of")
        if isinstance(of, int):
            used.setdefault(of, []).append(trial.number)
    return used


def _part(trial: TrialRecord) -> Mapping[str, Any]:
    part = trial.evidence.get(KEY)
    return part if isinstance(part, Mapping) else {}


def _row(at: int, advice: Mapping[str, Any], used: Mapping[int, Sequence[int]]) -> AdviceRow:
    problems = advice["problems"]
    return AdviceRow(
        at, len(advice["points"]), advice["tokens"], number(advice["dollars"]),
        advice["seconds"], cut(advice["model"]), cut(advice["rationale"], 300),
        cut(problems[-1], 300) if problems else "", tuple(used.get(at, ())[:20]),
    )  # fmt: skip


def _text(at: int, advice: Mapping[str, Any]) -> AdviceText:
    return AdviceText(
        at, cut(advice["prompt"], MAX_TEXT), cut(advice["reply"], MAX_TEXT),
        cut(advice["rationale"], 2000), tuple([dict(p) for p in advice["points"][:20]]),
        tuple([cut(p, 500) for p in advice["problems"][:20]]),
    )  # fmt: skip
