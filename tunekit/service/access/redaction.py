"""Removes from a study what must not leave its project.

What is known to hold such things is left out. What a person or an objective chose freely is
searched: paths, URLs, network addresses, and the names of workers and people that are known.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from tunekit.records import StudyRecord, TrialRecord, TrialState
from tunekit.spaces.serialize import space_to_dict
from tunekit.storages.base import Event
from tunekit.storages.http.shared_messages import SharedEvent, SharedStudy, SharedTrial

HIDDEN = "[hidden]"

# Bounded repetitions keep the search linear in the length of the text.
_PRIVATE = r"""
    [A-Za-z][\w+.-]{0,30}://[^\s"'<>]* # URL
    | [\w.+-]{1,64}@[\w.-]+            # mail address, or user and host
    | (?<![\w.])~?/[^\s"'<>:;,()]+     # path
    | \b[A-Za-z]:\\[^\s"'<>;,()]+      # path of Windows
    | \\\\[^\s"'<>;,()]+               # path on a server of Windows
    | \b\d{1,3}(?:\.\d{1,3}){3}\b      # IPv4 address
    | (?<![\w:])(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{1,4}\b  # IPv6 address
"""
_FAILED = frozenset({TrialState.FAILED, TrialState.LOST, TrialState.CANCELLED})
_NOT_SHARED: Mapping[str, Any] = {
    "worker": "", "error": "", "error_size": 0, "attrs": "{}", "last_event": None,
}  # fmt: skip
"""Fields of charts, and what stands in their place."""
_NAMED_BY_PEOPLE = frozenset({"params", "metrics", "branch"})
"""Fields of charts whose own keys somebody chose, so that they mean nothing here."""
_LEAST = 3
"""Characters of a name that is searched for; a shorter one would be found in other words."""


class Redaction:
    """Redacts texts in which some names must not appear.

    Args:
        workers: names of workers, which begin with their host.
        people: names of accounts.
    """

    def __init__(self, workers: Collection[str] = (), people: Collection[str] = ()) -> None:
        hosts = {worker.partition("/")[0] for worker in workers}
        short = {host.partition(".")[0] for host in hosts}
        # A worker's whole name first: a part of it may look like an address.
        parts = [_any_of(workers), _PRIVATE, _any_of({*hosts, *short, *people})]
        self._private = re.compile("|".join(p for p in parts if p), re.VERBOSE | re.IGNORECASE)

    def text(self, text: str) -> str:
        """Return a text without paths, URLs, addresses and names."""
        return self._private.sub(HIDDEN, text)

    def value(self, value: Any) -> Any:
        """Return plain JSON with all texts in it redacted."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(k)): self.value(v) for k, v in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(v) for v in value]
        return value

    def chart(self, value: Any) -> Any:
        """Return the JSON form of a chart without workers, errors, attributes and private texts.

        The reason of a failure quotes the exception of the user's code.
        """
        if isinstance(value, list):
            return [self.chart(v) for v in value]
        if not isinstance(value, Mapping):
            return self.value(value)
        hidden = _NOT_SHARED
        if value.get("state") in _FAILED:
            hidden = {**hidden, "reason": "", "end_reason": ""}
        return {
            self.text(str(k)): hidden[k]
            if k in hidden
            else self.value(v)
            if k in _NAMED_BY_PEOPLE and isinstance(v, Mapping)
            else self.chart(v)
            for k, v in value.items()
        }

    def study(self, record: StudyRecord, *, expires: float) -> SharedStudy:
        """Return a study as a link that expires then shows it."""
        spec = record.spec
        return SharedStudy(
            name=self.text(spec.name),
            objectives=spec.objectives,
            constraints=spec.constraints,
            space=None if spec.space is None else self.value(space_to_dict(spec.space)),
            sampler=spec.sampler,
            stopper=spec.stopper,
            state=record.state,
            seq=record.seq,
            n_trials=record.n_trials,
            created=record.created,
            expires=expires,
        )

    def trial(self, trial: TrialRecord) -> SharedTrial:
        """Return a trial as share links show it."""
        # The reason of a failure quotes the exception of the user's code.
        end_reason = "" if trial.state in _FAILED else self.text(trial.end_reason)
        return SharedTrial(
            number=trial.number,
            seq=trial.seq,
            state=trial.state,
            params=None if trial.params is None else self.value(dict(trial.params)),
            metrics=trial.metrics,
            sampler=trial.sampler,
            reason=self.text(trial.reason),
            end_reason=end_reason,
            space_version=trial.space_version,
            created=trial.created,
            started=trial.started,
            finished=trial.finished,
        )


def _any_of(names: Collection[str]) -> str:
    """Return a pattern for any of some names as a word, empty for none."""
    known = sorted((n for n in names if len(n) >= _LEAST), key=len, reverse=True)
    return rf"(?<!\w)(?:{'|'.join(map(re.escape, known))})(?!\w)" if known else ""


def shared_event(event: Event) -> SharedEvent:
    """Return an event as share links show it."""
    return SharedEvent(event.seq, event.kind, event.number, event.at)
