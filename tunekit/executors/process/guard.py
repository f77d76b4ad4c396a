"""Run as a script: kills the process groups it was told of once its driver is gone.

A driver that is killed cannot clean up, and what its workers have started themselves (data
loaders, a training command) would go on. The guard holds the read end of a pipe; the kernel
closes the other end with the driver, however that dies.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Read `+pgid` and `-pgid` lines until the end, then kill the groups that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        number = int(line[1:])
        if line[0] == "+":
            groups.add(number)
        else:
            groups.discard(number)
    for number in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(number, signal.SIGKILL)


if __name__ == "__main__":
    main()
