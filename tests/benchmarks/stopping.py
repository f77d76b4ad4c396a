"""Early stopping on recorded learning curves: `python tests/benchmarks/stopping.py`.

Streams of random configurations are run in a simulated order, 1 or more at a time, each epoch
of a configuration taking one tick. Every rule is told each epoch's loss and may stop the run.
Counted are the epochs used, against training all of them to the end, and whether the best
final loss of the stream is kept (up to 0.1 %). Rules of Optuna and Ray stand beside ours: those
of Optuna prune real studies, those of Ray are asked as Tune asks them.

The rules were tuned on the first half of the tasks (by name) only; the other half is held out.
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from tunekit.history import History
from tunekit.records import AUDIT, ObjectiveSpec, Report, TrialRecord, TrialState
from tunekit.registry import make, names
from tunekit.stoppers.audited import audited
from tunekit.stoppers.base import CurveView

DATA = Path(__file__).parents[2].parent / "shared" / "data" / "taskset"
KEPT = 1e-3
LOSS = (ObjectiveSpec("loss"),)


class Contender(Protocol):
    """A stopping rule in one stream; trials are numbered in the order of their start."""

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Take the loss after an epoch, counted from 1, and return whether the trial stops."""
        ...

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Take the end of a trial."""
        ...


class Ours:
    """A stopper of tunekit by its short name, with a share of its verdicts audited."""

    def __init__(self, name: str, audit: float = 0.0, **options: object) -> None:
        self._stopper = audited(make("stopper", name, options), seed=0, share=audit)
        self._history = History(LOSS)
        self._reports: dict[int, list[Report]] = {}
        self._seq = 0

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Ask the stopper about a trial that goes on."""
        if number not in self._reports:
            self._reports[number] = []
            self._put(TrialRecord(number, TrialState.RUNNING))
        self._reports[number].append(Report(epoch, {"loss": loss}))
        view = CurveView(LOSS, self._history, self._reports)
        return bool(self._stopper.decide(number, view).action == "stop")

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Note that a trial is over."""
        state = TrialState.COMPLETE if math.isfinite(loss) else TrialState.DIVERGED
        state = TrialState.STOPPED if is_stopped else state
        self._put(TrialRecord(number, state, metrics={"loss": loss}))

    def _put(self, record: TrialRecord) -> None:
        self._seq += 1
        fields = {"seq": self._seq, "metrics": record.metrics}
        self._history.update([TrialRecord(record.number, record.state, **fields)], self._seq)


class OfOptuna:
    """A pruner of Optuna in a study of its own."""

    def __init__(self, name: str, **options: object) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        pruner = getattr(optuna.pruners, name)(**options)
        sampler = optuna.samplers.RandomSampler(seed=0)
        self._study = optuna.create_study(pruner=pruner, sampler=sampler)
        self._trials: dict[int, optuna.Trial] = {}
        self._pruned = optuna.trial.TrialState.PRUNED
        self._failed = optuna.trial.TrialState.FAIL

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Report and ask, as an objective does."""
        if number not in self._trials:
            self._trials[number] = self._study.ask()
        self._trials[number].report(loss, epoch)
        return bool(self._trials[number].should_prune())

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Tell the study."""
        trial = self._trials[number]
        if is_stopped:
            self._study.tell(trial, state=self._pruned)
        elif math.isfinite(loss):
            self._study.tell(trial, loss)
        else:
            self._study.tell(trial, state=self._failed)


class OfRay:
    """A scheduler of Ray Tune, asked by the calls that Tune's controller makes."""

    @dataclass(eq=False)
    class _Trial:
        trial_id: str
        status: str = "RUNNING"

    def __init__(self, name: str, **options: object) -> None:
        from ray.tune import schedulers

        made = getattr(schedulers, name)(metric="loss", mode="min", time_attr="epoch", **options)
        self._scheduler = made
        self._trials: dict[int, OfRay._Trial] = {}

    def get_live_trials(self) -> list[_Trial]:
        """Return the running trials: what a scheduler asks its controller for."""
        return list(self._trials.values())

    def report(self, number: int, epoch: int, loss: float) -> bool:
        """Give a result to the scheduler."""
        if number not in self._trials:
            self._trials[number] = OfRay._Trial(str(number))
            self._scheduler.on_trial_add(self, self._trials[number])
        result = {"loss": loss, "epoch": epoch}
        answer = self._scheduler.on_trial_result(self, self._trials[number], result)
        return str(answer) == "STOP"

    def end(self, number: int, loss: float, *, is_stopped: bool) -> None:
        """Drop a trial; its results have been given."""
        del self._trials[number]


def contenders(epochs: int, extra: list[str]) -> dict[str, Callable[[], Contender]]:
    """Return the rows of the table; `extra` are further stoppers of ours by short name."""
    rows: dict[str, Callable[[], Contender]] = {
        "second_look (default)": lambda: Ours("second_look"),
        "second_look with audit": lambda: Ours("second_look", AUDIT),
        "asha": lambda: Ours("asha"),
        "asha with audit": lambda: Ours("asha", AUDIT),
        "asha eta=3 from 3": lambda: Ours("asha", eta=3, min_resource=3),
        "hyperband": lambda: Ours("hyperband"),
        "median": lambda: Ours("median"),
        "patience": lambda: Ours("patience"),
        "fast": lambda: Ours("fast"),
        "fast with audit": lambda: Ours("fast", AUDIT),
        "no second look": lambda: Ours("second_look", second_until=0),
        "threshold, asha": lambda: Ours("first", stoppers=["threshold", "asha"]),
        "threshold, fast": lambda: Ours("first", stoppers=["threshold", "fast"]),
        "fast from 4": lambda: Ours("fast", min_resource=4),
    }
    rows |= {name: lambda name=name: Ours(name) for name in extra}  # type: ignore[misc]
    rows |= {
        "Optuna SuccessiveHalving 4, 2": lambda: OfOptuna(
            "SuccessiveHalvingPruner", min_resource=4, reduction_factor=2
        ),
        "Optuna Hyperband 4, 2": lambda: OfOptuna(
            "HyperbandPruner", min_resource=4, max_resource=epochs, reduction_factor=2
        ),
        "Optuna Hyperband (default)": lambda: OfOptuna("HyperbandPruner"),
        "Optuna Median (default)": lambda: OfOptuna("MedianPruner"),
    }
    try:
        import ray.tune.schedulers  # noqa: F401
    except ImportError:
        print("Ray is not installed: its schedulers are left out")
        return rows
    rows |= {
        "Ray ASHA 4, 2": lambda: OfRay(
            "ASHAScheduler", grace_period=4, reduction_factor=2, max_t=epochs
        ),
        "Ray Median from 4": lambda: OfRay("MedianStoppingRule", grace_period=4),
    }
    return rows


def run(losses: np.ndarray, contender: Contender, slots: int) -> tuple[int, float]:
    """Return the epochs used and how much worse than the best the best complete trial is.

    Args:
        losses: `(n, epochs)`; not finite is the worst.
        contender: a fresh rule.
        slots: trials at a time.
    """
    n, epochs = losses.shape
    finals = np.where(np.isfinite(losses[:, -1]), losses[:, -1], np.inf)
    running: list[int] = []
    done, used, kept, started = [0] * n, 0, math.inf, 0
    while started < n or running:
        while started < n and len(running) < slots:
            running.append(started)
            started += 1
        for number in list(running):
            loss = float(losses[number, done[number]])
            done[number] += 1
            used += 1
            is_last = done[number] == epochs
            is_stopped = contender.report(number, done[number], loss) and not is_last
            if is_last:
                kept = min(kept, finals[number])
            if is_last or is_stopped:
                running.remove(number)
                contender.end(number, loss, is_stopped=is_stopped)
    best = float(finals.min())
    return used, (kept - best) / abs(best)


def streams(tasks: list[np.ndarray], n_streams: int, n_trials: int) -> Iterator[np.ndarray]:
    """Give `n_streams` random choices of configurations of each task, the same in every run."""
    for k, task in enumerate(tasks):
        for seed in range(n_streams):
            rng = np.random.default_rng([seed, k])
            yield task[rng.choice(len(task), min(n_trials, len(task)), replace=False)]


def read(folder: Path) -> dict[str, np.ndarray]:
    """Return the validation losses of each task, `(configurations, checkpoints)`, by name."""
    found = {}
    for file in sorted(folder.glob("*.json.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as text:
            runs = json.load(text)
        found[file.name.removesuffix(".json.gz")] = np.array(
            [[float(x) for x in run["valid"]["loss"]] for run in runs]
        )
    return found


def measured(
    rows: dict[str, Callable[[], Contender]], tasks: list[np.ndarray], sizes: argparse.Namespace
) -> None:
    """Print one table: speed-up and what is lost, by rule and number of slots."""
    heads = [f"{s} at a time: speed-up (least) | kept | worst loss" for s in sizes.slots]
    print(f"| rule | {' | '.join(heads)} |")
    print(f"|---{'|---' * 3 * len(heads)}|")
    for name, made in rows.items():
        cells = []
        for slots in sizes.slots:
            np.random.seed(0)
            full, used, lost = [], [], []
            for losses in streams(tasks, sizes.streams, sizes.trials):
                spent, worse = run(losses, made(), slots)
                full.append(losses.size)
                used.append(spent)
                lost.append(worse)
            kept = sum(x <= KEPT for x in lost)
            least = min(f / u for f, u in zip(full, used, strict=True))
            cells += [f"{sum(full) / sum(used):.2f}x ({least:.2f})", f"{kept}/{len(lost)}"]
            cells.append(f"{100 * max(lost):.1f} %")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def main() -> None:
    """Parse the arguments and print a table for the tuned and the held-out tasks."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="folder of TaskSet curves")
    parser.add_argument("--streams", type=int, default=8, help="of each task")
    parser.add_argument("--trials", type=int, default=100, help="configurations of a stream")
    parser.add_argument("--slots", type=int, action="append", help="trials at a time; repeatable")
    parser.add_argument("--stopper", action="append", default=[], help="a further one of ours")
    parser.add_argument("--only", action="append", help="rows whose name begins so")
    parser.add_argument("--quick", action="store_true", help="tiny sizes: does it all run?")
    arguments = parser.parse_args()
    arguments.slots = arguments.slots or [1, 8]
    if arguments.quick:
        arguments.streams, arguments.trials = 1, 12
    if unknown := set(arguments.stopper) - set(names("stopper")):
        parser.error(f"no stopper {sorted(unknown)}; there are {', '.join(names('stopper'))}")
    tasks = read(arguments.data)
    if not tasks:
        parser.error(f"no curves (*.json.gz) in {arguments.data}; give --data FOLDER")
    epochs = next(iter(tasks.values())).shape[1]
    rows = contenders(epochs, arguments.stopper)
    if arguments.only:
        rows = {n: r for n, r in rows.items() if n.startswith(tuple(arguments.only))}
    warnings.simplefilter("ignore")  # of the peers, on curves of NaN
    half = (len(tasks) + 1) // 2
    for title, chosen in (
        ("tasks that rules were tuned on", list(tasks.values())[:half]),
        ("held-out tasks", list(tasks.values())[half:]),
    ):
        print(f"\n### {len(chosen)} {title}, {len(chosen) * arguments.streams} streams\n")
        measured(rows, chosen, arguments)


if __name__ == "__main__":
    main()
