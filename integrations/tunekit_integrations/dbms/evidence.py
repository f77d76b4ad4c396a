"""What a tuning run leaves in its study: all that its report tells, as plain JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tunekit_integrations.dbms.blocks import Block, per_unit, percentile
from tunekit_integrations.dbms.candidates import (
    is_of_the_planner,
    settings_text,
    shown_value,
    touches_recovery,
)
from tunekit_integrations.dbms.catalogue import UNITS, Catalogue
from tunekit_integrations.dbms.finalists import Judged
from tunekit_integrations.dbms.latencies import PERCENTILES
from tunekit_integrations.dbms.protocol import Protocol, Recheck
from tunekit_integrations.dbms.records import ApplyMode, InForce, Measurement, Settings
from tunekit_integrations.dbms.target import KnobTarget, Workload
from tunekit_integrations.dbms.verdict import interval

VERSION = 1


@dataclass(frozen=True, slots=True)
class RunFindings:
    """What a run found; `told` writes it."""

    target: KnobTarget
    workload: Workload
    protocol: Protocol
    judged: Sequence[Judged]
    left_out: Mapping[str, str]
    opened: tuple[str, ...]


def told(found: RunFindings) -> dict[str, Any]:
    """Return the evidence of a run."""
    instance, calibration = found.target.instance, found.protocol.calibration
    accepted = next((j for j in found.judged if j.is_accepted), None)
    in_force = found.protocol.default.in_force
    settings = {} if accepted is None else accepted.settings
    return {
        "version": VERSION,
        "system": instance.system,
        "server_version": ".".join(map(str, instance.version)),
        "is_private": instance.is_private,
        "may_restart": instance.may_restart,
        "machine": {
            "ram_bytes": instance.machine.ram_bytes,
            "cpus": instance.machine.cpus,
            "disk_bytes": instance.machine.disk_bytes,
        },
        "workload": found.workload.name,
        "clients": found.workload.clients,
        "has_twin": found.protocol.candidate is not found.protocol.default,
        "options": found.protocol.options.to_dict(),
        "basis": calibration.basis,
        "rule": calibration.rule,
        "aa": {"gains": list(calibration.gains), "bias": calibration.bias.to_dict()},
        "finalists": [_finalist(j, found.target.catalogue) for j in found.judged],
        "accepted": None if accepted is None else accepted.number,
        "changes": changes_told(settings, found.target.catalogue, in_force, instance.system),
        "warnings": list(found.target.check(settings).warnings) if settings else [],
        "left_out": dict(found.left_out),
        "opened": list(found.opened),
    }


def changes_told(
    settings: Settings, catalogue: Catalogue, in_force: Mapping[str, InForce], system: str
) -> list[dict[str, Any]]:
    """Return each change with its units, reason, risk and what it takes."""
    return [
        {
            "knob": name,
            "unit": catalogue.knobs[name].unit,
            "before": in_force[name].value,
            "after": value,
            "before_text": shown_value(catalogue.knobs[name], in_force[name].value),
            "after_text": shown_value(catalogue.knobs[name], value),
            "why": catalogue.knobs[name].why,
            "restart": in_force[name].mode is ApplyMode.RESTART,
            "risk": risk_of(name, catalogue, system),
            "loss": catalogue.knobs[name].loss,
        }
        for name, value in settings.items()
    ]


def risk_of(name: str, catalogue: Catalogue, system: str) -> str:
    """Return the class of risk of a knob: durability, recovery, memory, plans or low."""
    knob = catalogue.knobs[name]
    if knob.loss:
        return "durability"
    if touches_recovery([name]):
        return "recovery"
    if is_of_the_planner(system, [name]):
        return "plans"
    return "memory" if knob.unit and UNITS[knob.unit] >= 1 and knob.unit[-1] == "B" else "low"


def _finalist(judged: Judged, catalogue: Catalogue) -> dict[str, Any]:
    confirmed = judged.confirmation
    return {
        "number": judged.number,
        "settings": dict(judged.settings),
        "text": settings_text(judged.settings, catalogue),
        "screened": judged.screened,
        "verdict": None if confirmed is None else confirmed.verdict.to_dict(),
        "gains": [] if confirmed is None else list(confirmed.gains),
        "wall": None if confirmed is None else confirmed.wall.to_dict(),
        "failure": dict(judged.failure),
        "recovery_s": None if judged.recovery_s is None else list(judged.recovery_s),
        "measures": [] if confirmed is None else _measures(confirmed),
        "query_gains": {} if confirmed is None else dict(confirmed.query_gains),
    }


def _measures(confirmed: Recheck) -> list[dict[str, Any]]:
    """Return throughput and latency of both sides, with their intervals over rounds."""
    out = [_measure("throughput", "1/s", confirmed, _throughput)]
    for p in PERCENTILES:
        out.append(
            _measure(f"latency p{p}", "s", confirmed, lambda slices, p=p: percentile(slices, p))
        )
    out.append(
        _measure("server CPU per unit", "s", confirmed, lambda slices: per_unit(slices, "cpu"))
    )
    return [m for m in out if m]


def _measure(name: str, unit: str, confirmed: Recheck, read: Any) -> dict[str, Any]:
    sides = {
        "before": [read(_slices(r, "default")) for r in confirmed.rounds],
        "after": [read(_slices(r, "candidate")) for r in confirmed.rounds],
    }
    if any(v is None or v <= 0.0 for values in sides.values() for v in values):
        return {}
    found = {
        side: interval([math.log(v) for v in values]).as_factor().to_dict()
        for side, values in sides.items()
    }
    return {"name": name, "unit": unit, **found}


def _slices(blocks: Sequence[Block], side: str) -> list[Measurement]:
    return [m for b in blocks for m in getattr(b, side)]


def _throughput(slices: Sequence[Measurement]) -> float | None:
    unit = per_unit(slices, "wall")
    return 1.0 / unit if unit else None
