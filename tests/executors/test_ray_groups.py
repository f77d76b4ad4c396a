"""Trials whose processes have places of their own, on two nodes of a real Ray cluster."""

import os
import signal
import subprocess
import sys
import textwrap
from collections import Counter

import psutil
import pytest

import tunekit as tk
from tests.executors.ray_cluster import running_cluster
from tunekit.errors import ExecutorFailed
from tunekit.executors.base import Limits
from tunekit.executors.ray.executor import RayExecutor
from tunekit.records import CONTINUE, Decision

torch = pytest.importorskip("torch")

from tunekit_integrations.torch import run_distributed  # noqa: E402 - needs torch

# One worker of pytest runs them all, on one cluster.
pytestmark = [pytest.mark.ray, pytest.mark.xdist_group("ray-groups")]

PATIENCE_S = 60.0
N_STEPS = 3
LOSES_A_RANK, LOSES_A_WORKER, IS_TOO_LARGE = range(3)
FOR_EVER = 10**9


@pytest.fixture(scope="module")
def cluster():
    """Two nodes with room for one process each: a group of two takes both."""
    with running_cluster(num_cpus=1) as cluster:
        cluster.add("second", num_cpus=1)
        yield cluster


def make_study(tmp_path, **options):
    space = {"x": tk.Float(0, 1)}
    url = f"sqlite:///{tmp_path}/s.db"
    return tk.study("s", space=space, storage=url, sampler="random", seed=1, audit=0, **options)


def note(folder, kind, rank, text=""):
    """Leave a file that tells the test, with the processes that are to be gone in the end."""
    pids = f"{os.getpid()} {os.getppid()}"
    (folder / f"{kind}.{rank.number}.{rank.rank}.{os.getpid()}").write_text(f"{pids}\n{text}")


def noted(folder, kind):
    """Return the texts of a kind: those of each trial, by its number, in the order of ranks."""
    found = {}
    for file in sorted(folder.glob(f"{kind}.*")):
        found.setdefault(int(file.name.split(".")[1]), []).append(file.read_text().split("\n")[1])
    return found


def assert_all_are_gone(folder, n_words=2):
    """No rank is left, nor (of both words) the worker that it was started by."""
    files = [file.read_text().split("\n")[0] for file in folder.glob("began.*")]
    pids = {int(pid) for words in files for pid in words.split()[:n_words]}
    left = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    left = [p for p in left if p.status() != psutil.STATUS_ZOMBIE]
    assert files
    assert psutil.wait_procs(left, timeout=PATIENCE_S)[1] == []


def misbehave(rank, step):
    if rank.rank == 1 and step == 1:
        if rank.number == LOSES_A_WORKER and rank.resumed_from is None:
            os.kill(os.getppid(), signal.SIGKILL)
            signal.pause()  # its end comes with that of its parent, but not at once
        if rank.number == LOSES_A_RANK:
            os.kill(os.getpid(), signal.SIGKILL)


def train(rank, folder):
    note(folder, "began", rank)
    nodes = [torch.zeros(1, dtype=torch.long) for _ in range(rank.world_size)]
    torch.distributed.all_gather(nodes, torch.tensor([int(os.environ["RAY_RAYLET_PID"])]))
    torch.manual_seed(rank.seed)
    net = torch.nn.Linear(4, 1)
    shard = torch.randn(8, 4, generator=torch.Generator().manual_seed(rank.rank))
    (own,) = torch.autograd.grad(net(shard).square().mean(), [net.weight])
    owns = [torch.empty_like(own) for _ in range(rank.world_size)]
    torch.distributed.all_gather(owns, own)
    torch.distributed.all_reduce(own)
    torch.testing.assert_close(own, owns[0] + owns[1])
    assert not torch.equal(*owns)
    n_nodes = len({int(node) for node in nodes})
    first = 0 if rank.resumed_from is None else rank.resumed_from + 1
    try:
        for step in range(first, N_STEPS):
            misbehave(rank, step)
            if rank.rank == 0:
                (rank.checkpoint_dir / "state").write_text(str(step))
            rank.report(1.0, step, checkpoint=True)
    except tk.TrialStopped as stop:
        note(folder, "left", rank, f"from {first} to {step} on {n_nodes} nodes: {stop}")
        raise
    return 1.0


class StopsOne:
    name = "stops-one"

    def decide(self, number, view):
        is_over = number == LOSES_A_WORKER and view.reports[number][-1].step == 2
        return Decision("stop", "too slow") if is_over else CONTINUE


def test_a_driver_that_is_killed_leaves_no_rank_and_no_group(cluster, tmp_path):
    script = textwrap.dedent(f"""
        from pathlib import Path
        import tunekit as tk
        from tests.executors.test_ray_groups import for_ever
        from tunekit.executors.ray.executor import RayExecutor
        from tunekit.records import CONTINUE
        from tunekit_integrations.torch import run_distributed

        def objective(trial):
            return run_distributed(trial, lambda rank: for_ever(rank, Path({str(tmp_path)!r})))

        class Tell:
            name = "tell"
            def decide(self, number, view):
                print("reported", flush=True)
                return CONTINUE

        study = tk.study(space={{"x": tk.Float(0, 1)}}, sampler="random", seed=1, stopper=Tell())
        executor = RayExecutor(1, address={cluster.address!r}, processes=2)
        study.optimize(objective, 1, executor=executor)
    """)
    driver = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert driver.stdout is not None
    assert driver.stdout.readline() == "reported\n"
    driver.kill()
    driver.communicate()
    assert_all_are_gone(tmp_path)
    # That the group is gone is seen below: it had all of the cluster.


def for_ever(rank, folder):
    note(folder, "began", rank)
    for step in range(FOR_EVER):
        rank.report(1.0, step)


def test_ranks_on_two_nodes_train_together_and_end_together(cluster, tmp_path):
    def objective(trial):
        size = 3 if trial.number == IS_TOO_LARGE else 2
        return run_distributed(trial, lambda rank: train(rank, tmp_path), world_size=size)

    executor = RayExecutor(1, address=cluster.address, processes=2, strategy="STRICT_SPREAD")
    study = make_study(tmp_path, checkpoints=str(tmp_path / "kept"), stopper=StopsOne())
    assert study.optimize(objective, IS_TOO_LARGE + 1, executor=executor) == "done"
    assert_all_are_gone(tmp_path)

    failed, again, large = study.trials
    assert str(failed.state) == "failed"
    assert "rank 1 of 2: worker process died with SIGKILL" in failed.end_reason
    assert (str(again.state), again.end_reason) == ("stopped", "too slow")
    said = "from 1 to 2 on 2 nodes: too slow"  # after the checkpoint of step 0
    assert noted(tmp_path, "left") == {LOSES_A_WORKER: [said, said]}
    assert "world_size=3, but the executor keeps 2 places" in large.end_reason
    told = Counter(e.number for e in study.storage.events(study.id, 0) if e.kind == "told")
    assert told == Counter(range(IS_TOO_LARGE + 1))
    began = {number: len(ranks) for number, ranks in noted(tmp_path, "began").items()}
    assert began == {LOSES_A_RANK: 2, LOSES_A_WORKER: 4}


def test_a_group_that_fits_nowhere_says_why_and_ends_the_run(cluster, tmp_path):
    executor = RayExecutor(
        1,
        address=cluster.address,
        limits=Limits({"cpu": 1}),
        processes=2,
        strategy="STRICT_PACK",
        placement_timeout_s=1,
    )
    why = r"a trial needs 2 x \(1 cpu\) \(STRICT_PACK\); the nodes have room for 1, 1 of these"
    with pytest.raises(ExecutorFailed, match=why):
        make_study(tmp_path).optimize(lambda trial: 1.0, 1, executor=executor)
