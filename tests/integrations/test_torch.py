"""Distributed trials: one gradient, one decision, one end, and no process that is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest

import tunekit as tk
from tests.executors.ray_cluster import running_cluster
from tests.executors.test_ray_follower import serving
from tunekit.errors import InvalidArgument, RankFailed
from tunekit.executors.base import Origin, Task
from tunekit.executors.process.executor import ProcessExecutor
from tunekit.executors.trial import Trial
from tunekit.records import CONTINUE, Decision, ObjectiveSpec, TrialState
from tunekit.spaces import Params
from tunekit.stoppers.threshold import ThresholdStopper
from tunekit.testing.executors import CANCELLED, PATIENCE_S, make_task

torch = pytest.importorskip("torch")

from tunekit_integrations.torch import run_distributed  # noqa: E402 - needs torch

LOSS = (ObjectiveSpec("loss"),)
FOR_EVER = 10**9


def a_trial(send=lambda report: CONTINUE, **task):
    return Trial(Task("distributed", 3, 1, Params(lr=0.1), LOSS, seed=1, **task), send)


def noted(folder: Path, kind: str) -> dict[int, str]:
    """Return what each rank has written into a file of this kind."""
    return {int(f.suffix[1:]): f.read_text() for f in folder.glob(f"{kind}.*")}


def note(folder: Path, kind: str, rank: int, text: object) -> None:
    new = folder / f"new-{kind}.{rank}"
    new.write_text(str(text))
    new.rename(folder / f"{kind}.{rank}")


def report_for_ever(rank, folder, misbehave=lambda rank, step: None):
    note(folder, "pid", rank.rank, os.getpid())
    try:
        for step in range(FOR_EVER):
            misbehave(rank, step)
            rank.report({"loss": 1.0 + rank.rank}, step)
    except tk.TrialStopped as stop:
        note(folder, "left", rank.rank, f"{step} {type(stop).__name__} {stop}")
        raise


def assert_all_are_gone(folder: Path, n: int = 2) -> None:
    pids = [int(text) for text in noted(folder, "pid").values()]
    assert len(pids) == n
    there = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    assert psutil.wait_procs(there, timeout=PATIENCE_S)[1] == []


def test_the_gradient_is_the_mean_over_the_shards_and_the_ranks_stay_equal(tmp_path):
    def train(rank):
        torch.manual_seed(rank.seed)
        net = torch.nn.Linear(4, 1)
        shard = torch.randn(8, 4, generator=torch.Generator().manual_seed(rank.rank))
        (own,) = torch.autograd.grad(net(shard).square().mean(), [net.weight])
        together = torch.nn.parallel.DistributedDataParallel(net)
        optimizer = torch.optim.SGD(net.parameters(), lr=rank.params["lr"])
        for step in range(3):
            optimizer.zero_grad()
            loss = together(shard).square().mean()
            loss.backward()
            if step == 0:
                shared = net.weight.grad.clone()
            optimizer.step()
            rank.report(loss.item(), step)
        kept = {"own": own, "shared": shared, "end": net.weight.detach()}
        torch.save(kept, tmp_path / f"rank.{rank.rank}")
        return {"loss": loss.item(), "ranks": rank.world_size}

    seen = []
    trial = a_trial(lambda report: seen.append(report) or CONTINUE)
    result = run_distributed(trial, train)
    first, second = (torch.load(tmp_path / f"rank.{k}") for k in range(2))
    assert not torch.equal(first["own"], second["own"])
    torch.testing.assert_close(first["shared"], (first["own"] + second["own"]) / 2)
    assert torch.equal(first["shared"], second["shared"])
    assert torch.equal(first["end"], second["end"])
    assert [report.step for report in seen] == [0, 1, 2]
    assert result == {"loss": seen[-1].metrics["loss"], "ranks": 2.0}


@pytest.mark.parametrize("action", ["stop", "pause"])
def test_all_ranks_leave_at_the_step_of_the_decision(tmp_path, action):
    kind = tk.TrialStopped if action == "stop" else tk.TrialPaused

    def send(report):
        assert report.metrics == {"loss": 1.0}, "rank 0's"
        return Decision(action, "too slow") if report.step == 4 else CONTINUE

    with pytest.raises(kind, match="too slow"):
        run_distributed(a_trial(send), lambda rank: report_for_ever(rank, tmp_path))
    said = f"4 {kind.__name__} too slow"
    assert noted(tmp_path, "left") == {0: said, 1: said}
    assert_all_are_gone(tmp_path)


def test_a_rank_that_raises_ends_the_others_and_its_traceback_is_the_cause(tmp_path):
    def fail(rank, step):
        if rank.rank == 1 and step == 2:
            raise ValueError("a bad batch")

    with pytest.raises(ValueError, match="a bad batch") as raised:
        run_distributed(a_trial(), lambda rank: report_for_ever(rank, tmp_path, fail))
    told = str(raised.value.__cause__)
    assert "rank 1 of 2" in told
    assert "in fail" in told
    assert_all_are_gone(tmp_path)


def test_a_rank_that_dies_is_the_cause_and_not_the_one_that_missed_it(tmp_path):
    def die(rank, step):
        if rank.rank == 1 and step == 2:
            os.kill(os.getpid(), signal.SIGKILL)

    with pytest.raises(RankFailed, match=r"rank 1 of 2: .* died with SIGKILL"):
        run_distributed(a_trial(), lambda rank: report_for_ever(rank, tmp_path, die))
    assert_all_are_gone(tmp_path)


def test_a_rank_that_is_too_large_for_its_place_is_the_cause_and_not_who_missed_it():
    def grow(rank):
        torch.distributed.barrier()
        held = b"x" * (700 << 20) if rank.rank == 1 else b""
        while held:
            os.sched_yield()
        torch.distributed.barrier()
        return 1.0

    for ranks in serving(memory_mib=700):
        with pytest.raises(RankFailed, match=r"rank 1 of 2: used .* its memory limit is 700 MiB"):
            run_distributed(a_trial(ranks=ranks), grow)


def test_ranks_that_report_different_steps_are_told_so():
    def train(rank):
        rank.report(1.0, 5 + rank.rank)

    with pytest.raises(InvalidArgument, match=r"rank 0: step 5, .*; rank 1: step 6"):
        run_distributed(a_trial(), train)


def test_a_checkpoint_holds_the_files_of_all_ranks_and_all_go_on_from_it(tmp_path):
    def train(rank):
        first = 0 if rank.resumed_from is None else rank.resumed_from + 1
        if first:
            found = noted(rank.checkpoint_dir, "state")
            note(tmp_path, "found", rank.rank, found)
            torch.distributed.barrier()  # nobody writes before all have read
        for step in range(first, 3):
            note(rank.checkpoint_dir, "state", rank.rank, step)
            rank.report(1.0, step, checkpoint=True)
        return 1.0

    def leave(report):
        assert report.checkpoint
        return Decision("pause", "for now") if report.step == 1 else CONTINUE

    place = str(tmp_path / "kept")
    trial = a_trial(leave, place=place)
    with pytest.raises(tk.TrialPaused):
        run_distributed(trial, train)
    trial.close()
    trial = a_trial(place=place, origin=Origin(1, "3/1-1"), kept=("3/1-1",))
    assert run_distributed(trial, train) == {"loss": 1.0}
    trial.close()
    assert noted(tmp_path, "found") == dict.fromkeys((0, 1), "{0: '1', 1: '1'}")


def test_a_checkpoint_that_cannot_be_kept_ends_all_ranks(tmp_path):
    def train(rank):
        note(tmp_path, "pid", rank.rank, os.getpid())
        rank.report(1.0, 0, checkpoint=True)

    trial = a_trial(place=str(tmp_path / "kept"))
    with pytest.raises(InvalidArgument, match="is empty"):
        run_distributed(trial, train)
    trial.close()
    assert_all_are_gone(tmp_path)


def test_a_trial_that_is_ended_from_outside_takes_its_ranks_along(tmp_path):
    executor = ProcessExecutor()

    def on_report(number, report):
        executor.stop(number, CANCELLED)
        return CONTINUE

    executor.open(
        lambda trial: run_distributed(trial, lambda rank: report_for_ever(rank, tmp_path)),
        on_report,
    )
    try:
        executor.start(make_task(0))
        (ended,) = executor.poll(PATIENCE_S)
    finally:
        executor.close()
    assert ended.outcome is CANCELLED
    assert_all_are_gone(tmp_path)


@pytest.mark.parametrize("executor", ["inline", "process"])
def test_a_driver_that_is_killed_leaves_no_process(tmp_path, executor):
    script = textwrap.dedent(f"""
        from pathlib import Path
        import tunekit as tk
        from tunekit.records import CONTINUE
        from tests.integrations.test_torch import report_for_ever
        from tunekit_integrations.torch import run_distributed

        def objective(trial):
            folder = Path({str(tmp_path)!r})
            return run_distributed(trial, lambda rank: report_for_ever(rank, folder))

        class Tell:
            name = "tell"
            def decide(self, number, view):
                print("reported", flush=True)
                return CONTINUE

        study = tk.study(space={{"lr": tk.Float(0, 1)}}, sampler="random", seed=1, stopper=Tell())
        study.optimize(objective, 1, executor={executor!r})
    """)
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "reported\n"
    driver.kill()
    driver.communicate()
    assert_all_are_gone(tmp_path)


@pytest.mark.ray
def test_a_stopper_ends_all_ranks_in_the_one_worker_of_ray_that_holds_them(tmp_path, monkeypatch):
    def objective(trial):
        return run_distributed(trial, lambda rank: report_for_ever(rank, tmp_path))

    with running_cluster(num_cpus=2) as cluster:
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        study = tk.study(
            space={"lr": tk.Float(0, 1)},
            objectives="loss",
            sampler="random",
            seed=1,
            stopper=ThresholdStopper(bound=0.5, min_reports=4),
            audit=0,
        )
        study.optimize(objective, 1, executor="ray", resources={"cpu": 2})
        assert_all_are_gone(tmp_path)
    (trial,) = study.trials
    assert trial.state is TrialState.STOPPED
    assert trial.metrics == {"loss": 1.0}
    said = f"3 TrialStopped {trial.end_reason}"
    assert noted(tmp_path, "left") == {0: said, 1: said}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"world_size": 0}, "world_size=0, expected a whole number of 1 or more"),
        ({"backend": "carrier pigeon"}, "carrier pigeon"),
    ],
)
def test_an_argument_out_of_range_is_refused_before_anything_starts(options, said):
    with pytest.raises(InvalidArgument, match=said):
        run_distributed(a_trial(), print, **options)


def test_a_function_that_holds_the_trial_is_refused_with_what_to_do():
    trial, lock = a_trial(), threading.Lock()
    with pytest.raises(InvalidArgument, match="take them from its argument"):
        run_distributed(trial, lambda rank: (trial, lock))
