"""Says how the process of the pages is started: Streamlit with `app.py`, on a loopback port."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tunekit_dashboard.identity import CERTIFICATE, SERVICE, TOKEN

SCRIPT = Path(__file__).with_name("app.py")

_SETTINGS = {
    "server.address": "127.0.0.1",
    "server.headless": "true",
    "server.fileWatcherType": "none",
    "server.runOnSave": "false",
    "server.allowRunOnSave": "false",
    "server.enableAgentApi": "false",
    "server.enableStaticServing": "false",
    "server.maxUploadSize": "1",
    "server.showEmailPrompt": "false",
    "server.websocketPingInterval": "20",
    "server.disconnectedSessionTTL": "60",
    "browser.gatherUsageStats": "false",
    "client.showErrorDetails": "none",
    "client.showErrorLinks": "false",
    "client.toolbarMode": "viewer",
    "client.showSidebarNavigation": "false",
    "runner.magicEnabled": "false",
    "logger.level": "warning",
    "logger.hideWelcomeMessage": "true",
    "theme.light.primaryColor": "#1f5fa8",
    "theme.dark.primaryColor": "#7fb4f0",
}
"""Options of Streamlit that hold in every installation."""


def page_command(port: int, base_path: str, hosts: tuple[str, ...]) -> list[str]:
    """Return the command of the process.

    Args:
        port: on the loopback address.
        base_path: path under which the browser finds the pages, without slash at its ends.
        hosts: names that requests may give, as in the settings of the service.
    """
    settings = _SETTINGS | {"server.port": str(port), "server.baseUrlPath": base_path}
    if "*" not in hosts:
        settings["server.allowedHosts"] = repr([h.strip("[]") for h in hosts]).replace("'", '"')
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [sys.executable, "-m", "streamlit", "run", str(SCRIPT), *options]


def page_environment(
    service: str, cookie_secret: str, *, token: str = "", certificate: Path | None = None
) -> Mapping[str, str]:
    """Return the environment of the process; secrets are not in its command, which others see.

    Args:
        service: URL of the service with its root path.
        cookie_secret: signs Streamlit's own cookies; the same in all replicas.
        token: for a service that a person uses from a terminal; empty where browsers log in.
        certificate: file with the service's certificate, where it serves HTTPS.
    """
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("STREAMLIT_", "TUNEKIT_"))}
    kept |= {SERVICE: service, "STREAMLIT_SERVER_COOKIE_SECRET": cookie_secret}
    if token:
        kept[TOKEN] = token
    if certificate is not None:
        kept[CERTIFICATE] = str(certificate)
    return kept
