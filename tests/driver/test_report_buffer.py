"""Reports reach the storage soon, however many other trials come and go."""

from types import SimpleNamespace

import pytest

from tunekit.driver import report_buffer
from tunekit.driver.checkpoint_tracker import CheckpointTracker
from tunekit.driver.report_buffer import FLUSH_S, ReportBuffer
from tunekit.records import ObjectiveSpec, Report, StudyRecord, StudySpec, StudyState


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets, in place of the real one."""
    now = [100.0]
    monkeypatch.setattr(report_buffer, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_short_trials_do_not_hold_back_the_reports_of_a_long_one(clock):
    spec = StudySpec("s", (ObjectiveSpec("value"),))
    record = StudyRecord(1, spec, StudyState.ACTIVE, 0, 0, 1, 0.0)
    buffer = ReportBuffer(CheckpointTracker(record, None))
    buffer.start_lease(0, 1)
    written = 0
    for k in range(1, 45):  # each 1/8 s a trial begins and ends, and the long one reports
        clock[0] += 0.125
        buffer.start_lease(k, 1)
        buffer.note_report(k, Report(0, {"value": 1.0}))
        if buffer.note_report(0, Report(k, {"value": 1.0})) or buffer.is_due:
            written += any(op.number == 0 for op in buffer.take_operations())
        buffer.end_lease(k)
    assert written == 44 * 0.125 / FLUSH_S == 11
