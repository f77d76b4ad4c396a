"""Sums up what a language model did for a study: hits, price, share, best result of each side."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.history import History
from tunekit.records import TrialState
from tunekit.samplers.llm.past_advice import KEY, Spent, advices, hit_rates, judged, spent


@dataclass(frozen=True, slots=True)
class ProposerRow:
    """What the proposals of one sampler were worth.

    Attributes:
        sampler: short name; "llm" for the language model.
        n_trials: finished trials with its proposals.
        hits: how many of them improved the best result, after the first trial; with several
            objectives, how many joined the front.
        best: its best result, signed as the metric is; `None` without one or with several
            objectives.
        best_number: of that trial.
    """

    sampler: str
    n_trials: int
    hits: int
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
            hits = f", {row.hits} improved the best"
            best = "" if row.best is None else f", best {row.best:.6g} (trial {row.best_number})"
            lines.append(f"{row.sampler}: {row.n_trials} trials{hits}{best}")
        if self.problems:
            lines.append(f"the last problem: {self.problems[0]}")
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
    n_trials = sum(t.sampler == name for t in history.finished())
    own = [(t, is_hit) for t, is_hit in judged(history) if t.sampler == name]
    hits = sum(is_hit for t, is_hit in own if t.number > 0)
    if len(history.objectives) != 1:
        return ProposerRow(name, n_trials, hits, None, None)
    results = [t for t, _ in own if t.state is TrialState.COMPLETE and not history.violation(t)]
    best = min(results, key=lambda t: history.loss_row(t)[0], default=None)
    if best is None:
        return ProposerRow(name, n_trials, hits, None, None)
    value = best.metrics[history.objectives[0].metric]
    return ProposerRow(name, n_trials, hits, value, best.number)
