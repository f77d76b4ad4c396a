"""Says how the process of the pages is set up: Streamlit with `app.py`, and what it may do."""

from __future__ import annotations

from pathlib import Path

SCRIPT = Path(__file__).with_name("app.py")

SETTINGS: dict[str, object] = {
    "server.headless": True,
    "server.fileWatcherType": "none",
    "server.runOnSave": False,
    "server.allowRunOnSave": False,
    "server.enableAgentApi": False,
    "server.enableStaticServing": False,
    "server.maxUploadSize": 1,
    "server.showEmailPrompt": False,
    "server.disconnectedSessionTTL": 60,
    "server.enableWebsocketCompression": True,
    "browser.gatherUsageStats": False,
    "client.showErrorDetails": "none",
    "client.showErrorLinks": False,
    "client.toolbarMode": "viewer",
    "client.showSidebarNavigation": False,
    "runner.magicEnabled": False,
    "logger.level": "warning",
    "logger.hideWelcomeMessage": True,
    "theme.light.primaryColor": "#1f5fa8",
    "theme.light.textColor": "#08090c",  # captions are paler, and need 4.5:1 as well
    "theme.dark.primaryColor": "#7fb4f0",
}
"""Options of Streamlit that hold in every installation; nothing is reported to anybody."""


def set_up(base_path: str, hosts: tuple[str, ...]) -> None:
    """Set the options of Streamlit in this process; its cookie secret comes by the environment.

    Args:
        base_path: path under which the browser finds the pages, without slash at its ends.
        hosts: names that requests may give, as in the settings of the service.
    """
    from streamlit import config

    options = SETTINGS | {"server.baseUrlPath": base_path}
    if "*" not in hosts:
        options["server.allowedHosts"] = [h.strip("[]") for h in hosts]
    for name, value in options.items():
        config.set_option(name, value)
