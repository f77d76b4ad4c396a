import socket

import pytest

from tunekit.errors import InvalidArgument, StorageUnreachable
from tunekit.storages.http import connection
from tunekit.storages.urls import open_storage


def test_a_service_that_was_never_reached_is_given_up_early(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "OPENING_S", 0.0)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(StorageUnreachable, match="check that `tunekit serve` runs"):
        open_storage(f"http://127.0.0.1:{port}/vision")


@pytest.mark.parametrize(
    "url", ["http:///vision", "http://ada:secret@host/vision", "http://h/v?a=b"]
)
def test_a_url_that_names_no_service_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgument) as refused:
        open_storage(url)
    assert "secret" not in str(refused.value)
