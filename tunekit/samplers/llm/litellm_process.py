"""Keeps one process that asks models through litellm, and ends it when it takes too long."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from functools import cache
from typing import Any

from tunekit.samplers.llm.backends import NoAnswer
from tunekit.samplers.llm.chat_completion import MAX_BODY_BYTES, Unusable

START_S = 120.0
"""Seconds that litellm may take to import; it loads thousands of modules."""

GRACE_S = 1.0
"""Seconds after the time-out of a request within which litellm may report it by itself."""

SETTINGS = {
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it fetches the prices from the network
    "LITELLM_OFFLINE_MODE": "true",  # and other catalogues
    "LITELLM_MODE": "PRODUCTION",  # else it loads the file .env of the folder
}

_BOOT = (
    "import json, sys; sys.path[:] = json.loads(sys.argv[1]); "
    "from tunekit.samplers.llm.litellm_child import main; main(int(sys.argv[2]))"
)


class LiteLLMProcess:
    """A process that answers one request at a time; it starts with the first one."""

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._process: subprocess.Popen[str] | None = None

    def ask(self, request: Mapping[str, Any], *, timeout_s: float) -> dict[str, Any]:
        """Return what the process answers to a request for a completion.

        Args:
            request: arguments of `litellm.completion`.
            timeout_s: seconds from the moment at which the process works on it.

        Raises:
            NoAnswer: the process is busy for so long, does not start, or did not end in time.
        """
        if not self._turn.acquire(timeout=timeout_s):
            raise NoAnswer("litellm is busy with requests of other studies.", may_retry=True)
        try:
            process = self._running()
            # Credentials may have been set since the process started.
            environment = {**os.environ, **SETTINGS}
            line = json.dumps([{**request, "timeout": timeout_s}, environment])
            reply = _exchanged(process, line, timeout_s + GRACE_S)
            if reply is None:
                self.end()
                raise Unusable("the model did not answer in time.", may_retry=True)
            return reply
        finally:
            self._turn.release()

    def _running(self) -> subprocess.Popen[str]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self.end()
        paths = json.dumps([str(p) for p in sys.path])
        process = subprocess.Popen(  # noqa: S603 - our own interpreter
            [sys.executable, "-W", "ignore", "-c", _BOOT, paths, str(MAX_BODY_BYTES)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C ends the study, which ends this one
            env={**os.environ, **SETTINGS},
        )
        self._process = process
        if _exchanged(process, "", START_S) is None:
            self.end()
            raise NoAnswer("litellm does not start; `python -c 'import litellm'` shows why.")
        return process

    @property
    def id(self) -> int | None:
        """Id of the process, `None` before it has started."""
        return self._process.pid if self._process is not None else None

    def end(self) -> None:
        """End the process, if there is one; the next request starts another."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@cache
def the_process(owner: int) -> LiteLLMProcess:
    """Return the process of all studies of this one.

    Args:
        owner: id of this process, so that a fork gets another one.
    """
    import atexit

    process = LiteLLMProcess()
    atexit.register(process.end)
    return process


def _exchanged(
    process: subprocess.Popen[str], line: str, timeout_s: float
) -> dict[str, Any] | None:
    """Return what a process answers to a line, `None` if it ended or had to be ended."""
    assert process.stdin is not None and process.stdout is not None
    until = threading.Timer(timeout_s, process.kill)
    until.daemon = True
    until.start()
    try:
        if line:
            print(line, file=process.stdin, flush=True)
        found: dict[str, Any] = json.loads(process.stdout.readline())
    except (OSError, ValueError):
        return None
    else:
        return found
    finally:
        until.cancel()
