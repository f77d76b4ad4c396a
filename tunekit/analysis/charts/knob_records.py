"""What the report on tuned database knobs shows."""

from __future__ import annotations

from dataclasses import dataclass

from tunekit.analysis.charts.records import Chart


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class KnobMeasure:
    """A quantity with the server's own configuration and with the tuned one.

    Attributes:
        unit: "s" or "1/s".
    """

    name: str
    unit: str
    before: Estimate
    after: Estimate


@dataclass(frozen=True, slots=True)
class KnobChange:
    """One changed knob.

    Attributes:
        before, after: values as a person writes them, with units.
        why: what the knob does.
        needs_restart: whether the change takes a restart.
        risk: durability, recovery, memory, plans or low.
        loss: what can be lost; empty unless the risk is durability.
    """

    knob: str
    before: str
    after: str
    why: str
    needs_restart: bool
    risk: str
    loss: str = ""


@dataclass(frozen=True, slots=True)
class KnobComparison:
    """Fresh comparisons of one configuration with the server's own.

    Attributes:
        name: "default against itself", or the trial.
        factors: speed as a multiple of the default's, one value a comparison.
        estimate: of the factor.
        verdict: in words; empty for the default.
        number: of the trial.
    """

    name: str
    factors: tuple[float, ...]
    estimate: Estimate
    verdict: str = ""
    number: int | None = None


@dataclass(frozen=True, slots=True)
class KnobRejection:
    """A configuration that was not taken.

    Attributes:
        kind: of the failure, or "slower", "stopped", "skipped", "not confirmed".
        factor: speed in its trial as a multiple of the default's, where it was measured.
    """

    number: int
    changes: str
    kind: str
    why: str
    factor: float | None = None


@dataclass(frozen=True, slots=True)
class KnobsChart(Chart):
    """What a study of a server's knobs has found.

    Attributes:
        server: such as "postgresql 15.18".
        workload: that it was measured under.
        verdict: "faster", "no significant gain", or empty while trials run.
        sentence: the verdict with its numbers.
        method: how it was measured and what decided, one sentence each.
        measures: before and after, of the trial that the verdict is about.
        changes: accepted ones.
        comparisons: the default against itself first.
        rejections: of trials, in order.
        warnings: of the accepted changes, one sentence each.
        left_out: knob -> why it was not searched.
        reason: why there is nothing to see; empty where there is.
    """

    server: str = ""
    workload: str = ""
    verdict: str = ""
    sentence: str = ""
    method: tuple[str, ...] = ()
    measures: tuple[KnobMeasure, ...] = ()
    changes: tuple[KnobChange, ...] = ()
    comparisons: tuple[KnobComparison, ...] = ()
    rejections: tuple[KnobRejection, ...] = ()
    warnings: tuple[str, ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    reason: str = ""
