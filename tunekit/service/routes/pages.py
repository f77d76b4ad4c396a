"""The pages on which people set their password and log in.

They have no framework and load nothing: one form each, sent as JSON by a script whose nonce the
content security policy names.
"""

from __future__ import annotations

import secrets
from html import escape

from fastapi import APIRouter, Request, Response

from tunekit.service.access.roles import Role
from tunekit.service.endpoints import endpoint

router = APIRouter(tags=["pages"])

_POLICY = (
    "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title} - tunekit</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style nonce="{nonce}">
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 22rem; margin: 12vh auto }}
label, input, button {{ display: block; width: 100%; box-sizing: border-box; font: inherit }}
input {{ margin-bottom: 1rem; padding: .4rem }} button {{ padding: .5rem }}
</style></head><body><h1>{title}</h1>
<form id="form">
<label for="name">User name</label>
<input id="name" name="name" autocomplete="username" required autofocus>
<label for="password">Password</label>
<input id="password" type="password" autocomplete="{autocomplete}" required>
<button>{title}</button></form>
<p id="said" role="status"></p>{more}
<script nonce="{nonce}">
const form = document.getElementById("form"), said = document.getElementById("said");
const field = (id) => document.getElementById(id);
{script}
form.addEventListener("submit", async (event) => {{
  event.preventDefault();
  const answer = await fetch("api/v1/{action}", {{
    method: "POST", credentials: "same-origin",
    headers: {{"Content-Type": "application/json"}}, body: JSON.stringify(body()),
  }});
  const doc = await answer.json();
  if (answer.ok) form.remove();
  said.textContent = answer.ok ? `Logged in as ${{doc.user}}.` : doc.detail;
}});
</script></body></html>
"""
_OIDC = '<p><a href="oidc/login">Log in at your organisation</a></p>'
_LOGIN = """const body = () => ({name: field("name").value, password: field("password").value});
fetch("api/v1/caller", {credentials: "same-origin"}).then(async (answer) => {
  if (answer.ok) said.textContent = `Logged in as ${(await answer.json()).user}.`;
});"""
# The secret leaves the address bar at once, so that it is in no history and no screenshot.
_SETUP = """const [secret, user] = location.hash.slice(1).split(",");
history.replaceState(null, "", location.pathname);
if (user) { field("name").value = user; field("name").readOnly = true; }
const body = () => ({secret, password: field("password").value,
  ...(user ? {} : {name: field("name").value})});"""


@endpoint(router, "GET", "/login", role=Role.ANYONE)
async def login_page(request: Request) -> Response:
    """Return the page on which people log in."""
    more = _OIDC if request.app.state.service.oidc is not None else ""
    return _page("Log in", "login", _LOGIN, autocomplete="current-password", more=more)


@endpoint(router, "GET", "/setup", role=Role.ANYONE)
async def setup_page(request: Request) -> Response:
    """Return the page of a one-time link, on which somebody sets a password."""
    return _page("Set your password", "setup", _SETUP, autocomplete="new-password")


def _page(title: str, action: str, script: str, *, autocomplete: str, more: str = "") -> Response:
    nonce = secrets.token_urlsafe(16)
    content = _PAGE.format(
        title=escape(title), action=action, script=script, autocomplete=autocomplete, more=more,
        nonce=nonce,
    )  # fmt: skip
    headers = {
        "Content-Security-Policy": _POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",
    }
    return Response(content, 200, headers, "text/html; charset=utf-8")
