"""A follower starts a rank for whoever knows its token, and ends it when that one hangs up."""

import os
import secrets
import socket
import subprocess
import sys
import textwrap

import psutil
import pytest

from tunekit.errors import RankLost
from tunekit.executors.base import Limits, Ranks
from tunekit.executors.ranks import RankExecutor
from tunekit.executors.ray.follower import STRANGERS, Follower
from tunekit.executors.ray.host import Setup
from tunekit.executors.ray.wire import TOKEN_BYTES, MessageChannel
from tunekit.records import CONTINUE, TrialState
from tunekit.testing.executors import PATIENCE_S, make_task

SERVE = textwrap.dedent("""
    import sys
    from tunekit.executors.base import Limits
    from tunekit.executors.ray.follower import Follower
    from tunekit.executors.ray.host import Setup

    token = bytes.fromhex(sys.argv[1])
    limits = Limits({"cpu": 1}, memory_mib=float(sys.argv[2]))
    follower = Follower(Setup(0, ("", 0), b"", limits, None, token), "127.0.0.1", ("7",))
    print(follower.address[1], flush=True)
    follower.serve()
""")


@pytest.fixture
def ranks():
    yield from serving(memory_mib=4096)


def serving(memory_mib):
    token = secrets.token_bytes(TOKEN_BYTES)
    command = [sys.executable, "-c", SERVE, token.hex(), str(memory_mib)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Ranks("127.0.0.1", (("127.0.0.1", port),), token)
        process.kill()


def run(ranks, objective):
    """Return how the second rank ended, which is started alone."""
    executor = RankExecutor(ranks, (), [{}, {"WHO": "second"}])
    executor.open(objective, lambda number, report: CONTINUE)
    try:
        executor.start(make_task(1))
        while not (ended := executor.poll(PATIENCE_S)):
            pass
        return ended[0]
    finally:
        executor.close()


def tell(trial):
    print("what it says")
    trial.set_user_attr("devices", list(trial.devices))
    trial.set_user_attr("words", [os.environ["WHO"], os.environ["OMP_NUM_THREADS"]])
    return 1.0


def test_a_rank_has_the_devices_and_cores_of_its_follower_and_its_output_is_brought(ranks, capsys):
    for _ in range(2):  # one trial after the other
        ended = run(ranks, tell)
        assert (ended.number, ended.outcome.state) == (1, TrialState.COMPLETE)
        assert ended.outcome.user_attrs == {"devices": ["7"], "words": ["second", "1"]}
        assert "what it says" in capsys.readouterr().err


def test_who_knows_no_token_and_who_says_nothing_keep_nobody_waiting(ranks):
    (address,) = ranks.followers
    silent = socket.create_connection(address)
    stranger = MessageChannel.connect(address, b"x" * TOKEN_BYTES)
    stranger.send(b"objective", {}, make_task(1))
    assert run(ranks, tell).outcome.state is TrialState.COMPLETE
    assert not stranger.receive()[1], "hung up on"
    stranger.close()
    silent.close()


def test_of_many_who_say_nothing_the_first_is_hung_up_on(ranks):
    (address,) = ranks.followers
    silent = [socket.create_connection(address, PATIENCE_S) for _ in range(STRANGERS + 1)]
    assert silent[0].recv(1) == b""
    for connected in silent:
        connected.close()


def test_a_follower_without_an_address_of_its_node_says_so():
    with pytest.raises(ConnectionError, match=r"cannot listen at 192\.0\.2\.1: "):
        Follower(Setup(0, ("", 0), b"", Limits(), None, b""), "192.0.2.1", ())


def test_neither_token_is_in_the_text_of_what_a_worker_knows():
    text = repr(Setup(0, ("", 0), b"the first", Limits(), None, b"the second"))
    assert "the first" not in text
    assert "the second" not in text


def test_a_rank_that_grows_beyond_the_memory_of_its_place_is_ended():
    for ranks in serving(memory_mib=8):
        ended = run(ranks, lambda trial: stay())
        assert "its memory limit is 8 MiB" in ended.outcome.reason


def stay():
    while True:
        os.sched_yield()


def test_a_rank_ends_when_the_process_of_its_trial_hangs_up(ranks, tmp_path):
    def objective(trial):
        (tmp_path / "new").write_text(str(os.getpid()))
        (tmp_path / "new").rename(tmp_path / "pid")
        stay()

    executor = RankExecutor(ranks, (), [{}, {}])
    executor.open(objective, lambda number, report: CONTINUE)
    executor.start(make_task(1))
    while not (tmp_path / "pid").exists():
        executor.poll(0.05)
    rank = psutil.Process(int((tmp_path / "pid").read_text()))
    executor.close()
    assert psutil.wait_procs([rank], timeout=PATIENCE_S)[1] == []


def test_a_follower_that_is_not_there_is_a_lost_rank():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = listener.getsockname()[:2]
    ranks = Ranks("127.0.0.1", (address,), b"x" * TOKEN_BYTES)
    with pytest.raises(RankLost, match=r"lost the worker of rank 1 of 2 at 127\.0\.0\.1"):
        run(ranks, tell)
