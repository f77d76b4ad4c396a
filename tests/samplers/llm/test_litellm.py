"""What holds for litellm alone: its process, its keys, its prices, and a study with it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import tunekit as tk
from tunekit.errors import InvalidArgument
from tunekit.samplers.llm.backends import NoAnswer
from tunekit.samplers.llm.chosen_backend import backend_of
from tunekit.samplers.llm.litellm_backend import LiteLLM
from tunekit.samplers.llm.litellm_process import the_process
from tunekit.samplers.llm.past_advice import advices
from tunekit.testing.openai_server import Said, running_endpoint

ROOT = Path(__file__).parents[3]
TALK = [{"role": "user", "content": "x" * 40}]


pytestmark = [
    pytest.mark.xdist_group("litellm"),  # its process starts slowly
    pytest.mark.skipif(find_spec("litellm") is None, reason="needs litellm"),
]


def ask(model: LiteLLM) -> str:
    return model.complete(TALK, {"type": "object"}, timeout_s=30).text


def test_a_study_asks_its_model_through_litellm_and_this_process_does_not_load_it() -> None:
    said = Said('{"rationale": "known", "points": [{"x": 0.25}, {"x": 0.3}]}')
    with running_endpoint(lambda request: said) as endpoint:
        study = tk.study(
            space={"x": tk.Float(0.0, 1.0)},
            sampler="llm",
            sampler_options={"model": "litellm/openai/m", "base": endpoint.base, "wait_s": 60.0},
            seed=1,
        )
        study.optimize(lambda trial: (trial.params["x"] - 0.25) ** 2, n_trials=3)
        assert study.replay() == []
    assert study.trials[1].sampler == "llm"
    assert study.trials[1].params == {"x": 0.25}
    (_, advice), *_ = advices(study.trials)
    assert advice["rationale"] == "known"
    assert "litellm" not in sys.modules


def test_the_price_is_that_of_litellms_list_unless_one_is_given() -> None:
    usage = {"prompt_tokens": 1_000_000, "completion_tokens": 1_000_000}
    with running_endpoint(lambda request: Said("hello", usage=usage)) as endpoint:
        listed = LiteLLM("openai/gpt-4o-mini", base=endpoint.base)
        given = LiteLLM("openai/gpt-4o-mini", base=endpoint.base, per_million=(1.0, 2.0))
        unknown = LiteLLM("openai/m", base=endpoint.base)
        dollars = [m.complete(TALK, {}, timeout_s=30).dollars for m in (listed, given, unknown)]
    assert dollars == [pytest.approx(0.75), pytest.approx(3.0), None]


def test_no_file_of_the_folder_and_no_key_of_a_provider_changes_where_a_prompt_goes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".env").write_text("OPENAI_API_BASE=http://127.0.0.1:9/v1\nOPENAI_API_KEY=sk-a\n")
    (tmp_path / "litellm.py").write_text("raise SystemExit('a file of the folder ran')")
    monkeypatch.chdir(tmp_path)
    the_process(os.getpid()).end()
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-provider")
    with running_endpoint(lambda request: Said("hello")) as endpoint:
        model = backend_of(
            "litellm/openai/m", base=endpoint.base, temperature=0.5, per_million=None
        )
        assert model.complete(TALK, {}, timeout_s=30).text == "hello"
    assert endpoint.keys == ["Bearer none"]


def test_the_provider_gets_the_key_of_its_own_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-provider")
    with running_endpoint(lambda request: Said("you sent sk-of-the-provider")) as endpoint:
        monkeypatch.setenv("OPENAI_API_BASE", endpoint.base)
        assert ask(LiteLLM("openai/m")) == "you sent ***"
    assert endpoint.keys == ["Bearer sk-of-the-provider"]


def test_the_key_of_the_environment_goes_to_its_endpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TUNEKIT_LLM_KEY", "sk-own")
    with running_endpoint(lambda request: Said("hello")) as endpoint:
        monkeypatch.setenv("TUNEKIT_LLM_BASE", endpoint.base)
        for base in (endpoint.base, f"{endpoint.base}/"):
            model = backend_of("litellm/openai/m", base, temperature=0.5)
            model.complete(TALK, {}, timeout_s=30)
    assert endpoint.keys == ["Bearer sk-own"] * 2


def test_credentials_of_a_provider_go_to_no_endpoint_that_a_study_names() -> None:
    for model in ("anthropic/claude", "vertex_ai/gemini", "azure/gpt"):
        with pytest.raises(InvalidArgument, match="TUNEKIT_LLM_BASE"):
            backend_of(f"litellm/{model}", base="http://127.0.0.1:9", temperature=0)
    with pytest.raises(InvalidArgument, match="litellm's name of a model"):
        LiteLLM("huggingface/https://127.0.0.1:9/model")


def test_an_unknown_model_is_told_without_a_retry() -> None:
    with pytest.raises(NoAnswer, match="litellm sent no request") as raised:
        ask(LiteLLM("nonsense"))
    assert not raised.value.may_retry


def test_a_process_that_was_killed_starts_again() -> None:
    with running_endpoint(lambda request: Said("hello")) as endpoint:
        model = LiteLLM("openai/m", base=endpoint.base)
        assert ask(model) == "hello"
        first = the_process(os.getpid()).id
        the_process(os.getpid()).end()
        assert ask(model) == "hello"
    assert the_process(os.getpid()).id != first


def test_its_process_ends_with_the_study() -> None:
    code = (
        "import os\n"
        "from tunekit.samplers.llm.litellm_backend import LiteLLM\n"
        "from tunekit.samplers.llm.litellm_process import the_process\n"
        "try: LiteLLM('nonsense').complete([], {}, timeout_s=30)\n"
        "except Exception: print(the_process(os.getpid()).id)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True
    )
    assert done.stderr == ""
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def test_the_extra_leaves_out_the_releases_of_the_attackers() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = [Requirement(r) for r in extras["optional-dependencies"]["llm"]]
    (litellm,) = [r for r in found if r.name == "litellm"]
    assert not {"1.82.7", "1.82.8"} & set(litellm.specifier.filter(["1.82.7", "1.82.8"]))
    (pinned,) = re.findall(r"^litellm==(\S+)", (ROOT / "constraints.txt").read_text(), re.M)
    locked = (ROOT / "locked.txt").read_text()
    assert pinned in litellm.specifier
    assert f"litellm=={pinned} " in locked
    assert re.findall(r"--hash=sha256:[0-9a-f]{64}\b", locked)
