"""`python -m tunekit_dashboard`: the process of the pages, which a service starts and ends.

It listens on a Unix socket that only its user can open: browsers come through the service. It
ends with its standard input, so that it never outlives the service.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
import threading


def main() -> None:
    """Serve the pages until the standard input ends."""
    parser = argparse.ArgumentParser(prog="tunekit_dashboard", description=__doc__)
    parser.add_argument("--socket", required=True, help="Path of the Unix socket.")
    parser.add_argument("--base-path", default="dashboard", help="Path of the pages.")
    parser.add_argument("--host", action="append", default=[], help="Allowed name of the host.")
    given = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the service ends this one
    threading.Thread(target=_end_with_input, daemon=True).start()
    logging.basicConfig(level=logging.WARNING)
    _serve(given.socket, given.base_path, tuple(given.host) or ("*",))


def _serve(socket: str, base_path: str, hosts: tuple[str, ...]) -> None:
    import uvicorn
    from streamlit.starlette import App

    from tunekit_dashboard.launch import SCRIPT, set_up

    set_up(base_path, hosts)
    config = uvicorn.Config(
        App(SCRIPT), uds=socket, ws="websockets-sansio", lifespan="on", access_log=False,
        server_header=False, log_level="warning", proxy_headers=False,
        ws_ping_interval=None, timeout_graceful_shutdown=2,
    )  # fmt: skip
    uvicorn.Server(config).run()


def _end_with_input() -> None:
    while sys.stdin.buffer.read(4096):
        pass
    os._exit(0)  # pages hold nothing that would have to be saved


if __name__ == "__main__":
    main()
