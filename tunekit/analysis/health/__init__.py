"""Health checks: statistical tests of what goes wrong in a study, each with one thing to do."""

from tunekit.analysis.health.checkup import study_health
from tunekit.analysis.health.findings import CHECKS, CheckName, Finding, StudyHealth, Verdict

__all__ = ["CHECKS", "CheckName", "Finding", "StudyHealth", "Verdict", "study_health"]
