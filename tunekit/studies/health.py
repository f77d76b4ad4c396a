"""Checks the health of a study as a reader knows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from tunekit.analysis.health import StudyHealth, study_health
from tunekit.analysis.health.evidence import Steps
from tunekit.driver.study_reader import StudyReader


def health_of(
    reader: StudyReader,
    *,
    max_trials: int | None = None,
    name: str | None = None,
    read_steps: Callable[[], Steps] | None = None,
) -> StudyHealth:
    """Return the findings on a study as it is stored now.

    Args:
        reader: of the study.
        max_trials: budget; by default the one stored with the study.
        name: of the study in the findings; by default its stored name.
        read_steps: gives the steps of the reports by trial; by default read from the storage.
    """
    reader.refresh_space()
    reader.refresh()
    spec = reader.storage.record(reader.record.id).spec  # its attributes may be new
    spec = spec if name is None else replace(spec, name=name)

    def stored() -> Steps:
        found = reader.storage.reports(reader.record.id)
        return {number: [r.step for r in reports] for number, reports in found.items()}

    read = read_steps or stored
    return study_health(reader.history, reader.space, spec, read, max_trials=max_trials)
