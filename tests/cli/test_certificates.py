"""What `tunekit studies certificate` prints."""

from __future__ import annotations

import pytest

import tunekit as tk

SPACE = tk.Space(x=tk.Float(0, 1), kind=["a", "b"])


@pytest.fixture
def descent():
    study = tk.study(
        "c", space=SPACE, sampler="coordinate", storage="sqlite:///tunekit.db", seed=1
    )
    study.optimize(lambda t: (t.params["x"] - 0.3) ** 2 + (t.params["kind"] == "a"), n_trials=5)
    return study


def test_an_open_change_is_named_with_its_verdict(cli, descent):
    lines = cli("studies", "certificate", "c").stdout.splitlines()
    assert lines[0].startswith("no certificate for trial ")
    assert lines[1].split() == ["path", "before", "after", "verdict", "apart", "number"]
    assert len(lines) == 2 + 5
    assert any("not run" in line for line in lines[2:])


def test_a_certificate_that_holds_says_so_in_json_too(cli, answer, descent):
    descent.optimize(lambda t: (t.params["x"] - 0.3) ** 2 + (t.params["kind"] == "a"))
    assert cli("studies", "certificate", "c").stdout.startswith("certified: none of the 5 changes")
    found = answer("studies", "certificate", "c")["certificate"]
    assert (found["holds"], found["params"]) == (True, {"x": 0.25, "kind": "b"})
    assert {c["verdict"] for c in found["changes"]} == {"worse"}


def test_other_rules_are_taken_from_flags_and_a_bad_one_is_refused(cli, answer, descent):
    found = answer("studies", "certificate", "c", "--points", "3", "--reach", "1")["certificate"]
    assert {c["after"] for c in found["changes"]} == {0.0, 0.5, "a"}
    refused = cli("studies", "certificate", "c", "--points", "1")
    assert refused.exit_code == 2
    assert "n_points=1, expected a whole number of 2 or more" in refused.stderr
