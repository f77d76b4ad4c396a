"""A replica that stops while it tells others of a change."""

import socket
from pathlib import Path

import pytest

from tunekit.service.notifications import Notifications
from tunekit.storages.urls import open_database


class Listening:
    """A connection on which nothing arrives."""

    def __init__(self) -> None:
        self._end, self._other = socket.socketpair()
        self.notifies: list[object] = []

    def fileno(self) -> int:
        return self._end.fileno()

    def poll(self) -> None:
        pass

    def close(self) -> None:
        self._end.close()
        self._other.close()


def test_the_end_is_not_missed_where_it_comes_with_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    notifications = Notifications(open_database(f"sqlite:///{tmp_path}/s.db"), lambda study: None)
    sent: list[set[int]] = []

    def send(_: object) -> None:
        sent.append(notifications._changed)
        notifications._changed = set()
        notifications._ended.set()  # its byte was read with that of the change

    monkeypatch.setattr(notifications, "_send", send)
    notifications._changed.add(7)
    pull, push = notifications._pull, _ = socket.socketpair()
    push.send(b"xx")
    connection = Listening()
    notifications._serve(connection)
    assert sent == [{7}]
    for end in (connection, pull, push):
        end.close()
