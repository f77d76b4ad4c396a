"""What `tunekit scaling stability` and `ladder` print."""

from __future__ import annotations

import math

import pytest

import tunekit as tk

SPACE = tk.Space(lr=tk.Float(1e-3, 1.0, log=True, default=1.0), kind=["a", "b"])


def loss(trial):
    p = trial.params
    return 3 + math.log10(p["lr"] * p["width"]) ** 2 + (p["kind"] == "b")


@pytest.fixture
def tunnel():
    found = tk.scaling.wind_tunnel(
        "w",
        space=SPACE,
        rungs=[{"width": w} for w in (1, 10, 100)],
        n_points=4,
        storage="sqlite:///tunekit.db",
        seed=0,
    )
    found.run(loss)
    return found


def test_the_rungs_are_shown_with_what_drifted_and_its_price(cli, answer, tunnel):
    lines = cli("scaling", "ladder", "w").stdout.splitlines()
    assert lines[0] == "wind tunnel w"
    assert lines[1].startswith("rung 0 (width=1): done, ")
    assert lines[3] == "  rung 1: lr 1 -> 0.1, which costs 1 if ignored"
    found = answer("scaling", "ladder", "w")["ladder"]
    assert [r["state"] for r in found["rungs"]] == ["done"] * 3
    assert [d["verdict"] for d in found["drift"]] == ["drift", "none"] * 2


def test_the_parameters_are_shown_with_their_verdicts(cli, answer, tunnel):
    names = [s.name for s in tunnel.studies]
    lines = cli("scaling", "stability", *names).stdout.splitlines()
    assert lines[0].split() == ["path", "verdict", "value", "best", "exponent"]
    assert lines[1].split()[:2] == ["lr", "sensitive"]
    assert lines[2].split()[:3] == ["kind", "stable", "a"]
    found = answer("scaling", "stability", *names, "--tolerance", "0.5")["stability"]
    assert found["tolerance"] == 0.5


def test_what_cannot_be_compared_ends_with_a_sentence(cli, tunnel):
    one = cli("scaling", "stability", "w-rung0")
    assert one.exit_code == 2 and "two or more studies" in one.stderr
    none = cli("scaling", "ladder", "v")
    assert none.exit_code == 3 and "there is no wind tunnel 'v'" in none.stderr
    unknown = cli("scaling", "stability", "w-rung0", "w-rung9")
    assert unknown.exit_code == 3
