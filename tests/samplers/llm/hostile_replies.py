"""Replies that a study has to survive: two corpora, and a strategy for others.

`hostile_replies.json` is written by hand. It lists, by name, what models, gateways and attackers
may send: half-finished JSON, other formats, wrong units, prose, error pages, refusals, injections.
A text is the model's message; a body is sent in place of the whole response.

`vendor_replies.json` holds responses of providers and servers in the forms that they document or
that users have posted; `source` says where. Names, numbers and long messages are shortened.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

import tunekit as tk
from tunekit.testing.openai_server import Said

CORPUS = Path(__file__).with_suffix(".json")
VENDORS = CORPUS.with_name("vendor_replies.json")

SPACE = tk.Space(
    model=tk.Categorical(
        {
            "svm": tk.Space(
                C=tk.Float(1e-3, 1e3, log=True),
                kernel=tk.Categorical(
                    {"linear": None, "rbf": tk.Space(gamma=tk.Float(1e-4, 10.0))}
                ),
            ),
            "forest": tk.Space(n=tk.Int(10, 500, log=True)),
        }
    ),
    wait=tk.Int(0, 100, special=(-1,), default=5),
    constraints=["model.forest.n + wait <= 550"],
)


def corpus() -> dict[str, Said]:
    """Return the replies of the corpus by name."""
    found = {}
    for name, entry in json.loads(CORPUS.read_text(encoding="utf-8")).items():
        given = dict(entry)
        times = given.pop("times", 1)
        if "points" in given:
            given["text"] = json.dumps({"rationale": "because", "points": given.pop("points")})
        if "body" in given:
            given["body"] = given["body"].encode("latin-1") * times
        else:
            given["text"] = given.get("text", "") * times
        found[name] = Said(**given)
    return found


def vendor_corpus() -> dict[str, Said]:
    """Return the responses of providers by name."""
    found = {}
    for name, entry in json.loads(VENDORS.read_text(encoding="utf-8")).items():
        body = entry["body"] if isinstance(entry["body"], str) else json.dumps(entry["body"])
        headers = entry.get("headers", {})
        found[name] = Said(status=entry["status"], headers=headers, body=body.encode())
    return found


NAMES = st.sampled_from([*(p.path for p in SPACE), "C", "gamma", "n", "svm", "rbf", "__class__"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=8,
)
LIKELY = (
    st.sampled_from(["svm", "forest", "rbf", "linear", "-1", "50", "10 ms", 50, -1, 0.5, 100])
    | st.floats(-10, 1000)
    | VALUES
)
POINTS = st.dictionaries(NAMES, LIKELY, max_size=6)


def said(points: Any, **more: Any) -> str:
    """Return a reply with points, as text."""
    return json.dumps({"rationale": "because", "points": points, **more})


ENDS = st.dictionaries(st.sampled_from(["lower", "upper", "C"]), LIKELY, max_size=3)
RANGES = VALUES | st.dictionaries(NAMES, ENDS | LIKELY | st.lists(LIKELY, max_size=3), max_size=6)

TEXTS = st.one_of(
    st.builds(said, st.lists(POINTS, max_size=2), ranges=RANGES),
    st.text(),
    VALUES.map(said),
    st.lists(POINTS | VALUES, max_size=4).map(said),
    st.lists(POINTS, max_size=4).map(lambda points: said(points)[:-7]),
    st.lists(POINTS, max_size=4).map(lambda points: f"```json\n{said(points)}\n```"),
)
USAGES = st.none() | st.fixed_dictionaries(
    {"prompt_tokens": VALUES | st.integers(0, 300), "completion_tokens": st.integers(-5, 300)}
)
STATUSES = st.sampled_from([204, 301, 400, 401, 404, 408, 429, 500, 503, 529])
AFTER = st.sampled_from(["0", "-1", "nan", "soon", "1e99", "3600"])
REPLIES = st.one_of(
    st.builds(Said, text=TEXTS, usage=USAGES),
    st.builds(Said, body=st.binary(max_size=300)),
    st.builds(Said, body=VALUES.map(lambda v: json.dumps({"choices": v}).encode())),
    st.builds(
        Said,
        text=st.text(max_size=300),
        status=STATUSES,
        headers=AFTER.map(lambda s: {"Retry-After": s}),
    ),
)
"""How an endpoint answers one request."""
