"""Reads what a study of database knobs has found from its attributes and trials."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tunekit.analysis.charts.knob_records import (
    Estimate,
    KnobChange,
    KnobComparison,
    KnobMeasure,
    KnobRejection,
    KnobsChart,
)
from tunekit.history import History
from tunekit.records import TrialRecord, TrialState
from tunekit.shown import counted

NOTE = "knobs"
"""Attribute of such studies, and of their trials."""
MARK = {"tunes": NOTE}
"""Attributes of a study of knobs from its start."""
MAX_REJECTIONS = 200


def has_knobs(attrs: Mapping[str, Any], history: History) -> bool:
    """Return whether a study tunes knobs: it has a result, or its first trials say so."""
    if MARK.items() <= attrs.items() or _result(attrs) is not None:
        return True
    first = next(iter(history), None)
    return first is not None and _note(first) is not None


def has_result(attrs: Mapping[str, Any]) -> bool:
    """Return whether a study of knobs has come to a verdict."""
    return _result(attrs) is not None


def knobs_chart(attrs: Mapping[str, Any], history: History, *, seq: int) -> KnobsChart:
    """Return what a study has found; without a verdict while its trials run.

    Args:
        attrs: of the study.
        history: its trials.
        seq: number of its last event.
    """
    total = len(history)
    found = _result(attrs)
    if not has_knobs(attrs, history):
        return KnobsChart(seq, 0, total, reason="this study tunes no knobs of a database")
    rejected = _rejections(history, found or {})
    n_shown = sum(_note(t) is not None for t in history)
    if found is None:
        return KnobsChart(seq, n_shown, total, rejections=rejected)
    finalists: Sequence[Mapping[str, Any]] = found["finalists"]
    best = _shown_finalist(found)
    return KnobsChart(
        seq,
        n_shown,
        total,
        f"{found['system']} {found['server_version']}",
        found["workload"],
        "no significant gain" if found["accepted"] is None else "faster",
        _sentence(found, best),
        _method(found),
        () if best is None else tuple([_measure(m) for m in best["measures"]]),
        tuple([_change(c) for c in found["changes"]]),
        (_of_default(found["aa"]), *[_comparison(f) for f in finalists if f["verdict"]]),
        rejected,
        tuple([*found["warnings"], *_recovery(best)]),
        tuple(sorted(found["left_out"].items())),
    )


def _result(attrs: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the result of a tuning run; a user may have an attribute of the same name."""
    found = attrs.get(NOTE)
    return found if isinstance(found, Mapping) and "finalists" in found else None


def _note(trial: TrialRecord) -> Mapping[str, Any] | None:
    found = trial.user_attrs.get(NOTE)
    is_ours = isinstance(found, Mapping) and ("settings" in found or "origin" in found)
    return found if is_ours else None


def _shown_finalist(found: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """Return the accepted finalist, else the one that came closest."""
    able = [f for f in found["finalists"] if f["verdict"]]
    accepted = [f for f in able if f["number"] == found["accepted"]]
    return max(accepted or able, key=lambda f: float(f["verdict"]["lower"]), default=None)


def _sentence(found: Mapping[str, Any], best: Mapping[str, Any] | None) -> str:
    if best is None:
        if found["finalists"]:
            return "No significant gain: the best candidates failed when they were measured again."
        return "No significant gain: no candidate was faster than the configuration in force."
    verdict = best["verdict"]
    gain = _estimate(verdict["gain"], is_log=True)
    lower, bound = math.exp(verdict["lower"]), math.exp(verdict["bound"])
    rounds = counted(verdict["n_rounds"], "fresh comparison")
    if found["accepted"] is not None:
        return (
            f"{gain.mean:.2f} times as fast as before ({gain.low:.2f} to {gain.high:.2f}) in "
            f"{rounds}: the lower bound {lower:.3f} beats the {bound:.3f} that the default "
            "reaches against itself."
        )
    return (
        f"No significant gain: the best candidate is {gain.mean:.2f} times as fast "
        f"({gain.low:.2f} to {gain.high:.2f}) in {rounds}; its lower bound {lower:.3f} does not "
        f"beat the {bound:.3f} that the default reaches against itself."
    )


def _method(found: Mapping[str, Any]) -> tuple[str, ...]:
    where = "on two servers side by side" if found["has_twin"] else "in turns on one server"
    across = "a restart" if found["may_restart"] else "new sessions"
    rule = str(found["rule"])
    machine = found["machine"]
    return (
        f"Default and candidate were measured {where}, with {across} before each fresh "
        "comparison.",
        f"{rule[0].upper()}{rule[1:]}.",
        f"The server may use {machine['ram_bytes'] / 2**30:.1f} GB of memory and "
        f"{counted(machine['cpus'], 'processor')}; {counted(found['clients'], 'client')}.",
    )


def _recovery(best: Mapping[str, Any] | None) -> list[str]:
    if best is None or not best["recovery_s"]:
        return []
    before, after = best["recovery_s"]
    return [f"Recovery after a crash in the middle of the work took {after:.2g} s ({before:.2g} s "
            "before)."]  # fmt: skip


def _measure(data: Mapping[str, Any]) -> KnobMeasure:
    return KnobMeasure(
        data["name"], data["unit"], _estimate(data["before"]), _estimate(data["after"])
    )


def _change(data: Mapping[str, Any]) -> KnobChange:
    return KnobChange(
        data["knob"], data["before_text"], data["after_text"], data["why"], data["restart"],
        data["risk"], data["loss"],
    )  # fmt: skip


def _of_default(data: Mapping[str, Any]) -> KnobComparison:
    factors = tuple([math.exp(g) for g in data["gains"]])
    return KnobComparison("default against itself", factors, _estimate(data["bias"], is_log=True))


def _comparison(data: Mapping[str, Any]) -> KnobComparison:
    verdict = data["verdict"]
    return KnobComparison(
        f"trial {data['number']}",
        tuple([math.exp(g) for g in data["gains"]]),
        _estimate(verdict["gain"], is_log=True),
        verdict["verdict"],
        data["number"],
    )


def _estimate(data: Mapping[str, float], *, is_log: bool = False) -> Estimate:
    values = (data["mean"], data["low"], data["high"])
    return Estimate(*(map(math.exp, values) if is_log else values))


def _rejections(history: Iterable[TrialRecord], found: Mapping[str, Any]) -> tuple[
    KnobRejection, ...
]:  # fmt: skip
    finalists = {f["number"]: f for f in found.get("finalists", ())}
    out = []
    for trial in history:
        note = _note(trial)
        is_taken = trial.number == found.get("accepted")
        if not note or is_taken or not trial.state.is_finished or not note.get("settings"):
            continue
        kind, why = _why(trial, note, finalists.get(trial.number), has_verdict=bool(found))
        ratio = trial.metrics.get("time_ratio")
        factor = 1.0 / ratio if ratio and "skipped" not in note else None
        changes = note.get("text") or ", ".join(note["settings"])
        out.append(KnobRejection(trial.number, changes, kind, why, factor))
    return tuple(out[-MAX_REJECTIONS:])


def _why(
    trial: TrialRecord,
    note: Mapping[str, Any],
    finalist: Mapping[str, Any] | None,
    *,
    has_verdict: bool,
) -> tuple[str, str]:
    if failure := note.get("failure"):
        return failure["kind"], failure["message"]
    if skipped := note.get("skipped"):
        return "skipped", skipped
    if trial.state is TrialState.STOPPED:
        return "stopped", note.get("stopped", {}).get("why", trial.end_reason)
    if trial.state is not TrialState.COMPLETE:
        return str(trial.state), trial.end_reason
    if finalist is not None:
        why = finalist["failure"].get("message") or (
            "measured again, its lower bound does not beat what the default gains over itself"
        )
        return "not confirmed", why
    if trial.metrics["time_ratio"] >= 1.0:
        return "slower", "not faster than the configuration in force"
    return "candidate", "faster in its trial, " + (
        "but another one was better" if has_verdict else "not measured again yet"
    )
