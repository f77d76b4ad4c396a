"""`tunekit knobs` on a simulated server that keeps its configuration in a file."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from tests.dbms.simulated import Queries, SimulatedTarget
from tunekit_integrations.dbms.cli import targets
from tunekit_integrations.dbms.cli.app import app
from tunekit_integrations.dbms.journal import Journals

ENTRY_POINTS = "[tunekit.knob_targets]\nsimulated = tests.dbms.simulated:open_simulated\n"
OWN = {"work": 8}

Run = Callable[..., Result]


@pytest.fixture
def server(tmp_path: Path) -> SimulatedTarget:
    found = SimulatedTarget(tmp_path / "server", is_private=False, may_restart=False)
    found.configure(OWN)
    return found


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command with its storage, journals and targets in a folder of its own."""
    plugin = tmp_path / "plugin" / "simulated-1.0.dist-info"
    plugin.mkdir(parents=True)
    (plugin / "METADATA").write_text("Metadata-Version: 2.1\nName: simulated\nVersion: 1.0\n")
    (plugin / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(plugin.parent)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("TUNEKIT_URL", f"sqlite:///{tmp_path}/studies.db")
    monkeypatch.setattr(targets, "open_workload", lambda text, clients: Queries())

    def call(*words: str, status: int = 0, given: str = "") -> Result:
        done = CliRunner().invoke(app, words, input=given)
        assert done.exit_code == status, f"{done.output}\n{done.stderr}\n{done.exception!r}"
        return done

    return call


@pytest.fixture
def url(server: SimulatedTarget) -> str:
    return server.url


def tuned(run: Run, url: str, *more: str) -> Result:
    words = ["tune", url, "-w", "any", "-n", "8", "--sampler", "random", "--name", "s", *more]
    return run(*words, "--knob", "turbo", "--knob", "work")


def test_tune_reports_and_leaves_the_server_as_it_was(
    run: Run, server: SimulatedTarget, url: str, tmp_path: Path
) -> None:
    done = tuned(run, url, "--html", str(tmp_path / "r.html"))
    assert "times as fast as before" in done.stdout
    assert "turbo" in done.stdout
    assert server.configured == server.running == OWN
    assert "changed knobs" in (tmp_path / "r.html").read_text()
    assert json.loads(run("report", "s", "--json").stdout)["knobs"]["verdict"] == "faster"
    assert "before and after" in run("report", "s").stdout


def test_apply_asks_and_rollback_takes_it_back(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    tuned(run, url)
    run("apply", url, "--study", "s", status=1, given="n\n")
    assert server.running == OWN
    run("apply", url, "--study", "s", given="y\n")
    assert server.running["turbo"] is True
    run("rollback", status=1, given="n\n")
    assert server.running["turbo"] is True
    assert "has its own configuration back" in run("rollback", "--yes").stdout
    assert server.configured == server.running == OWN
    assert "nothing to do" in run("rollback", "--yes").stderr


def test_two_applies_are_taken_back_to_before_the_first(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    run("apply", url, "work=64MB", "--yes")
    run("apply", url, "turbo=on", "--yes")
    run("rollback", "--yes")
    assert server.running == OWN


def test_what_is_applied_is_the_servers_own_for_the_next_run(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    run("apply", url, "turbo=on", "--yes")
    after = server.configured
    done = tuned(run, url)
    assert "No significant gain" in done.stdout
    assert server.configured == server.running == after


def test_rollback_restores_what_a_killed_run_left_without_a_question(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    Journals().write("simulated", url, server.snapshot())
    server.apply({"turbo": True})
    assert "has its own configuration back" in run("rollback").stdout
    assert server.running == OWN


def test_rollback_of_one_target_leaves_the_others_alone(
    run: Run, server: SimulatedTarget, url: str, tmp_path: Path
) -> None:
    other = SimulatedTarget(tmp_path / "other", is_private=False)
    for target in (server, other):
        Journals().write("simulated", target.url, target.snapshot())
        target.apply({"turbo": True})
    run("rollback", url)
    assert server.running == OWN
    assert other.running == {"turbo": True}
    (tmp_path / "same").symlink_to(tmp_path / "other")  # the same server by another address
    run("rollback", f"simulated://{tmp_path}/same", status=0)
    assert [j.url for j in Journals().all()] == [other.url]  # another identity: untouched
    run("rollback", other.url)
    assert other.running == {}


def test_apply_refuses_a_server_that_a_killed_run_left_half_tuned(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    Journals().write("simulated", url, server.snapshot())
    done = run("apply", url, "turbo=on", "--yes", status=2)
    assert "rollback" in done.stderr


def test_check_changes_nothing_and_says_what_would_happen(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    done = run("check", url, "work=8MB", "turbo=on", "buffers=1GB")
    assert "work has this value already" in done.stdout
    assert "goes faster" in done.stdout
    assert server.running == OWN
    refused = run("check", url, "buffers=4GB", status=1)
    assert "error: buffers would take 4096 MB of 3000 MB" in refused.stdout
    shown = json.loads(run("check", url, "buffers=1GB", "--json").stdout)["check"]
    assert shown["needs_restart"] == ["buffers"]
    assert shown["memory_bytes"] == 2**30


def test_apply_refuses_what_check_refuses(run: Run, server: SimulatedTarget, url: str) -> None:
    run("apply", url, "buffers=4GB", "--yes", status=1)
    assert server.running == OWN


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("fsync=off", "not closed"),
        ("nothing=1", "expected a knob"),
        ("work=much", "expected a number of MB"),
        ("random_page_cost=1s", "expected a number."),
        ("turbo=maybe", "expected on or off"),
        ("turbo", "expected KNOB=VALUE"),
    ],
)
def test_a_change_that_cannot_be_is_refused(run: Run, url: str, change: str, why: str) -> None:
    assert why in run("check", url, change, status=2).stderr


def test_a_managed_server_gets_a_file_for_a_person(
    run: Run, server: SimulatedTarget, url: str, tmp_path: Path
) -> None:
    file = tmp_path / "knobs.conf"
    managed = ("--target-option", "is_managed=true")
    run("apply", url, "work=64MB", "turbo=on", *managed, "--file", str(file))
    text = file.read_text()
    assert "work = '64MB'" in text
    assert "# memory of a sort (was 8 MB)" in text
    assert "turbo = on" in text
    assert server.running == OWN
    assert "managed" in run("tune", url, "-w", "any", *managed, status=2).stderr


def test_without_a_command_that_restarts_only_reloads_are_searched(
    run: Run, server: SimulatedTarget, url: str
) -> None:
    tuned(run, url)
    assert (
        "buffers"
        not in run("report", "s", "--json").stdout.split('"rejections"')[0].split('"left_out"')[0]
    )
    run("tune", url, "-w", "any", "-n", "4", "--name", "t", "--knob", "buffers", status=2)
    run(
        "tune", url, "-w", "any", "-n", "4", "--name", "t", "--knob", "buffers",
        "--restart", "systemctl restart it", "--sampler", "random",
    )  # fmt: skip
    assert server.configured == OWN


def test_a_failure_of_the_server_is_told_with_its_kind_and_log(
    run: Run, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tunekit_integrations.dbms.records import FailureKind, TargetFailure

    def broken(*_: object, **__: object) -> None:
        raise TargetFailure(FailureKind.NO_START, "it does not start.", log="FATAL: no space")

    monkeypatch.setattr(SimulatedTarget, "check", broken)
    done = run("check", url, "turbo=on", status=1)
    assert "no_start: it does not start." in done.stderr
    assert "FATAL: no space" in done.stderr


def test_a_study_that_accepted_nothing_cannot_be_applied(run: Run, url: str) -> None:
    words = ["tune", url, "-w", "any", "-n", "3", "--name", "n", "--sampler", "random"]
    run(*words, "--knob", "random_page_cost")
    assert "has accepted nothing" in run("apply", url, "--study", "n", status=2).stderr


def test_targets_are_named_by_url_dsn_or_name() -> None:
    assert targets.kind_of("postgresql://a@b/c") == "postgresql"
    assert targets.kind_of("postgres://a@b/c") == "postgresql"
    assert targets.kind_of("host=b dbname=c") == "postgresql"
    assert targets.kind_of("mariadb") == "mariadb"
    assert targets.kind_of("sqlite:///x.db") == "sqlite"
    assert targets.pairs(["a=1", "b=4e9", "c=x", "d=true"], "-o") == {
        "a": 1, "b": 4e9, "c": "x", "d": True,
    }  # fmt: skip
