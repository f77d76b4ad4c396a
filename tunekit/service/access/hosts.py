"""Names the hosts that a request may ask for.

A web page of a stranger can give its own name the address 127.0.0.1 after it has been loaded (DNS
rebinding), and then reads a service on the reader's machine as its own origin. Its requests name
the stranger's host, and starlette's `TrustedHostMiddleware` refuses them.
"""

from __future__ import annotations

from collections.abc import Iterable

from tunekit.errors import InvalidArgument

LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
"""Names of a service that only programs on its own machine reach."""

ANY = ("*",)


def checked_hosts(hosts: Iterable[str]) -> tuple[str, ...]:
    """Return names of hosts without port; `*.example.com` means all below, `*` any.

    Raises:
        InvalidArgument: a name is empty, has a star elsewhere, or a scheme or port.
    """
    named = tuple(hosts)
    for host in named:
        name = host.removeprefix("*.")
        is_address = name.startswith("[") and name.endswith("]")
        if host != "*" and (not name or set(name) & set("*/") or (":" in name and not is_address)):
            raise InvalidArgument(
                f"allowed host {host!r}, expected a name without scheme and port, such as "
                '"tune.example.com" or "*.example.com", or "*" for any.'
            )
    return named
