"""Kept replies: asked once, free afterwards, and never a danger."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import Answer, NoAnswer
from tunekit.samplers.llm.cache import CachedReplies
from tunekit.samplers.llm.past_advice import advices
from tunekit.testing.openai_server import Said, running_endpoint

IDENTITY = {"model": "m", "temperature": 0.5}
REPLY = '{"rationale": "known", "points": [{"x": 0.25}, {"x": 0.3}, {"x": 0.2}, {"x": 0.35}]}'


class Counting:
    """A model that counts how often it is asked."""

    def __init__(self, text: str = "hello") -> None:
        self.text, self.n_asked = text, 0

    def complete(self, messages: Any, schema: Any, *, timeout_s: float) -> Answer:
        self.n_asked += 1
        if not self.text:
            raise NoAnswer("nothing")
        return Answer(self.text, "m", 10, 20, 0.5, 1.0)


def ask(model: Any, content: str = "hi", schema: Any = None) -> Answer:
    talk = [{"role": "user", "content": content}]
    found: Answer = model.complete(talk, schema or {}, timeout_s=1.0)
    return found


def run(base: str, folder: Path, **options: Any) -> tk.Study:
    given = {"model": "m", "base": base, "wait_s": 60.0, "cache": str(folder), **options}
    study = tk.study(space={"x": tk.Float(0, 1)}, sampler="llm", sampler_options=given, seed=1)
    study.optimize(lambda trial: (trial.params["x"] - 0.25) ** 2, n_trials=3)
    return study


def test_a_second_study_reads_the_replies_of_the_first_one_at_no_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNEKIT_LLM_KEY", "sk-secret")
    with running_endpoint(lambda request: Said(REPLY)) as endpoint:
        monkeypatch.setenv("TUNEKIT_LLM_BASE", endpoint.base)
        first = run(endpoint.base, tmp_path, price=(1.0, 1.0))
        n_asked = len(endpoint.requests)
        second = run(endpoint.base, tmp_path, price=(1.0, 1.0))
        assert len(endpoint.requests) == n_asked
        run(endpoint.base, tmp_path, temperature=0.1)
        assert len(endpoint.requests) > n_asked
    assert [t.params for t in second.trials] == [t.params for t in first.trials]
    (_, paid), *_ = advices(first.trials)
    (_, kept), *_ = advices(second.trials)
    assert paid["n_kept"] == 0
    assert paid["dollars"] > 0
    assert kept["n_kept"] == 1
    assert kept["dollars"] == kept["tokens"] == 0
    assert kept["rationale"] == "known"
    assert second.replay() == []
    assert "sk-secret" not in "".join(f.read_text() for f in tmp_path.iterdir())


def test_another_model_temperature_conversation_or_schema_is_another_question(
    tmp_path: Path,
) -> None:
    inner = Counting()
    for identity in (IDENTITY, {**IDENTITY, "temperature": 0.6}, {**IDENTITY, "model": "n"}):
        model = CachedReplies(inner, str(tmp_path), identity=identity)
        for content, schema in [("a", {}), ("b", {}), ("a", {"type": "object"}), ("a", {})]:
            ask(model, content, schema)
    assert inner.n_asked == 9


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b'{"text": 3, "model": "m"}',
        b'{"text": "x"}',
        b"\xff",
        b"[" * 100_000,
        b'{"text": "' + b"x" * 200_001 + b'", "model": "m"}',
        b" " * 2_000_000,
    ],
    ids=range(9),
)
def test_a_damaged_file_is_asked_again_and_mended(tmp_path: Path, content: bytes) -> None:
    inner = Counting()
    model = CachedReplies(inner, str(tmp_path), identity=IDENTITY)
    ask(model)
    (file,) = tmp_path.iterdir()
    file.write_bytes(content)
    assert not ask(model).is_kept
    assert ask(model).is_kept
    assert inner.n_asked == 2


def test_a_failure_is_not_kept(tmp_path: Path) -> None:
    model = CachedReplies(Counting(""), str(tmp_path), identity=IDENTITY)
    with pytest.raises(NoAnswer):
        ask(model)
    assert list(tmp_path.iterdir()) == []


def test_a_file_holds_the_reply_and_not_the_question(tmp_path: Path) -> None:
    ask(CachedReplies(Counting(), str(tmp_path), identity=IDENTITY), "my question")
    (file,) = tmp_path.iterdir()
    assert json.loads(file.read_text()) == {"text": "hello", "model": "m"}


def test_beyond_its_size_the_oldest_replies_go_and_files_of_others_stay(tmp_path: Path) -> None:
    other = tmp_path / "notes.json"
    other.write_text("x" * 1000)
    model = CachedReplies(Counting("x" * 100), str(tmp_path), identity=IDENTITY, max_bytes=500)
    for i in range(10):
        ask(model, str(i))
        for file in tmp_path.glob("?" * 64 + ".json"):  # times of a disk may be coarse
            os.utime(file, ns=(file.stat().st_mtime_ns - 10**9,) * 2)
    kept = [f for f in tmp_path.iterdir() if f != other]
    assert other.exists()
    assert 0 < sum(f.stat().st_size for f in kept) <= 500
    assert ask(model, "9").is_kept
    assert not ask(model, "0").is_kept


def test_a_folder_that_cannot_be_written_costs_no_reply(tmp_path: Path) -> None:
    model = CachedReplies(Counting(), str(tmp_path / "replies"), identity=IDENTITY)
    (tmp_path / "replies").rmdir()
    assert ask(model).text == "hello"


def test_a_cache_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (str(tmp_path / "file"), 3, "", "a\0b"):
        with pytest.raises(InvalidArgument, match="cache="):
            CachedReplies(Counting(), folder, identity=IDENTITY)  # type: ignore[arg-type]
