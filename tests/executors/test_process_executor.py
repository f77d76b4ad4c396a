import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import psutil
import pytest

from tunekit.errors import InvalidArgument
from tunekit.executors.base import Limits
from tunekit.executors.devices import make_seats
from tunekit.executors.process.executor import START_TRIES, ProcessExecutor
from tunekit.records import CONTINUE, Report, TrialState
from tunekit.testing.executors import PATIENCE_S, make_task, run_tasks
from tunekit.testing.killable import wait_for

VISIBLE = "CUDA_VISIBLE_DEVICES"


@pytest.fixture(autouse=True)
def no_devices_of_the_machine(monkeypatch):
    monkeypatch.delenv("TUNEKIT_DEVICES", raising=False)
    monkeypatch.setenv(VISIBLE, "")


def run(objective, n=1, workers=1, on_report=lambda number, report: CONTINUE, **options):
    executor = ProcessExecutor(workers, **options)
    try:
        executor.open(objective, on_report)
        return run_tasks(executor, n)
    finally:
        executor.close()


class Odd(Exception):
    def __init__(self, a, b):
        super().__init__(f"{a} and {b}")


def raise_runtime_error(trial):
    raise LookupError(trial.number)


def test_a_module_that_cannot_be_imported_is_shipped_by_value():
    ended = run(raise_runtime_error)[0]
    assert ended.outcome.reason == "LookupError: 0"
    assert isinstance(ended.exception, LookupError)


def test_an_exception_that_cannot_be_rebuilt_is_told_in_words():
    def objective(trial):
        raise Odd(1, 2)

    ended = run(objective)[0]
    assert ended.outcome.reason.endswith("Odd: 1 and 2")
    assert ended.exception is None


def test_an_objective_that_cannot_be_pickled_is_refused_at_the_door():
    lock = threading.Lock()
    with pytest.raises(InvalidArgument, match="cannot be sent to worker processes"):
        ProcessExecutor().open(lambda trial: lock, lambda n, r: CONTINUE)


class Unloadable:
    def __call__(self, trial):
        return 1.0

    def __reduce__(self):
        return (sys.exit, ("no such data set",))


def test_an_objective_that_cannot_be_loaded_fails_its_trials_and_says_why():
    for ended in run(Unloadable(), n=2):
        assert ended.outcome.state is TrialState.FAILED
        assert "cannot be loaded" in ended.outcome.reason
        assert "no such data set" in ended.outcome.reason


class Deadly(Unloadable):
    def __reduce__(self):
        return (os._exit, (9,))


def test_a_worker_that_cannot_start_is_tried_a_few_times_only():
    ended = run(Deadly(), n=2)
    reason = f"worker process exited with status 9, {START_TRIES} times"
    assert [e.outcome.reason for e in ended] == [reason] * 2


def test_workers_are_used_again():
    def objective(trial):
        return float(os.getpid())

    assert len({e.outcome.metrics["loss"] for e in run(objective, n=6, workers=2)}) == 2


def test_a_worker_that_died_while_idle_costs_no_trial():
    def objective(trial):
        return float(os.getpid())

    executor = ProcessExecutor(1)
    executor.open(objective, lambda n, r: CONTINUE)
    try:
        executor.start(make_task(0))
        pid = int(executor.poll(PATIENCE_S)[0].outcome.metrics["loss"])
        worker = psutil.Process(pid)
        worker.kill()
        wait_for(lambda: worker.status() == psutil.STATUS_ZOMBIE, "for the worker to die")
        executor.start(make_task(1))
        assert executor.poll(PATIENCE_S)[0].outcome.state is TrialState.COMPLETE
    finally:
        executor.close()


def test_what_a_trial_prints_goes_to_our_stderr(capfd):
    def objective(trial):
        print("printed")
        sys.stderr.write("complained\n")
        return 1.0

    run(objective)
    out, err = capfd.readouterr()
    assert out == ""
    assert "printed" in err and "complained" in err


def test_the_working_folder_and_the_search_path_are_ours(tmp_path, monkeypatch):
    (tmp_path / "only_here.py").write_text("VALUE = 4.0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))

    def objective(trial):
        import only_here

        assert os.path.exists("only_here.py")
        return only_here.VALUE

    assert run(objective)[0].outcome.metrics == {"loss": 4.0}


SCRIPT = """
    import sys
    from tunekit.executors.process.executor import ProcessExecutor
    from tunekit.records import CONTINUE
    from tunekit.testing.executors import make_task, run_tasks

    class Mine(Exception):
        pass

    SCALE = 2.0

    def objective(trial):
        if trial.number == 1:
            raise Mine("mine")
        return SCALE

    executor = ProcessExecutor(2)
    executor.open(objective, lambda number, report: CONTINUE)
    ended = run_tasks(executor, 2)
    executor.close()
    print(ended[0].outcome.metrics, isinstance(ended[1].exception, Mine))
"""


def python(script, **options):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        **options,
    )


def test_a_script_needs_no_main_guard_and_keeps_its_exception_classes():
    process = python(SCRIPT)
    assert process.communicate(timeout=PATIENCE_S)[0] == "{'loss': 2.0} True\n"


ORPHANS = """
    import subprocess, sys
    from tunekit.executors.process.executor import ProcessExecutor
    from tunekit.records import CONTINUE
    from tunekit.testing.executors import make_task

    def objective(trial):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        trial.report({"pid": child.pid}, 0)
        if trial.number:
            child.wait()
        while True:
            pass

    def on_report(number, report):
        print(int(report.metrics["pid"]), flush=True)
        return CONTINUE

    executor = ProcessExecutor(2)
    executor.open(objective, on_report)
    for number in range(2):
        executor.start(make_task(number))
    while True:
        executor.poll(10)
"""


def _guards(process, driver):
    """Whether a process is the guard of a driver: it holds the other end of its pipe."""
    if not any(word.endswith("process/guard.py") for word in process.info["cmdline"] or ()):
        return False
    pipe = os.readlink(f"/proc/{process.pid}/fd/0")
    ends = Path(f"/proc/{driver}/fd").iterdir()
    return any(os.readlink(end) == pipe for end in ends)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_survives_the_driver(number):
    driver = python(ORPHANS, start_new_session=True)
    grandchildren = [psutil.Process(int(driver.stdout.readline())) for _ in range(2)]
    family = {*psutil.Process(driver.pid).children(recursive=True), *grandchildren}
    assert len(family) >= 4, "two workers and what they started"
    # The guard is nobody's child: whoever kills the children of a dying driver must not find it.
    family |= {p for p in psutil.process_iter(["cmdline"]) if _guards(p, driver.pid)}
    assert len(family) >= 5, "and the guard"
    os.kill(driver.pid, number)
    driver.communicate()
    assert psutil.wait_procs(list(family), timeout=PATIENCE_S)[1] == []


def test_an_interrupt_from_the_terminal_reaches_only_the_driver():
    driver = python(ORPHANS, start_new_session=True, stderr=subprocess.DEVNULL)
    grandchild = psutil.Process(int(driver.stdout.readline()))
    assert os.getpgid(grandchild.pid) not in (driver.pid, os.getpgid(0))
    os.killpg(driver.pid, signal.SIGKILL)
    driver.communicate()


@pytest.mark.parametrize(
    "limits",
    [
        Limits(timeout_s=0),
        Limits(timeout_s=float("nan")),
        Limits(memory_mib=-1),
        Limits(resources={"gpu": 0}),
        Limits(resources={"gpu": 1.5}),
        Limits(resources={"cpu": 10_000}),
    ],
)
def test_limits_outside_their_range_are_refused(limits):
    with pytest.raises(InvalidArgument):
        ProcessExecutor(1, limits=limits, devices=[0, 1, 2])


def test_an_unknown_resource_gets_the_close_name():
    with pytest.raises(InvalidArgument, match='did you mean "gpu"'):
        make_seats(1, {"gpus": 1})


def test_too_few_devices_are_named():
    with pytest.raises(
        InvalidArgument, match=r"needs 2 gpu, but the configured devices are \['0'\]"
    ):
        make_seats(4, {"gpu": 2}, [0])
    with pytest.raises(InvalidArgument, match="devices are \\[\\]"):
        make_seats(1, {"gpu": 1})
    with pytest.raises(InvalidArgument, match="twice"):
        make_seats(1, {"gpu": 1}, [0, "0"])


@pytest.mark.parametrize(
    ("workers", "gpu", "expected"),
    [
        (8, 1, ["a", "b", "c"]),
        (2, 1, ["a", "b"]),
        (8, 0.5, ["a", "b", "c", "a", "b", "c"]),
        (4, 0.5, ["a", "b", "c", "a"]),
        (8, 2, ["a,b"]),
        (8, 0.4, ["a", "b", "c", "a", "b", "c"]),
    ],
)
def test_devices_are_dealt_such_that_never_more_than_fits(workers, gpu, expected, monkeypatch):
    monkeypatch.setenv("TUNEKIT_DEVICES", "a, b, c")
    assert [s.env[VISIBLE] for s in make_seats(workers, {"gpu": gpu})] == expected


@pytest.mark.parametrize("gpu", [1, 0.5, 2])
def test_running_trials_hold_no_more_of_a_device_than_it_has(gpu):
    held, most = {}, {}

    def objective(trial):
        seen = os.environ[VISIBLE].split(",")
        assert seen == list(trial.devices)
        for step in range(3):
            trial.report({f"device {d}": 1 for d in seen}, step)
        return 1.0

    def on_report(number, report):
        held[number] = [m for m in report.metrics if m.startswith("device")]
        for device in held[number]:
            users = sum(gpu if gpu < 1 else 1 for n in held if device in held[n])
            most[device] = max(most.get(device, 0), users)
        if report.step == 2:
            del held[number]
        return CONTINUE

    options = {"limits": Limits(resources={"gpu": gpu}), "devices": ["5", "7"]}
    ended = run(objective, n=6, workers=4, on_report=on_report, **options)
    assert [e.outcome.state for e in ended] == [TrialState.COMPLETE] * 6
    assert set(most) == {"device 5", "device 7"}
    assert all(0 < n <= 1 for n in most.values())


def test_cores_bound_the_threads_of_numeric_libraries():
    def objective(trial):
        return float(os.environ["OMP_NUM_THREADS"])

    ended = run(objective, workers=10_000, limits=Limits(resources={"cpu": 1}))
    assert ended[0].outcome.metrics == {"loss": 1.0}
    assert ProcessExecutor(10_000, limits=Limits(resources={"cpu": 1})).slots < 10_000


def test_reports_that_need_no_decision_do_not_wait_for_the_driver(tmp_path):
    def objective(trial):
        for step in range(100):
            trial.report(1.0, step)
        (tmp_path / "reported").touch()
        return 1.0

    seen = []

    def on_report(number, report):
        until = time.monotonic() + PATIENCE_S
        while not (tmp_path / "reported").exists() and time.monotonic() < until:
            time.sleep(0.01)
        seen.append((report.step, (tmp_path / "reported").exists()))
        return CONTINUE

    executor = ProcessExecutor()
    executor.open(objective, on_report)
    try:
        executor.start(make_task(0, awaits_decisions=False))
        assert executor.poll(PATIENCE_S)[0].outcome.state is TrialState.COMPLETE
    finally:
        executor.close()
    assert seen == [(step, True) for step in range(100)]


def test_a_checkpoint_waits_for_the_driver_even_where_no_decision_is_needed(tmp_path):
    def objective(trial):
        trial.forward(Report(0, {}, checkpoint=True))
        return float((tmp_path / "recorded").exists())

    def on_report(number, report):
        (tmp_path / "recorded").touch()
        return CONTINUE

    executor = ProcessExecutor()
    executor.open(objective, on_report)
    try:
        executor.start(make_task(0, awaits_decisions=False))
        assert executor.poll(PATIENCE_S)[0].outcome.metrics == {"loss": 1.0}
    finally:
        executor.close()
