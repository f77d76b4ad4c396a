"""Measures one proposed configuration: what a trial of a tuning study does."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from tunekit.errors import TrialStopped
from tunekit.executors.trial import Trial
from tunekit_integrations.dbms.blocks import Block, per_unit, percentile, totals
from tunekit_integrations.dbms.candidates import (
    changes_of,
    is_of_the_planner,
    losses,
    restarting,
    settings_text,
)
from tunekit_integrations.dbms.latencies import PERCENTILES
from tunekit_integrations.dbms.protocol import Protocol, Screening
from tunekit_integrations.dbms.records import Applied, FailureKind, Settings, TargetFailure
from tunekit_integrations.dbms.target import KnobTarget, Workload
from tunekit_integrations.dbms.verdict import Basis

OBJECTIVE = "time_ratio"
"""Time of a unit of work as a share of the default's, measured beside it."""
COST = "cost_s"
"""Seconds that a trial takes, or would take were it run, its restarts among them."""
NOTE = "knobs"
"""Attribute of trials and studies that holds what the report tells."""
MAX_LOG = 2000


class TrialFailed(Exception):
    """A configuration has no measurement; the trial's note says why."""


class KnobTrials:
    """The objective of a tuning study.

    Args:
        protocol: calibrated.
        workload: that is run.
    """

    def __init__(self, protocol: Protocol, workload: Workload) -> None:
        self._protocol = protocol
        self._queries = workload.queries()
        self._target = protocol.default.target
        self._in_force = protocol.default.in_force

    def __call__(self, trial: Trial) -> dict[str, float]:
        """Return the measurements of a trial.

        Raises:
            TrialFailed: the configuration, or the server under it, failed.
            TrialStopped: it was cut off, or given up.
            ExecutorFailed: the server does not come back.
        """
        settings = changes_of(trial.params, self._in_force)
        note: dict[str, Any] = {
            **trial.user_attrs.get(NOTE, {}),
            "settings": dict(settings),
            "text": settings_text(settings, self._target.catalogue),
            "restart": restarting(settings, self._in_force),
            "losses": losses(settings, self._target.catalogue),
        }
        try:
            return self._measured(trial, settings, note)
        except (TargetFailure, OSError) as error:
            failure = _as_failure(error)
            note["failure"] = {
                "kind": str(failure.kind),
                "message": failure.message,
                "log": failure.log[-MAX_LOG:],
            }
            self._protocol.recover()
            raise TrialFailed(f"{failure.kind}: {failure.message}") from None
        finally:
            trial.set_user_attr(NOTE, note)

    def _measured(
        self, trial: Trial, settings: Settings, note: dict[str, Any]
    ) -> dict[str, float]:
        if not settings:
            note["skipped"] = "it is what is in force"
            return self._unmeasured()
        checked = self._target.check(settings)
        note["warnings"] = list(checked.warnings)
        if not checked.is_ok:
            raise TargetFailure(FailureKind.INVALID, " ".join(checked.errors))
        began, warmed_s = time.perf_counter(), self._protocol.candidate.warm_s
        applied = self._protocol.candidate.put(settings)
        put_s = time.perf_counter() - began
        note["clamped"] = [[c.knob, c.asked, c.got] for c in applied.clamped]
        if why := self._reason_to_skip(settings, applied):
            note["skipped"] = why
            return self._unmeasured()
        found = self._protocol.screen(settings)
        metrics = _metrics(found, put_s)
        note["measured"] = measured(found.blocks)
        warmed_s = self._protocol.candidate.warm_s - warmed_s
        note["overhead_s"] = round(max(found.overhead_s + put_s - warmed_s, 0.0), 4)
        if found.is_censored or found.is_hopeless:
            cutoff = self._protocol.options.cutoff
            why = (
                f"cut off at {cutoff:g} times the default's time; the truth is slower"
                if found.is_censored
                else f"given up: {found.time_ratio:.3g} times the default's time"
            )
            note["stopped"] = {"censored": found.is_censored, "why": why}
            trial.report(metrics, len(found.blocks))
            raise TrialStopped(why)
        return metrics

    def _reason_to_skip(self, settings: Settings, applied: Applied) -> str:
        """Return why a run would measure the default again, "" if it would not."""
        own = self._in_force
        if applied.effective and all(v == own[k].value for k, v in applied.effective.items()):
            return "the server took none of it: what is in force is as before"
        system = self._target.instance.system
        if not self._queries or not is_of_the_planner(system, settings):
            return ""
        sides = self._protocol
        now = _plans(sides.candidate.target, self._queries)
        sides.default.put({})
        before = _plans(sides.default.target, self._queries)
        if now and now == before:
            return f"it moves planner knobs only, and no plan of {len(now)} queries changed"
        sides.candidate.put(settings)
        return ""

    def _unmeasured(self) -> dict[str, float]:
        """Return what the default measures, at the price of a run, so that no skip is sought."""
        return {OBJECTIVE: 1.0, COST: self._protocol.calibration.trial_s}


def _plans(target: KnobTarget, queries: Mapping[str, str]) -> Mapping[str, str]:
    """Return the plans of queries, none where one of them cannot be explained."""
    try:
        return target.plan_signature(queries)
    except TargetFailure as failure:
        if failure.kind is FailureKind.INVALID:
            return {}
        raise


def measured(blocks: tuple[Block, ...]) -> dict[str, Any]:
    """Return latency and throughput of both sides as plain JSON."""
    return {
        "default": _side([m for b in blocks for m in b.default]),
        "candidate": _side([m for b in blocks for m in b.candidate]),
    }


def _side(slices: list[Any]) -> dict[str, Any]:
    unit = per_unit(slices, "wall")
    return {
        "units_per_s": 1.0 / unit if unit else None,
        "cpu_s_per_unit": per_unit(slices, "cpu"),
        "latency_s": {str(p): v for p in PERCENTILES if (v := percentile(slices, p)) is not None},
        "temp_bytes_per_unit": totals(slices, lambda m: m.temp_bytes),
        "wal_bytes_per_unit": totals(slices, lambda m: m.wal_bytes),
    }


def _metrics(found: Screening, put_s: float) -> dict[str, float]:
    worked = sum(m.seconds for b in found.blocks for m in (*b.default, *b.candidate))
    bases: tuple[Basis, ...] = ("wall", "cpu")
    gains = {
        basis: [g for b in found.blocks if (g := b.gain(basis)) is not None] for basis in bases
    }
    means = {f"{b}_gain": sum(g) / len(g) for b, g in gains.items() if g}
    return {OBJECTIVE: found.time_ratio, COST: worked + found.overhead_s + put_s, **means}


def _as_failure(error: TargetFailure | OSError) -> TargetFailure:
    if isinstance(error, TargetFailure):
        return error
    return TargetFailure(
        FailureKind.LOST_CONNECTION, f"the client failed: {error.strerror or error}."
    )
