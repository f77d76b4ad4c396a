"""Sums up what a language model did for a study: hits, price, share, best result of each side."""

from __future__ import annotations

import math
from dataclasses import dataclass

from tunekit.history import History
from tunekit.samplers.llm.past_advice import KEY, Spent, advices, hit_rates, spent


@dataclass(frozen=True, slots=True)
class ProposerRow:
    """What the proposals of one sampler were worth.

    Attributes:
        sampler: short name; "llm" for the language model.
        n_trials: finished trials with its proposals.
        hits: how many of them improved the best result, after the first trial; `None` with
            several objectives.
        best: its best result, signed as the metric is; `None` without one.
        best_number: of that trial.
    """

    sampler: str
    n_trials: int
    hits: int | None
    best: float | None
    best_number: int | None


@dataclass(frozen=True, slots=True)
class LLMReport:
    """What a language model did for a study.

    Attributes:
        rows: one a sampler, the language model first.
        chance: probability that the model's hit rate is higher than that of all others.
        spent: what its advice has cost.
        n_calls_failed: requests that gave no usable point.
        problems: the newest sentences on what went wrong, at most ten.
        rationales: the newest reasons that the model gave, at most ten; texts from outside.
    """

    rows: tuple[ProposerRow, ...]
    chance: float
    spent: Spent
    n_calls_failed: int
    problems: tuple[str, ...]
    rationales: tuple[str, ...]

    def __str__(self) -> str:
        """Return the report in a few lines."""
        cost = (
            f"${self.spent.dollars:.4f}, {self.spent.tokens:,} tokens, {self.spent.seconds:.1f} s"
        )
        lines = [
            f"{self.spent.calls} requests ({self.n_calls_failed} without a usable point): {cost}",
            f"chance that the language model's hit rate is the higher one: {self.chance:.0%}",
        ]
        for row in self.rows:
            hits = "" if row.hits is None else f", {row.hits} improved the best"
            best = "" if row.best is None else f", best {row.best:.6g} (trial {row.best_number})"
            lines.append(f"{row.sampler}: {row.n_trials} trials{hits}{best}")
        return "\n".join(lines)


def llm_report(history: History) -> LLMReport:
    """Return what a language model did for the trials of a study."""
    given = advices(history)
    rates = hit_rates(history, after=1)
    names = {t.sampler for t in history.finished() if t.sampler} - {KEY}
    reasons = [str(a["rationale"]) for _, a in given if a["rationale"]]
    problems = [str(p) for _, a in given for p in a["problems"]]
    return LLMReport(
        tuple(_row(history, name) for name in [KEY, *sorted(names)]),
        rates.chance,
        spent(given),
        sum(not a["points"] for _, a in given),
        tuple(reversed(problems[-10:])),
        tuple(reversed(reasons[-10:])),
    )


def _row(history: History, name: str) -> ProposerRow:
    trials = [t for t in history.finished() if t.sampler == name]
    if len(history.objectives) != 1:
        return ProposerRow(name, len(trials), None, None, None)
    objective, best, hits, lead = history.objectives[0], None, 0, math.inf
    for trial in sorted(history.complete(), key=lambda t: t.number):
        loss = history.loss_row(trial)[0]
        if history.violation(trial):
            continue
        is_hit, lead = loss < lead, min(lead, loss)
        if trial.sampler != name:
            continue
        hits += is_hit and trial.number > 0
        if best is None or loss < history.loss_row(best)[0]:
            best = trial
    value = None if best is None else best.metrics[objective.metric]
    return ProposerRow(name, len(trials), hits, value, None if best is None else best.number)
