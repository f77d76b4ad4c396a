"""The content security policy of the pages: Streamlit's own files, and nothing of anybody else.

Its document holds one script inline, which the policy names by its hash.
"""

from __future__ import annotations

import base64
import hashlib
import re

_INLINE = re.compile(rb"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", re.DOTALL)
_POLICY = (
    "default-src 'self'; script-src 'self' {inline}'wasm-unsafe-eval'; "
    "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
    "connect-src 'self'; worker-src 'self' blob:; object-src 'none'; base-uri 'self'; "
    "form-action 'none'; frame-ancestors 'none'"
)


def page_policy(document: bytes = b"") -> str:
    """Return the policy of a document, with the hashes of the scripts in it."""
    hashes = (hashlib.sha256(script).digest() for script in _INLINE.findall(document))
    named = (f"'sha256-{base64.b64encode(h).decode()}' " for h in hashes)
    return _POLICY.format(inline="".join(named))
