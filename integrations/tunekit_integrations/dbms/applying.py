"""Puts settings in force for good, or writes them to a file that a person applies."""

from __future__ import annotations

from datetime import UTC, datetime

from tunekit.errors import InvalidArgument
from tunekit_integrations.dbms.candidates import losses, shown_value
from tunekit_integrations.dbms.journal import Journals
from tunekit_integrations.dbms.records import Applied, Settings, TargetFailure
from tunekit_integrations.dbms.target import KnobTarget


def applied_for_good(
    target: KnobTarget, settings: Settings, kind: str, journals: Journals
) -> Applied:
    """Apply settings and keep a journal that takes them back.

    What waits for a restart is applied too, and told. Of several changes one after another the
    journal keeps the configuration before the first one.

    Raises:
        InvalidArgument: another process tunes the server, or was killed while it did.
        TargetFailure: the server refused the settings; it has its own configuration back.
    """
    snapshot = target.snapshot()
    with journals.held(snapshot.identity):
        if journals.read(snapshot.identity) is not None:
            raise InvalidArgument(
                "a run that tuned this server was killed; run `tunekit knobs rollback` first."
            )
        if journals.read(snapshot.identity, "apply") is None:
            journals.write(kind, target.url, snapshot, purpose="apply")
        try:
            return target.apply(settings)
        except TargetFailure:
            target.revert(snapshot)
            raise


def proposal(target: KnobTarget, settings: Settings) -> str:
    """Return a file with settings for a person, as lines of `name = value` with their reasons."""
    in_force, catalogue = target.in_force(), target.catalogue
    lost = losses(settings, catalogue)
    now = datetime.now(UTC).isoformat(" ", "minutes")
    lines = [f"# {target.instance.system}: proposed by tunekit at {now}", ""]
    for name, value in settings.items():
        knob = catalogue.knobs[name]
        before = shown_value(knob, in_force[name].value)
        restart = ", takes a restart" if in_force[name].mode == "restart" else ""
        lines.append(f"# {knob.why or name} (was {before}{restart})")
        if name in lost:
            lines.append(f"# CAN LOSE DATA: {lost[name]}")
        lines.append(f"{name} = {_written(value, knob.unit)}")
    return "\n".join([*lines, ""])


def _written(value: object, unit: str) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str):
        return f"'{value}'"
    return (
        f"'{value}{unit}'"
        if unit and isinstance(value, int | float) and value >= 0
        else str(value)
    )
