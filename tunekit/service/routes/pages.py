"""The first page of a service, and those on which people set their password and log in.

They have no framework and load nothing. Each form is sent as JSON by a script whose nonce the
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
{shared}
{script}
form.addEventListener("submit", async (event) => {{
  event.preventDefault();
  const answer = await fetch("api/v1/{action}", {{
    method: "POST", credentials: "same-origin",
    headers: {{"Content-Type": "application/json"}}, body: JSON.stringify(body()),
  }});
  const doc = await answer.json();
  if (!answer.ok) said.textContent = doc.detail;
  else if (pages) leave();
  else {{ form.remove(); said.textContent = `Logged in as ${{doc.user}}.`; }}
}});
</script></body></html>
"""
# After a login it goes on to the page that was asked for, if that is one of the dashboard's.
_LEAVE = """const pages = {pages}, kept = "tunekit next";
function leave() {{
  const base = new URL("dashboard/", location.href), asked = sessionStorage.getItem(kept);
  sessionStorage.removeItem(kept);
  const next = new URL(asked || base.pathname, location.origin);
  const ours = next.origin === base.origin && next.pathname.startsWith(base.pathname);
  location.replace(ours ? next : base);
}}"""
_OIDC = '<p><a href="oidc/login">Log in at your organisation</a></p>'
_LOGIN = """const body = () => ({name: field("name").value, password: field("password").value});
const asked = new URLSearchParams(location.hash.slice(1)).get("next");
if (asked) sessionStorage.setItem(kept, asked);
fetch("api/v1/caller", {credentials: "same-origin"}).then(async (answer) => {
  if (answer.ok && pages) leave();
  else if (answer.ok) said.textContent = `Logged in as ${(await answer.json()).user}.`;
});"""
_INDEX = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>tunekit</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style nonce="{nonce}">body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 34rem;
  margin: 12vh auto; padding: 0 1rem }} code {{ white-space: nowrap }}</style></head>
<body><h1>tunekit</h1>
<p>This service keeps studies. From the command line and from Python, its URL with the name of a
project is a storage: <code>tunekit studies ls --storage {url}/PROJECT</code>.</p>
<p>To see the studies in a browser, start the service with <code>tunekit serve --dashboard</code>,
or run <code>tunekit dashboard {url}</code> on your machine.</p>
<p>Programs find all requests described in <a href="{root}/openapi.json">openapi.json</a>.</p>
</body></html>
"""
_SHARE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>A shared study - tunekit</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style nonce="{nonce}">body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 22rem;
  margin: 12vh auto }}</style></head>
<body><h1>A shared study</h1><p id="said" role="status">Opening the link.</p>
<script nonce="{nonce}">
const secret = location.hash.slice(1);
history.replaceState(null, "", location.pathname);
fetch("api/v1/shared/open", {{
  method: "POST", credentials: "same-origin",
  headers: {{"Content-Type": "application/json"}}, body: JSON.stringify({{secret}}),
}}).then(async (answer) => {{
  const doc = await answer.json();
  if (answer.ok) location.replace("dashboard/overview?share=" + doc.name);
  else document.getElementById("said").textContent = doc.detail;
}});
</script></body></html>
"""
# The secret leaves the address bar at once, so that it is in no history and no screenshot.
_SETUP = """const [secret, user] = location.hash.slice(1).split(",");
history.replaceState(null, "", location.pathname);
if (user) { field("name").value = user; field("name").readOnly = true; }
const body = () => ({secret, password: field("password").value,
  ...(user ? {} : {name: field("name").value})});"""


@endpoint(router, "GET", "/", role=Role.ANYONE)
async def index_page(request: Request) -> Response:
    """Return the page that says what a service without a dashboard is for."""
    nonce = secrets.token_urlsafe(16)
    root: str = request.app.state.service.root_path
    url = f"{request.url.scheme}://{request.url.netloc}{root}"
    return _html(_INDEX.format(nonce=nonce, url=escape(url), root=escape(root)), nonce)


@endpoint(router, "GET", "/login", role=Role.ANYONE)
async def login_page(request: Request) -> Response:
    """Return the page on which people log in."""
    more = _OIDC if request.app.state.service.oidc is not None else ""
    return _page(request, "Log in", "login", _LOGIN, autocomplete="current-password", more=more)


@endpoint(router, "GET", "/share", role=Role.ANYONE)
async def share_page(request: Request) -> Response:
    """Return the page that opens a share link, whose secret is in its fragment."""
    nonce = secrets.token_urlsafe(16)
    return _html(_SHARE.format(nonce=nonce), nonce)


@endpoint(router, "GET", "/setup", role=Role.ANYONE)
async def setup_page(request: Request) -> Response:
    """Return the page of a one-time link, on which somebody sets a password."""
    return _page(request, "Set your password", "setup", _SETUP, autocomplete="new-password")


def _page(
    request: Request, title: str, action: str, script: str, *, autocomplete: str, more: str = ""
) -> Response:
    nonce = secrets.token_urlsafe(16)
    has_pages = request.app.state.service.pages is not None
    content = _PAGE.format(
        title=escape(title), action=action, script=script, autocomplete=autocomplete, more=more,
        nonce=nonce, shared=_LEAVE.format(pages="true" if has_pages else "false"),
    )  # fmt: skip
    return _html(content, nonce)


def _html(content: str, nonce: str) -> Response:
    headers = {
        "Content-Security-Policy": _POLICY.format(nonce=nonce),
        "Cache-Control": "no-store",
    }
    return Response(content, 200, headers, "text/html; charset=utf-8")
