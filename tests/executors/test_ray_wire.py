"""The line between driver and worker: messages of any size, and nothing before the token."""

import pickle
import socket

import pytest

from tunekit.executors.ray.wire import TOKEN_BYTES, MessageChannel

TOKEN = b"t" * TOKEN_BYTES


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener


def received(line, n):
    got = []
    while len(got) < n:
        messages, is_there = line.receive()
        got += messages
        assert is_there
    return got


def test_messages_arrive_whole_and_in_order(listener):
    worker = MessageChannel.connect(listener.getsockname(), TOKEN)
    driver = MessageChannel(listener.accept()[0], TOKEN)
    sent = [("a", 1), ("b", {"x": [1.5]}), ("c", "y" * 100_000)]
    for message in sent:
        worker.send(*message)
    assert received(driver, 3) == sent
    driver.send("back")
    assert received(worker, 1) == [("back",)]
    worker.close()
    while driver.receive()[1]:
        pass
    driver.close()


class Bomb:
    def __reduce__(self):
        return pytest.fail, ("unpickled",)


def test_nothing_is_unpickled_for_a_peer_with_another_token(listener):
    with socket.create_connection(listener.getsockname()) as stranger:
        driver = MessageChannel(listener.accept()[0], TOKEN)
        data = pickle.dumps((Bomb(),))
        stranger.sendall(b"x" * TOKEN_BYTES + len(data).to_bytes(8, "big") + data)
        while driver.receive()[1]:
            pass
        assert driver.receive() == ([], False)
        driver.close()
