"""A coding agent over MCP: it tunes within its budget, whatever it sends."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import tunekit as tk
from tests.cli.agent.sessions import SPACE, run_inside, run_session, team_service
from tunekit.cli.agent.budget import Budget
from tunekit.cli.agent.requests import (
    AskArguments,
    CreateStudy,
    ReportArguments,
    TellArguments,
)
from tunekit.cli.agent.studies import AgentStudies
from tunekit.errors import MissingExtra, NotAllowed, QuotaReached
from tunekit.storages.urls import open_storage

SENTENCE = r"^TK\d{3} .+[.]$"


def test_an_agent_tunes_within_its_budget_on_every_storage(place):
    url, env = place

    async def script(agent):
        tools = (await agent.client.list_tools()).tools
        assert [t.name for t in tools] == [
            "list_studies", "describe_study", "create_study", "ask", "report", "tell", "best",
            "health",
        ]  # fmt: skip
        made = await agent.create()
        assert (made["trials_left"], made["studies_left"]) == (4, 0)
        first = await agent.call("ask", study="mine", params={"lr": 0.1, "optimizer": "adam"})
        assert first["params"] == {"lr": 0.1, "optimizer": "adam"}
        await agent.call("tell", study="mine", trial=first["trial"], metrics={"loss": 0.5})
        for loss in (0.25, None, 0.75):
            trial = (await agent.call("ask", study="mine"))["trial"]
            if loss is None:
                await agent.call(
                    "tell", study="mine", trial=trial, state="failed", reason="out of memory"
                )
            else:
                await agent.call("tell", study="mine", trial=trial, metrics={"loss": loss})
        assert "the budget of 4 trials is used up" in await agent.refused("ask", study="mine")
        assert "the budget of 1 study" in await agent.refused(
            "create_study", name="other", space=SPACE, objectives={"loss": "minimize"}
        )
        health = await agent.call("health", study="mine")
        assert {f["check"] for f in health["findings"]} >= {"failures", "baseline"}
        shown = await agent.call("describe_study", study="mine")
        assert shown["trials"] == {"total": 4, "complete": 3, "failed": 1}
        assert "momentum" in shown["space"] and shown["yours_running"] == []
        return (await agent.call("best", study="mine"))["best"]

    best = run_session(url, "--max-trials", "4", script=script, **env)
    assert [(t["number"], t["metrics"]) for t in best] == [(1, {"loss": 0.25})]


def test_a_restart_does_not_reset_the_budget_and_a_held_trial_can_be_told(tmp_path):
    url = f"sqlite:///{tmp_path}/agent.db"

    async def first(agent):
        await agent.create()
        return (await agent.call("ask", study="mine"))["trial"]

    async def second(agent):
        held = (await agent.call("describe_study", study="mine"))["yours_running"]
        assert [t["number"] for t in held] == [number]
        told = await agent.call("tell", study="mine", trial=number, metrics={"loss": 1.0})
        assert told["state"] == "complete" and told["trials_left"] == 0
        return await agent.refused("ask", study="mine")

    number = run_session(url, "--max-trials", "1", script=first)
    assert "used up" in run_session(url, "--max-trials", "1", script=second)


async def curve(agent, losses):
    """Run a trial that reports these losses; return its number and the last decision."""
    trial = (await agent.call("ask", study="mine"))["trial"]
    for step, loss in enumerate(losses):
        said = await agent.call(
            "report", study="mine", trial=trial, step=step, metrics={"loss": loss}
        )
    return trial, said


def test_a_report_says_whether_a_trial_goes_on_also_after_a_restart(tmp_path):
    url = f"sqlite:///{tmp_path}/agent.db"

    async def first(agent):
        await agent.create(stopper="median", seed=2)
        for k in range(6):
            trial, said = await curve(agent, [1.0, 0.5 + 0.01 * k, 0.3, 0.25])
            assert (said["decision"], said["reason"]) == ("continue", "")
            await agent.call("tell", study="mine", trial=trial, metrics={"loss": 0.25})
        return (await curve(agent, [9.0, 8.5, 8.2]))[0]  # one too few to be judged

    async def second(agent):
        said = await agent.call("report", study="mine", trial=late, step=3, metrics={"loss": 8.0})
        assert said["decision"] == "stop" and "median" in said["reason"]
        assert said["trials_left"] == 1
        told = await agent.call("tell", study="mine", trial=late, state="stopped")
        assert (told["state"], told["metrics"]) == ("stopped", {"loss": 8.0})
        refused = {"step": 4, "metrics": {"loss": 7.0}}
        return [
            await agent.refused("report", study="mine", trial=late, **refused),
            await agent.refused("report", study="mine", trial=99, **refused),
        ]

    flags = ("--max-trials", "8")
    late = run_session(url, *flags, script=first)
    ended, unknown = run_session(url, *flags, script=second)
    assert "is stopped and takes no reports" in ended
    assert "has no trial 99" in unknown


def test_reports_of_one_trial_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("tunekit.cli.agent.studies.MAX_REPORTS", 3)
    (one,) = agents(tmp_path, 1, Budget("a", 9, 1))
    one.create_study(CreateStudy("mine", SPACE, {"loss": "minimize"}, sampler="random", seed=1))
    number = one.ask(AskArguments("mine"))["trial"]
    for step in (0, 1, 2, 2):
        one.report(ReportArguments("mine", number, step, {"loss": 1.0}))
    with pytest.raises(QuotaReached, match="report less often"):
        one.report(ReportArguments("mine", number, 3, {"loss": 1.0}))


def test_other_peoples_studies_can_be_read_but_not_run_unless_they_are_named(tmp_path):
    name, url = "theirs", f"sqlite:///{tmp_path}/agent.db"
    theirs = tk.study(name, space={"x": tk.Float(0.0, 1.0)}, storage=url, sampler="random", seed=1)
    running = theirs.ask()

    async def stranger(agent):
        (row,) = (await agent.call("list_studies"))["studies"]
        assert (row["name"], row["may_ask"]) == (name, False)
        await agent.call("describe_study", study=name)
        step = {"trial": 0, "step": 0, "metrics": {"value": 1.0}}
        for tool, more in (("ask", {}), ("tell", {"trial": 0, "metrics": {"value": 1.0}}),
                           ("report", step)):  # fmt: skip
            assert "is not yours" in await agent.refused(tool, study=name, **more)

    async def guest(agent):
        said = await agent.refused("tell", study=name, trial=0, metrics={"value": -9.0})
        assert "was not given to you" in said
        said = await agent.refused("report", study=name, trial=0, step=0, metrics={"value": -9.0})
        assert "was not given to you" in said
        trial = (await agent.call("ask", study=name))["trial"]
        await agent.call("tell", study=name, trial=trial, metrics={"value": 0.5})
        assert "used up" in await agent.refused("ask", study=name)

    run_inside(AgentStudies(open_storage(url), Budget("agent", 1, 1)), stranger)
    run_inside(AgentStudies(open_storage(url), Budget("agent", 1, 1), [name]), guest)
    theirs.tell(running, 0.25)
    assert theirs.best_value == 0.25
    assert [t.user_attrs.get("agent") for t in theirs.trials] == [None, "agent"]


def test_a_token_of_role_worker_runs_trials_and_creates_nothing(tmp_path, monkeypatch):
    async def script(agent):
        said = await agent.refused(
            "create_study", name="new", space=SPACE, objectives={"loss": "minimize"}
        )
        trial = (await agent.call("ask", study="theirs"))["trial"]
        await agent.call("tell", study="theirs", trial=trial, metrics={"value": 0.5})
        return said, (await agent.call("best", study="theirs"))["best"][0]["metrics"]

    with team_service(tmp_path) as (team, url):
        team.project("p")
        project = open_storage(f"sqlite:///{tmp_path}/team.db?project=p")
        tk.study(
            "theirs", space={"x": tk.Float(0.0, 1.0)}, storage=project, sampler="random", seed=1
        )
        token = team.machine("p", "worker")
        monkeypatch.setenv("TUNEKIT_TOKEN", token)
        storage = open_storage(f"{url}/p")
        said, best = run_inside(AgentStudies(storage, Budget("a", 3, 1), ["theirs"]), script)
        storage.close()
    assert "TK602" in said and "editor" in said and token not in said
    assert best == {"value": 0.5}


HOSTILE = [
    ("ask", {}),
    ("ask", {"study": 7}),
    ("ask", {"study": "no such study"}),
    ("ask", {"study": "mine", "n": 1000}),
    ("ask", {"study": "mine", "params": {"lr": "rm -rf /"}}),
    ("ask", {"study": "mine", "params": {"__class__": "x"}}),
    ("ask", {"study": "mine", "params": {"lr": 1e9}}),
    ("ask", {"study": "mine", "params": [1, 2]}),
    ("tell", {"study": "mine", "trial": -1, "metrics": {"loss": 1.0}}),
    ("tell", {"study": "mine", "trial": 10**30, "metrics": {"loss": 1.0}}),
    ("tell", {"study": "mine", "trial": 0, "metrics": {}}),
    ("tell", {"study": "mine", "trial": 0, "metrics": {"loss": "0.1"}}),
    ("tell", {"study": "mine", "trial": 0, "metrics": {"other": 1.0}}),
    ("tell", {"study": "mine", "trial": 0, "metrics": {"loss": 1.0}, "state": "waiting"}),
    ("report", {"study": "mine", "trial": 0, "step": -1, "metrics": {"loss": 1.0}}),
    ("report", {"study": "mine", "trial": 0, "step": 10**30, "metrics": {"loss": 1.0}}),
    ("report", {"study": "mine", "trial": 0, "step": 0.5, "metrics": {"loss": 1.0}}),
    ("report", {"study": "mine", "trial": 0, "step": 0, "metrics": {}}),
    ("report", {"study": "mine", "trial": 0, "step": 0, "metrics": {"loss": "NaN"}}),
    ("report", {"study": "mine", "trial": 7, "step": 0, "metrics": {"loss": 1.0}}),
    ("create_study", {"name": "b", "space": SPACE, "objectives": {"loss": "minimize"},
                      "stopper": "optuna"}),
    ("create_study", {"name": "mine", "space": SPACE, "objectives": {"loss": "minimize"}}),
    ("create_study", {"name": "", "space": SPACE, "objectives": {"loss": "minimize"}}),
    ("create_study", {"name": "b", "space": {}, "objectives": {}}),
    ("create_study", {"name": "b", "space": SPACE, "objectives": {"loss": "sideways"}}),
    ("create_study", {"name": "b", "space": {"parameters": {"x": {"type": "__import__('os')"}}},
                      "objectives": {"loss": "minimize"}}),
    ("create_study", {"name": "b", "space": {"parameters": {"x": [1, 2]},
                                             "constraints": ["__import__('os').system('id')"]},
                      "objectives": {"loss": "minimize"}}),
    ("create_study", {"name": "b", "space": SPACE, "objectives": {"loss": "minimize"},
                      "sampler": "llm"}),
    ("create_study", {"name": "b", "space": SPACE, "objectives": {"loss": "minimize"},
                      "storage": "sqlite:////etc/passwd"}),
    ("create_study", {"name": "b", "space": {"parameters": {"x": ["v" * 300_000]}},
                      "objectives": {"loss": "minimize"}}),
    ("delete_study", {"study": "mine"}),
    ("best", {"study": "mine\x1b[2J"}),
    ("health", {"study": "../../etc/passwd"}),
]  # fmt: skip


def test_hostile_arguments_are_refused_in_a_sentence_and_change_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/agent.db"

    async def script(agent):
        await agent.create()
        assert (await agent.call("ask", study="mine"))["trial"] == 0
        said = [await agent.refused(tool, **arguments) for tool, arguments in HOSTILE]
        return said, (await agent.call("list_studies"))["trials_left"]

    flags = ("--max-trials", "50", "--max-studies", "9")
    said, left = run_session(url, *flags, script=script)
    assert left == 49
    studies = open_storage(url).list_studies()
    assert [(s.spec.name, s.n_trials, str(s.state)) for s in studies] == [("mine", 1, "active")]
    for text, (tool, arguments) in zip(said, HOSTILE, strict=True):
        assert re.match(SENTENCE, text), (tool, arguments, text)
        assert "Traceback" not in text and "\x1b" not in text and len(text) < 1500


def agents(tmp_path: Path, n: int, budget: Budget) -> list[AgentStudies]:
    url = f"sqlite:///{tmp_path}/agent.db"
    return [AgentStudies(open_storage(url), budget) for _ in range(n)]


def test_two_servers_at_once_never_give_out_more_than_the_budget(tmp_path, monkeypatch):
    one, two = agents(tmp_path, 2, Budget("a", 2, 1))
    one.create_study(CreateStudy("mine", SPACE, {"loss": "minimize"}, sampler="random", seed=1))
    one.ask(AskArguments("mine"))
    mark, given = one.storage.set_trial_attrs, []

    def late(*args):
        given.append(two.ask(AskArguments("mine")))  # between the claim of the other and its mark
        mark(*args)

    monkeypatch.setattr(one.storage, "set_trial_attrs", late)
    with pytest.raises(QuotaReached, match="used up"):
        one.ask(AskArguments("mine"))
    assert len(given) == 1
    states = [str(t.state) for t in tk.load_study("mine", storage=one.storage).trials]
    assert sorted(states) == ["cancelled", "running", "running"]
    with pytest.raises(QuotaReached):
        two.ask(AskArguments("mine"))


def test_a_study_beyond_the_limit_of_two_servers_is_cancelled(tmp_path, monkeypatch):
    one, two = agents(tmp_path, 2, Budget("a", 9, 1))
    create, settings = one.storage.create_study, (SPACE, {"loss": "minimize"})

    def late(*args, **more):
        two.create_study(CreateStudy("first", *settings))
        return create(*args, **more)

    monkeypatch.setattr(one.storage, "create_study", late)
    with pytest.raises(QuotaReached, match="1 study"):
        one.create_study(CreateStudy("second", *settings))
    found = {s.spec.name: str(s.state) for s in two.storage.list_studies()}
    assert found == {"first": "active", "second": "cancelled"}


def test_a_trial_that_another_worker_has_taken_over_cannot_be_told(tmp_path):
    (one,) = agents(tmp_path, 1, Budget("a", 9, 1))
    one.create_study(CreateStudy("mine", SPACE, {"loss": "minimize"}, sampler="random", seed=1))
    number = one.ask(AskArguments("mine"))["trial"]
    record = one.storage.get_study("mine")
    one.storage.expire(record.id, [(number, 1)])
    taken = tk.load_study("mine", storage=one.storage).ask()
    assert taken.number == number
    with pytest.raises(NotAllowed, match="somebody else runs it now"):
        one.tell(TellArguments("mine", number, {"loss": 1.0}))
    with pytest.raises(NotAllowed, match="somebody else runs it now"):
        one.report(ReportArguments("mine", number, 0, {"loss": 1.0}))


def test_without_the_package_the_install_line_is_printed(cli, monkeypatch):
    for name in ("mcp", "mcp_types", "tunekit.cli.agent.server"):
        monkeypatch.setitem(sys.modules, name, None)
    result = cli("mcp", "--max-trials", "1")
    assert result.exit_code == MissingExtra.exit_status
    assert "pip install 'tunekit-hpo[mcp]'" in result.stderr
