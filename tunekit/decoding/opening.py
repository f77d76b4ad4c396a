"""Opens a decoding study of a storage, or makes one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tunekit.api import study as make_study
from tunekit.checks import check_number, check_text, check_whole, shown
from tunekit.decoding.answering import Model
from tunekit.decoding.correctness import is_correct
from tunekit.decoding.decoding_study import DecodingStudy
from tunekit.decoding.floor import EVEN, Floor
from tunekit.decoding.measured import Unit
from tunekit.decoding.objective import P_WORSE, Exam
from tunekit.decoding.parameters import PROMPTS, check_parameters, space
from tunekit.decoding.questions import Questions, question_set
from tunekit.errors import InvalidArgument, StudyExists
from tunekit.shown import shown_url
from tunekit.spaces import Space
from tunekit.stoppers.base import Stopper
from tunekit.storages.base import Storage
from tunekit.studies.study import Study

UNITS = ("tokens", "dollars", "seconds")
KEY = "decoding"
"""Attribute of the study: what has to be the same when it goes on."""


def study(
    name: str,
    *,
    questions: Questions,
    model: str,
    base: str = "",
    prompts: Mapping[str, str] | None = None,
    space: Space | Mapping[str, object] | None = None,
    baseline: Mapping[str, object] | None = None,
    minimize: Unit = "tokens",
    price: tuple[float, float] | None = None,
    tolerance: float = 0.0,
    alpha: float = 0.1,
    held_out: float = 0.3,
    check: Callable[[str, str], bool] = is_correct,
    fields: Mapping[str, Any] | None = None,
    at_once: int = 8,
    timeout_s: float = 120.0,
    retries: int = 3,
    storage: str | Path | Storage | None = None,
    sampler: str = "auto",
    stopper: str | Stopper | Sequence[str | Stopper] | None = None,
    seed: int = 0,
) -> DecodingStudy:
    """Open a study of how a model is decoded, or make one.

    It minimises what a right answer costs, under a floor: a point must not lose more questions
    against the baseline than it wins, beyond a tolerance. Each trial asks the questions in an
    order of its own, and ends early once a paired test is sure that it is worse. What so many
    trials select on the same questions flatters itself a little; `confirm` decides on others.

    Args:
        name: of the study.
        questions: mappings with "question" and "answer"; some hundred.
        model: name of the model.
        base: URL of an OpenAI-compatible endpoint, up to `/v1`; by default and with the same keys
            as the sampler "llm".
        prompts: name -> text of the prompts to choose from, such as the variants that DSPy or
            GEPA has found. `{name}` in a text stands for the value of a parameter, `{question}`
            for the question; without that, the text is the system message.
        space: temperature, top_p, max_tokens, effort and other fields of the request,
            reasoning_steps, planning_period, prompt, and names in braces of the prompts; by
            default `tunekit.decoding.space(prompts=prompts)`.
        baseline: the point that is used today; by default the default of the space.
        minimize: "tokens", "dollars" or "seconds" for each right answer; tokens of prompt and
            reply.
        price: dollars for a million tokens of prompt and of reply.
        tolerance: share of the questions that a point may lose against the baseline for nothing.
        alpha: probability that a point as accurate as the floor is called worse for sure, which
            ends its trial early, or breaks the floor in `confirm`.
        held_out: share of the questions that no trial is asked, for `confirm`.
        check: called with a reply and the right answer; whether the reply holds it.
        fields: further fields of each request.
        at_once: questions that are asked at the same time, and after which a trial may end.
        timeout_s: seconds for a question with its repetitions.
        retries: repetitions of a request that failed.
        storage: as in `tunekit.study`.
        sampler: as in `tunekit.study`, by short name.
        stopper: as in `tunekit.study`; it sees the cost so far, by the number of questions.
        seed: of the study, the split of the questions and their orders.

    Raises:
        InvalidArgument: an argument that cannot be right, or a parameter without effect.
        StudyExists: the study exists with other questions, another model, baseline or floor.

    Reference: arXiv 2509.07238, "Systematic optimization of open source LLMs for mathematical
    reasoning"; McNemar, 1947, "Note on the sampling error of the difference between correlated
    proportions".
    """
    check_text(model, "model")
    _check_unit(minimize, price)
    check_number(tolerance, "tolerance", low=0.0, high=0.5)
    check_number(alpha, "alpha", low=0.001, high=0.5)
    check_number(timeout_s, "timeout_s", low=0.1, high=3600)
    check_whole(at_once, "at_once", low=1, high=256)
    check_whole(retries, "retries", low=0, high=10)
    check_whole(seed, "seed", low=0)
    texts = dict(PROMPTS if prompts is None else prompts)
    tree = _space(space, prompts)
    check_parameters(tree, texts)
    exam = Exam(
        question_set(questions, held_out=held_out, seed=seed),
        texts,
        Model(model, base, price, dict(fields or {}), at_once, timeout_s, retries),
        minimize,
        Floor(tolerance, alpha),
        check,
    )
    exam.model.endpoint()  # reports a bad address or a missing package now
    point = dict(tree.default() if baseline is None else tree.complete(baseline))
    same = {
        "questions": exam.questions.digest(),
        "held_out": held_out,
        "model": model,
        "base": shown_url(base),
        "prompts": texts,
        "fields": dict(fields or {}),
        "baseline": point,
        "tolerance": tolerance,
    }
    made = make_study(
        name,
        space=tree,
        objectives={exam.metric: "minimize"},
        constraints=[f"{P_WORSE} >= {EVEN:g}"],
        storage=storage,
        sampler=sampler,
        stopper=stopper,
        seed=seed,
        attrs={KEY: same},
    )
    _check_stored(made, same)
    return DecodingStudy(made, exam)


def _check_unit(minimize: Unit, price: tuple[float, float] | None) -> None:
    if minimize not in UNITS:
        raise InvalidArgument(f"minimize={shown(minimize)}, expected one of {', '.join(UNITS)}.")
    if minimize == "dollars" and price is None:
        raise InvalidArgument(
            'minimize="dollars" needs price=(dollars for a million prompt tokens, for a million '
            "reply tokens)."
        )


def _check_stored(made: Study, same: Mapping[str, Any]) -> None:
    stored = made.user_attrs.get(KEY)
    if stored == same:
        return
    other = sorted(k for k in same if not isinstance(stored, dict) or stored.get(k) != same[k])
    raise StudyExists(
        f"study {made.name!r} exists with other settings ({', '.join(other)}), whose answers "
        "cannot be compared with these; choose another name."
    )


def _space(given: Space | Mapping[str, object] | None, prompts: Mapping[str, str] | None) -> Space:
    if given is None:
        return space(prompts=prompts)
    return given if isinstance(given, Space) else Space(given)
