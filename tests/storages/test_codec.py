"""The wire form of records and operations: exact both ways, strict about what comes in."""

from __future__ import annotations

import json
import math
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunekit.errors import InvalidArgument, TunekitError
from tunekit.records import (
    Branch,
    Checkpoint,
    MetricConstraint,
    ObjectiveSpec,
    Outcome,
    Proposal,
    Report,
    StudyRecord,
    StudySpec,
    StudyState,
    TrialRecord,
    TrialState,
)
from tunekit.spaces import Categorical, Float, Int, Params, Space
from tunekit.storages.base import (
    Changes,
    Claim,
    Event,
    Exchange,
    ExchangeRequest,
    Lease,
    Pause,
    Release,
    Renew,
    Reports,
    Saved,
    Start,
    Tell,
)
from tunekit.storages.codec import from_dict, operation_from_dict, to_dict
from tunekit.storages.http.account_messages import LoginRequest
from tunekit.storages.http.messages import ReportQuery

DIRECTIONS = st.sampled_from(["minimize", "maximize"])
names = st.sampled_from(["x", "model.svm.C", "$float", "$map", "ü\0", "n"])
floats = st.floats(allow_nan=True, allow_infinity=True)
scalars = st.one_of(st.booleans(), st.integers(-(2**70), 2**70), floats, st.text(max_size=5))
free = st.recursive(
    st.none() | scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=8,
)
attrs = st.dictionaries(names, free, max_size=3)
metrics = st.dictionaries(names, floats, max_size=3)
params = st.dictionaries(names, scalars, max_size=4).map(Params)
small = st.integers(0, 99)
moments = st.floats(0, 2e9)
several = st.lists(small, max_size=3).map(tuple)
branches = st.builds(Branch, small, small)
checkpoints = st.builds(Checkpoint, small, small, st.none() | floats)
reports = st.builds(Report, st.integers(-(2**63), 2**63 - 1), metrics, st.booleans())
proposals = st.builds(Proposal, params, st.text(max_size=5), st.text(max_size=9), attrs,
                      st.none() | branches)  # fmt: skip
outcomes = st.builds(
    Outcome,
    st.sampled_from(TrialState),
    metrics,
    st.text(max_size=9),
    st.text(max_size=9),
    st.none() | st.dictionaries(names, scalars, max_size=3),
    attrs,
    attrs,
    attrs,
)
operations = st.one_of(
    st.builds(
        Start, small, small, proposals, small, st.lists(small, max_size=3).map(tuple), small
    ),
    st.builds(Reports, small, small, st.lists(reports, max_size=3).map(tuple)),
    st.builds(Renew, small, small),
    st.builds(Saved, small, small, st.lists(checkpoints, max_size=3).map(tuple)),
    st.builds(Release, small, small, st.text(max_size=9), st.booleans()),
    st.builds(Pause, small, small, outcomes),
    st.builds(Tell, small, small, outcomes, st.text(max_size=9)),
)
leases = st.builds(Lease, small, small, st.none() | params, st.booleans(), st.none() | branches)
trials = st.builds(
    TrialRecord,
    number=small,
    state=st.sampled_from(TrialState),
    seq=small,
    epoch=small,
    params=st.none() | params,
    sampler=st.text(max_size=5),
    evidence=attrs,
    batch=st.lists(small, max_size=3).map(tuple),
    metrics=metrics,
    stop_evidence=attrs,
    user_attrs=attrs,
    domains=attrs,
    created=moments,
    started=st.none() | moments,
    lease_until=st.none() | moments,
    checkpoints=st.lists(checkpoints, max_size=2).map(tuple),
    branch=st.none() | branches,
)
states = st.sampled_from(StudyState)
svm = Space(C=Float(1e-3, 1e3, log=True))
space = Space(model=Categorical({"svm": svm, "none": None}), n=Int(1, 8))
specs = st.builds(
    StudySpec,
    st.text(min_size=1, max_size=5),
    st.lists(st.builds(ObjectiveSpec, names, DIRECTIONS), min_size=1).map(tuple),
    st.lists(
        st.builds(MetricConstraint, names, st.sampled_from(["<=", ">="]), st.floats(-9, 9)),
        max_size=2,
    ).map(tuple),
    st.none() | st.just(space),
    sampler_options=attrs,
    attrs=attrs,
    audit=st.floats(0, 1),
)  # fmt: skip
records = st.one_of(
    trials,
    leases,
    proposals,
    outcomes,
    reports,
    st.builds(
        StudyRecord, small, specs, st.sampled_from(StudyState), small, small, small, moments
    ),
    st.builds(Claim, small, st.text(max_size=5), st.none() | small),
    st.builds(Event, small, st.just("told"), st.none() | small, moments, attrs),
    st.builds(Changes, st.lists(trials, max_size=2).map(tuple), small),
    st.builds(
        Exchange,
        st.lists(st.sampled_from(["ok", "lost", "conflict"]), max_size=3).map(tuple),
        st.lists(leases, max_size=2).map(tuple),
        st.sampled_from(StudyState),
        small,
    ),
    st.builds(
        ExchangeRequest,
        st.text(max_size=5),
        st.lists(operations, max_size=2).map(tuple),
        st.none() | st.builds(Claim, small, st.text(max_size=5)),
        st.floats(1, 99),
    ),
)

exact = settings(max_examples=60, deadline=None, derandomize=True)


def _over_the_wire(value: object) -> Any:
    return json.loads(json.dumps(to_dict(value), allow_nan=False))


@exact
@given(records)
def test_every_record_comes_back_as_it_was(record: Any) -> None:
    back = from_dict(type(record), _over_the_wire(record))
    assert repr(back) == repr(record)  # repr tells NaN, 1 and 1.0 apart as == does not


@exact
@given(operations)
def test_every_operation_comes_back_as_it_was(operation: Any) -> None:
    assert repr(operation_from_dict(_over_the_wire(operation))) == repr(operation)


def test_a_field_with_its_default_is_left_out() -> None:
    assert to_dict(Lease(3, 1)) == {"number": 3, "epoch": 1}
    assert to_dict(Renew(3, 1)) == {"operation": "renew", "number": 3, "epoch": 1}


def test_metrics_that_are_not_finite_are_strict_json() -> None:
    report = Report(1, {"a": math.nan, "b": -math.inf})
    assert to_dict(report) == {
        "step": 1,
        "metrics": {"a": {"$float": "nan"}, "b": {"$float": "-inf"}},
    }


@pytest.mark.parametrize(
    ("cls", "doc", "sentence"),
    [
        (Lease, [1, 2], "Lease: got .*expected a mapping"),
        (Lease, {"number": 1}, "field epoch is missing"),
        (Lease, {"number": 1, "epoch": 1, "spook": 2}, "unknown field 'spook'"),
        (Lease, {"number": "1", "epoch": 1}, r"Lease.number: got '1', expected a whole number"),
        (Lease, {"number": True, "epoch": 1}, "expected a whole number"),
        (Lease, {"number": 1, "epoch": 1, "partial": 1}, "expected true or false"),
        (Lease, {"number": 1, "epoch": 1, "params": [1]}, "Lease.params.*expected a mapping"),
        (Lease, {"number": 1, "epoch": 1, "branch": {"number": 1}}, "Branch: the field step"),
        (Report, {"step": 1, "metrics": {"a": "1"}}, r"Report.metrics\['a'\].*a number"),
        (Report, {"step": 1, "metrics": {"$map": [1]}}, "list of pairs"),
        (Outcome, {"state": "finished"}, "expected a known state"),
        (Outcome, {"state": ["failed"]}, "expected a known state"),
        (ObjectiveSpec, {"metric": "a", "direction": "up"}, "'minimize' or 'maximize'"),
        (Changes, {"trials": {"a": 1}, "cursor": 1}, "expected a list"),
        (ExchangeRequest, {"worker": "w", "operations": [{"operation": "drop"}]}, "is one of"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_with_its_place(cls: Any, doc: object, sentence: str) -> None:
    with pytest.raises(InvalidArgument, match=sentence):
        from_dict(cls, doc)


@exact
@given(st.sampled_from([TrialRecord, StudySpec, ExchangeRequest, Event, Outcome]), free)
def test_any_json_is_refused_with_a_sentence_or_read(cls: Any, content: Any) -> None:
    for doc in (content, *({f.name: content} for f in fields(cls))):
        try:
            from_dict(cls, doc)
        except TunekitError as error:
            assert error.message


def test_a_value_that_nests_too_deep_is_refused_both_ways() -> None:
    deep: Any = 1
    for _ in range(100):
        deep = [deep]
    with pytest.raises(InvalidArgument, match="nested deeper than 64"):
        to_dict(Event(1, "told", None, 1.0, {"a": deep}))
    with pytest.raises(InvalidArgument, match="nested deeper than 64"):
        from_dict(Event, {"seq": 1, "kind": "told", "number": 1, "at": 1, "data": {"a": deep}})


def test_what_is_no_json_is_refused_with_its_place() -> None:
    with pytest.raises(InvalidArgument, match=r"Event.data: .*not plain JSON"):
        to_dict(Event(1, "told", None, 1.0, {"a": object()}))


def test_a_whole_number_beyond_64_bits_is_refused_as_the_interface_says() -> None:
    with pytest.raises(InvalidArgument, match="64 bits"):
        from_dict(ReportQuery, {"limit": 2**63})
    assert from_dict(ReportQuery, {"limit": 2**63 - 1}).limit == 2**63 - 1


def test_an_error_about_a_secret_does_not_quote_it() -> None:
    for doc in ({"name": "ann", "password": ["hunter2"]}, ["hunter2"], "hunter2"):
        with pytest.raises(InvalidArgument) as refused:
            from_dict(LoginRequest, doc)
        assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize("value", [{}, [1], {"x": 1}, [[]]])
def test_a_point_with_a_value_that_is_no_scalar_is_refused(value: Any) -> None:
    with pytest.raises(InvalidArgument, match="numbers, texts, true, false or null"):
        from_dict(TrialRecord, {"number": 0, "state": "complete", "params": {"x": value}})
