"""Tells whether a worker, or a part of the space, makes trials fail.

The failures of each worker and of each choice are compared with those of all other trials by
Fisher's exact test; the p-values of all comparisons are corrected by Holm's method. A worker gets
its trials by chance, so that any clear difference is its fault. Parts of a space do differ: one
is reported only if at least `MOST` of its trials fail.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

from tunekit.analysis.health.evidence import Evidence
from tunekit.analysis.health.findings import MAX_NUMBERS, Finding, healthy, line, unknown
from tunekit.analysis.health.tails import binomial_low, hypergeometric_tail
from tunekit.noise.paired_tests import holm
from tunekit.records import TrialRecord, TrialState
from tunekit.spaces import Categorical, Scalar

LEVEL = 0.005
MIN_TRIALS = 8
MIN_FAILED = 4
MORE = 0.15
"""Least difference of a worker's share of failures from that of the others."""
MOST = 0.5
"""Least share of failures of a branch."""
EVERYWHERE = 0.25
"""Share of failures, surely exceeded, that is too high for any study."""

UNIT = "share of failed trials"
_BROKEN = frozenset({TrialState.FAILED, TrialState.LOST})
_NO_RESULT = _BROKEN | {TrialState.DIVERGED}
_IGNORED = frozenset({TrialState.CANCELLED})


@dataclass(slots=True)
class _Group:
    """Trials with something in common, and how many of them failed."""

    kind: str
    name: str
    value: Scalar = None
    n: int = 0
    failed: int = 0
    rest: int = 0
    rest_failed: int = 0

    @property
    def rate(self) -> float:
        return self.failed / self.n

    @property
    def p_value(self) -> float:
        """Return the p-value that it fails no more often than the others."""
        n_failed = self.failed + self.rest_failed
        return hypergeometric_tail(self.failed, self.n, n_failed, self.n + self.rest)

    @property
    def rest_rate(self) -> float:
        return self.rest_failed / self.rest if self.rest else 0.0


def check(evidence: Evidence) -> Finding:
    """Return the finding."""
    ended = [t for t in evidence.ended if t.state not in _IGNORED]
    if len(ended) < MIN_TRIALS:
        return unknown(
            "failures", f"it needs {MIN_TRIALS} ended trials, and there are {len(ended)}."
        )
    broken = [t for t in ended if t.state in _BROKEN]
    rate = len(broken) / len(ended)
    groups = [*_workers(ended), *_choices(evidence, ended)]
    tested = [g for g in groups if g.n and g.rest and g.failed >= MIN_FAILED]
    p = holm([g.p_value for g in tested])
    guilty = [g for g, value in zip(tested, p, strict=True) if value < LEVEL and _is_bad(g)]
    if guilty:
        worst = max(guilty, key=lambda g: (g.rate - g.rest_rate, g.n))
        return _finding(evidence, worst, ended)
    if len(broken) >= MIN_FAILED and binomial_low(len(broken), len(ended), 0.99) > EVERYWHERE:
        return _everywhere(evidence, broken, len(ended))
    without = [t for t in ended if t.state in _NO_RESULT]
    if binomial_low(len(without), len(ended), 0.99) > MOST:
        return _everywhere(evidence, without, len(ended))
    return healthy("failures", f"{len(broken)} of {len(ended)} trials failed.", rate, UNIT)


def _is_bad(g: _Group) -> bool:
    if g.kind == "branch":
        return g.rate >= MOST and g.rest_rate < g.rate / 2
    return g.rate - g.rest_rate >= MORE


def _workers(ended: list[TrialRecord]) -> Iterator[_Group]:
    """Yield the workers, and the machines if they ran several of these."""
    total = sum(t.state in _NO_RESULT for t in ended)
    for kind, names in (
        ("worker", [t.worker for t in ended]),
        ("host", [t.worker.partition("/")[0] for t in ended]),
    ):
        groups = _counted(kind, names, [t.state in _NO_RESULT for t in ended])
        if kind == "host" and len(groups) == len(set(t.worker for t in ended)):
            return
        for g in groups.values():
            if g.name:
                g.rest, g.rest_failed = len(ended) - g.n, total - g.failed
                yield g


def _counted(kind: str, names: list[str], failed: list[bool]) -> dict[str, _Group]:
    groups: dict[str, _Group] = {}
    for name, is_failed in zip(names, failed, strict=True):
        if (g := groups.get(name)) is None:
            g = groups[name] = _Group(kind, name)
        g.n += 1
        g.failed += is_failed
    return groups


def _choices(evidence: Evidence, ended: list[TrialRecord]) -> Iterator[_Group]:
    parents = {c.parent for p in evidence.space for c in p.conditions}
    for p in evidence.space:
        if not isinstance(p.domain, Categorical) and p.path not in parents:
            continue
        groups: dict[Hashable, _Group] = {}
        n = n_failed = 0
        for t in ended:
            if t.params is None or p.path not in t.params:
                continue
            value, is_failed = t.params[p.path], t.state in _NO_RESULT
            key = (type(value), value)
            if (g := groups.get(key)) is None:
                g = groups[key] = _Group("branch", p.path, value)
            g.n, g.failed = g.n + 1, g.failed + is_failed
            n, n_failed = n + 1, n_failed + is_failed
        for g in groups.values():
            g.rest, g.rest_failed = n - g.n, n_failed - g.failed
            yield g


def _finding(evidence: Evidence, g: _Group, ended: list[TrialRecord]) -> Finding:
    who = f"{g.name} = {g.value!r}" if g.kind == "branch" else f"{g.kind} {g.name}"
    shown = [t for t in ended if t.state in _NO_RESULT and _belongs(t, g)]
    last = f"; the last one, trial {shown[-1].number}: {shown[-1].end_reason}" if shown else ""
    study = evidence.spec.name
    if g.kind == "branch" and isinstance(evidence.space.by_path[g.name].domain, Categorical):
        advice = f"Take {g.value!r} out of {g.name}, or mend the objective for it."
        value = g.value if isinstance(g.value, str) else json.dumps(g.value)
        command = line("studies", "narrow", study, g.name, "--without", value)
        action: dict[str, Any] = {"do": "narrow", "path": g.name, "without": g.value}
    elif g.kind == "branch":
        advice = f"Mend the objective for {who}, or narrow {g.name}."
        command, action = line("trials", "show", study, str(shown[-1].number)), {}
    else:
        advice = f"Take the {g.kind} out of service and mend it; then start it again."
        command = line("trials", "show", study, str(shown[-1].number))
        action = {"do": "inspect", "worker": g.name}
    return Finding(
        "failures",
        "sick",
        round(g.rate, 4),
        UNIT,
        f"{g.failed} of {g.n} trials of {who} gave no result, elsewhere {g.rest_failed} of "
        f"{g.rest}{last.rstrip('.')}.",
        advice,
        command,
        tuple([t.number for t in shown[-MAX_NUMBERS:]]),
        (g.name,) if g.kind == "branch" else (),
        action,
    )


def _belongs(t: TrialRecord, g: _Group) -> bool:
    if g.kind == "branch":
        return t.params is not None and g.name in t.params and t.params[g.name] == g.value
    return t.worker == g.name if g.kind == "worker" else t.worker.partition("/")[0] == g.name


def _everywhere(evidence: Evidence, broken: list[TrialRecord], n: int) -> Finding:
    last = broken[-1]
    return Finding(
        "failures",
        "sick",
        round(len(broken) / n, 4),
        UNIT,
        f"{len(broken)} of {n} trials gave no result, whatever their worker and branch; the last "
        f"one, trial {last.number}: {last.end_reason.rstrip('.')}.",
        "Read the last of them and mend its cause.",
        line("trials", "show", evidence.spec.name, str(last.number)),
        tuple([t.number for t in broken[-MAX_NUMBERS:]]),
    )
