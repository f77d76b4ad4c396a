"""Encodes trials as JSON texts in rows, and reads them back fast.

A trial's open-ended parts are JSON texts in plain TEXT columns, in Python's dialect: NaN and
infinities are kept (a database's JSON type refuses them), and all non-ASCII characters are
escaped, so that error texts with a NUL or a lone surrogate can be stored as well.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from sys import intern
from typing import Any

from tunekit.errors import InvalidArgument
from tunekit.records import (
    AUDIT,
    Branch,
    Checkpoint,
    MetricConstraint,
    Metrics,
    ObjectiveSpec,
    Outcome,
    Proposal,
    Report,
    StudySpec,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Params
from tunekit.spaces.domains import plain
from tunekit.storages.base import (
    Changes,
    Event,
    ExchangeRequest,
    Operation,
    Pause,
    Release,
    Reports,
    Saved,
    Start,
    Tell,
)
from tunekit.storages.checks import check_exchange, preempted_reason
from tunekit.storages.stored_shapes import (
    check_spec,
    check_trial,
    damaged,
    is_metrics,
    shaped_as_written,
    whole_numbers,
)

TRIAL_COLUMNS = (
    "number", "seq", "state", "epoch", "worker", "is_partial", "created", "started", "finished",
    "lease_until", "params", "proposal", "outcome", "user_attrs", "checkpoints", "branch",
)  # fmt: skip
"""Columns of a trial that `trial_records` reads, in order."""

STATES = {str(s): s for s in TrialState}
RUNNING = TrialState.RUNNING

_encoder = json.JSONEncoder(separators=(",", ":"), default=plain)


def encode(value: Any, what: str = "attributes") -> str:
    """Return the JSON text of builtin and NumPy scalars, lists and mappings.

    Raises:
        InvalidArgument: it holds anything else.
    """
    try:
        return _encoder.encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(
            f"{what}: {error}, expected plain JSON (numbers, texts, booleans, None, lists, "
            "mappings with text keys); convert it first."
        ) from None


def normal(value: Any, what: str = "attributes") -> Any:
    """Return a copy in the form a database would return."""
    return json.loads(encode(value, what)) if value else value


def decode(text: str) -> Any:
    """Return the value of a stored text.

    Raises:
        StorageError: the text is damaged.
    """
    try:
        return json.loads(text)
    except (ValueError, TypeError, RecursionError) as error:
        raise damaged(f"a stored value is not JSON ({error})") from None


def decoded_mapping(text: str) -> dict[str, Any]:
    """Return the mapping of one stored text.

    Raises:
        StorageError: the text is damaged.
    """
    value = decode(text)
    if not isinstance(value, dict):
        raise damaged(f"a stored value is a {type(value).__name__}, expected a mapping")
    return value


def decode_all(texts: Sequence[str | None]) -> list[Any]:
    """Return the values of many stored texts, parsed at once for speed.

    Raises:
        StorageError: a text is damaged.
    """
    values = decode(f"[{','.join([t or 'null' for t in texts])}]")
    if len(values) != len(texts):
        raise damaged("a stored value is not JSON")
    return list(values)


def checked_exchange(request: ExchangeRequest) -> list[dict[str, Any]] | InvalidArgument:
    """Return the encoded operations of a request, or the reason it is refused."""
    try:
        check_exchange(request)
        return [written(op) for op in request.operations]
    except InvalidArgument as error:
        return error


def written(op: Operation) -> dict[str, Any]:
    """Return the encoded cells of an operation, to keep encoding out of the transaction.

    Raises:
        InvalidArgument: a part of it has no JSON form.
    """
    what = f"trial {op.number}"
    if isinstance(op, Tell | Pause):
        outcome = op.outcome
        return {
            "params": None if outcome.params is None else encode(outcome.params, what),
            "outcome": _outcome_text(outcome, what),
            "user_attrs": encode(outcome.user_attrs, what) if outcome.user_attrs else None,
        }
    if isinstance(op, Start):
        return {
            "params": encode(op.proposal.params, what),
            "proposal": _proposal_text(op, what),
            "branch": branch_text(op.proposal.branch),
        }
    if isinstance(op, Reports):
        # By step: the last report of a step counts, and one upsert may not repeat a row.
        return {"reports": {r.step: _metrics_text(r.metrics, what) for r in op.reports}}
    if isinstance(op, Saved):
        return {"checkpoints": _checkpoints_text(op.checkpoints, what)}
    if isinstance(op, Release):
        data = encode({"reason": op.reason}, what)
        return {"data": data, "outcome": encode({"reason": preempted_reason(op.reason)}, what)}
    return {}


def branch_text(branch: Branch | None) -> str | None:
    """Return the stored form of a branch."""
    return None if branch is None else encode([int(branch.number), int(branch.step)])


def branch_of(stored: Any) -> Branch | None:
    """Return the branch of a stored form."""
    with shaped_as_written("the branch of a trial"):
        return None if stored is None else Branch(*whole_numbers(stored, 2))


def _checkpoints_text(checkpoints: Sequence[Checkpoint], what: str) -> str | None:
    if not checkpoints:
        return None
    return encode([[c.step, c.epoch, c.value] for c in checkpoints], what)


def checkpoints_of(stored: Any) -> tuple[Checkpoint, ...]:
    """Return the checkpoints of a stored form."""
    with shaped_as_written("the checkpoints of a trial"):
        return tuple([_checkpoint(*entry) for entry in stored or ()])


def _checkpoint(step: Any, epoch: Any, value: Any = None) -> Checkpoint:
    whole_numbers([step, epoch], 2)
    return Checkpoint(step, epoch, None if value is None else float(value))


def _proposal_text(op: Start, what: str) -> str:
    p = op.proposal
    optional = {"reason": p.reason, "evidence": p.evidence, "seen": op.seen, "batch": op.batch}
    doc = {"sampler": p.sampler, **_without_empty(optional)}
    if op.space_version != 1:
        doc["space_version"] = op.space_version
    return encode(doc, what)


def _outcome_text(outcome: Outcome, what: str) -> str:
    doc = {
        "metrics": _floats(outcome.metrics, what),
        "reason": outcome.reason,
        "error": outcome.error,
        "domains": outcome.domains,
        "evidence": outcome.evidence,
    }
    return encode(_without_empty(doc), what)


def _without_empty(doc: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in doc.items() if value}


def added_cells(t: TrialRecord) -> dict[str, Any]:
    """Return the cells of a trial that ran elsewhere, without numbers and storage times.

    Its `seen` cursor, checkpoints and branch are left out.

    Raises:
        InvalidArgument: a part of it cannot be written as JSON.
    """
    what = f"trial {t.number}"
    proposal = Proposal(t.params or Params(), t.sampler, t.reason, t.evidence)
    start = Start(t.number, t.epoch, proposal, space_version=t.space_version)
    outcome = Outcome(
        t.state, t.metrics, t.end_reason, t.error, domains=t.domains, evidence=t.stop_evidence
    )
    is_waiting = t.state is TrialState.WAITING
    return {
        "state": str(t.state),
        "epoch": 0 if is_waiting else 1,
        "started_epoch": 0 if is_waiting else 1,
        "worker": t.worker,
        "is_partial": is_waiting and not t.sampler,
        "started": t.started,
        "finished": t.finished,
        "params": None if t.params is None else encode(t.params, what),
        "proposal": _proposal_text(start, what) if t.sampler else None,
        "outcome": None if is_waiting else _outcome_text(outcome, what),
        "user_attrs": encode(t.user_attrs, what) if t.user_attrs else None,
    }


def report_texts(reports: Sequence[Report], what: str) -> dict[int, str]:
    """Return the encoded metrics by step; the last report of a step counts.

    Raises:
        InvalidArgument: one cannot be written as JSON.
    """
    return {r.step: _metrics_text(r.metrics, what) for r in reports}


def _metrics_text(metrics: Metrics, what: str) -> str:
    return encode(_floats(metrics, what), what)


def _floats(metrics: Metrics, what: str) -> dict[str, float]:
    try:
        return {k: float(v) for k, v in metrics.items()}
    except (TypeError, ValueError, AttributeError):
        raise InvalidArgument(
            f"{what}: metrics {metrics!r}, expected a mapping of name to number."
        ) from None


def shared_keys(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy with interned keys, which all trials in memory share."""
    return {intern(k): v for k, v in values.items()}


def trial_records(rows: Sequence[Sequence[Any]]) -> list[TrialRecord]:
    """Return the records of rows with columns `TRIAL_COLUMNS`."""
    if not rows:
        return []
    columns = list(zip(*rows, strict=True))
    params, proposals, outcomes, attrs = (decode_all(c) for c in columns[-6:-2])
    found = []
    for i, row in enumerate(rows):
        with shaped_as_written(f"trial {row[0]}"):
            check_trial(params[i], proposals[i], outcomes[i], attrs[i])
            parts = (proposals[i] or {}, outcomes[i] or {}, attrs[i] or {})
            found.append(_trial_record(row, params[i], *parts))
    return found


def changes_of(rows: Sequence[Sequence[Any]], after: int) -> Changes:
    """Return the changes after a cursor from rows with columns `TRIAL_COLUMNS`, by `seq`."""
    records = trial_records(rows)
    return Changes(tuple(records), records[-1].seq if records else after)


def _trial_record(
    row: Sequence[Any],
    params: dict[str, Any] | None,
    proposal: dict[str, Any],
    outcome: dict[str, Any],
    user_attrs: dict[str, Any],
) -> TrialRecord:
    number, seq, state_text, epoch, worker, partial, created, started, finished, lease, *_ = row
    state = STATES[state_text]
    # Nobody may learn from an enqueued point before it is complete.
    hidden = params is None or (partial and state is RUNNING)
    metrics = outcome.get("metrics")
    return TrialRecord(
        number,
        state,
        seq,
        epoch,
        None if hidden or params is None else Params(shared_keys(params)),
        intern(proposal.get("sampler", "")),
        proposal.get("reason", ""),
        proposal.get("evidence", {}),
        proposal.get("seen", 0),
        tuple(proposal.get("batch", ())),
        shared_keys(metrics) if metrics else {},
        outcome.get("reason", ""),
        outcome.get("error", ""),
        outcome.get("evidence", {}),
        user_attrs,
        outcome.get("domains", {}),
        intern(worker),
        proposal.get("space_version", 1),
        created,
        started,
        finished,
        lease,
        # Few trials have them, so parsing these columns at once would gain nothing.
        () if row[-2] is None else checkpoints_of(decode(row[-2])),
        None if row[-1] is None else branch_of(decode(row[-1])),
    )


def events_of(rows: Sequence[Sequence[Any]]) -> list[Event]:
    """Return the events of rows with seq, kind, number, at and data."""
    data = decode_all([row[4] for row in rows])
    if not all(d is None or isinstance(d, dict) for d in data):
        raise damaged("an event of a study is malformed")
    return [
        Event(seq, kind, number, at, d or {})
        for (seq, kind, number, at, _), d in zip(rows, data, strict=True)
    ]


def reports_by_number(
    rows: Sequence[tuple[int, int, str]],
) -> dict[int, tuple[Report, ...]]:
    """Return reports by trial for rows `(number, step, metrics)` in order."""
    metrics = decode_all([text for _, _, text in rows])
    out: dict[int, list[Report]] = {}
    for (number, step, _), values in zip(rows, metrics, strict=True):
        if not is_metrics(values):
            raise damaged(f"a report of trial {number} is malformed")
        out.setdefault(number, []).append(Report(step, shared_keys(values)))
    return {number: tuple(reports) for number, reports in out.items()}


def spec_text(spec: StudySpec) -> str:
    """Return the stored form of the parts of a spec that never change."""
    doc: dict[str, Any] = {
        "objectives": [[o.metric, o.direction] for o in spec.objectives],
        "constraints": [[c.metric, c.op, c.bound] for c in spec.constraints],
        "seed": spec.seed,
        "sampler": spec.sampler,
        "sampler_options": spec.sampler_options,
        "max_retries": spec.max_retries,
    }
    # Only if present, because readers older than stoppers do not know these keys.
    if spec.stopper:
        doc |= {"stopper": spec.stopper, "stopper_options": spec.stopper_options}
    if spec.audit != AUDIT:
        doc["audit"] = spec.audit
    return encode(doc, f'study "{spec.name}"')


def spec_fields(text: str) -> dict[str, Any]:
    """Return the arguments of `StudySpec` from the text of `spec_text`."""
    doc = decode(text)
    with shaped_as_written("the settings of a study"):
        check_spec(doc)
        objectives = tuple(ObjectiveSpec(*o) for o in doc["objectives"])
        constraints = tuple(MetricConstraint(*c) for c in doc["constraints"])
        return {**doc, "objectives": objectives, "constraints": constraints}
