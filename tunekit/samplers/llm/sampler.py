"""`llm`: a language model proposes a bounded share of the trials, a classical sampler all others.

A proposal never waits for the network, unless `wait_s` says so: advice is asked for on a thread
while the classical sampler proposes. It is stored, with the prompt, the reply and the price, as
the evidence of the next proposal; from there every worker takes its points, and a replay reads it
instead of asking again. So a proposal is a function of the history and of the advice that came
with it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from tunekit.checks import check_flag, check_number, check_whole, shown
from tunekit.errors import InvalidArgument
from tunekit.noise.replicates import key_of
from tunekit.records import Proposal, TrialRecord
from tunekit.registry import check_requests_allowed
from tunekit.samplers.base import Sampler, StudyView, held
from tunekit.samplers.bayesian.past_studies import past_studies
from tunekit.samplers.bayesian.sampler import BayesianSampler
from tunekit.samplers.duplicates import taken
from tunekit.samplers.grid import GridSampler
from tunekit.samplers.llm.advice_source import AdviceSource, BackgroundAdvice
from tunekit.samplers.llm.advised_search import exponent, proposal_within
from tunekit.samplers.llm.asking import Advice, Conversation
from tunekit.samplers.llm.backends import Backend
from tunekit.samplers.llm.chosen_backend import backend_of
from tunekit.samplers.llm.limits import SpendingLimits
from tunekit.samplers.llm.model_state import model_state
from tunekit.samplers.llm.past_advice import KEY, advices, newest_ranges, predicted, unused
from tunekit.samplers.llm.past_examples import past_examples
from tunekit.samplers.llm.predictions import PredictionRequest
from tunekit.samplers.llm.prompt import messages_for
from tunekit.samplers.llm.ranking import most_promising
from tunekit.samplers.llm.turns import Turns
from tunekit.spaces import Params

if TYPE_CHECKING:
    from tunekit.samplers.bayesian.model_search import FittedSearch


class LLMSampler:
    """Lets a language model propose some of the trials, within limits.

    The first trial is the default configuration. Of the other first ones the model proposes at
    most half, of later ones at most 30 %, and fewer the less often its proposals improved the
    best result. Where it has no promising point left, the ranges in which it expects good values
    guide a search with the model of the trials, as a prior that fades with the results. Where
    there is no usable advice, the classical sampler proposes, and the reason says so. While that
    one walks a grid, which tries every point anyway, no model is asked.

    Args:
        model: name of the model, such as "gpt-5-mini" or "llama3.2"; "litellm/" followed by
            litellm's name of a model, such as "litellm/anthropic/claude-haiku-4-5", reaches it
            by litellm, with the provider's own environment variables.
        base: URL of an OpenAI-compatible endpoint, with `/v1`; by default $TUNEKIT_LLM_BASE, else
            OpenAI's. Its key is $TUNEKIT_LLM_KEY, or $OPENAI_API_KEY for OpenAI's. A key goes to
            the endpoint that the environment names and to no other, as whoever created the
            study may have stored another one; it is neither stored nor shown.
        task: what is tuned: the data, the workload, the hardware, what is known to matter.
        temperature: of the model, from 0 to 2.
        n_points: points to ask for at once.
        timeout_s: seconds for a request with its repetitions.
        retries: repetitions of a request that failed.
        wait_s: seconds that a proposal waits for advice that is on its way.
        max_dollars, max_tokens, max_seconds: limits of the whole study; a model whose price is
            not known counts no dollars. A process can have one attempt on its way in excess.
        price: dollars for a million tokens of prompt and of reply.
        cache: folder that keeps replies for the same question to the same model; a kept one costs
            nothing.
        with_state: whether the prompt tells what the study has learnt.
        predicts: whether a second request, once there is a result, asks what to expect of the
            points from the trials; the answer and the model of the trials then rank them
            together. Only with one objective.
        past: trials of earlier studies, as `tunekit.study(warm_start=...)` writes them: the model
            sees the best ones, and the default `arm` learns from all.
        n_similar: most similar studies of the storage whose best points the model sees where
            `past` names none. They are sent to the endpoint; 0 sends nothing of other studies.
            `tunekit.study(sampler="llm")` looks for them when it creates a study.
        examples: those points, as it writes them. The `arm` does not learn from them.
        arm: the classical sampler, an object; by default `bayesian`. A method
            `fitted(view) -> FittedSearch | None` lets it weigh advice and tell its state.

    Raises:
        InvalidArgument: an option is out of range, or this process is a service, which sends
            no requests for its users.
        MissingExtra: the HTTP client or litellm is not installed.
    """

    name = "llm"
    asks_outside = True

    def __init__(
        self,
        *,
        model: str,
        base: str = "",
        task: str = "",
        temperature: float = 0.7,
        n_points: int = 4,
        timeout_s: float = 60.0,
        retries: int = 2,
        wait_s: float = 0.0,
        max_dollars: float | None = None,
        max_tokens: int | None = 200_000,
        max_seconds: float | None = None,
        price: tuple[float, float] | None = None,
        cache: str | None = None,
        with_state: bool = True,
        predicts: bool = False,
        past: Sequence[Mapping[str, Any]] = (),
        n_similar: int = 3,
        examples: Sequence[Mapping[str, Any]] = (),
        arm: Sampler | None = None,
    ) -> None:
        check_requests_allowed("a language model")
        check_whole(n_points, "llm: n_points", low=1, high=20)
        check_whole(n_similar, "llm: n_similar", low=0, high=10)
        check_whole(retries, "llm: retries", low=0, high=10)
        check_number(temperature, "llm: temperature", low=0, high=2)
        check_number(timeout_s, "llm: timeout_s", low=0.1, high=3600)
        check_number(wait_s, "llm: wait_s", low=0, high=3600)
        self._limits = SpendingLimits(max_dollars, max_tokens, max_seconds)
        check_flag(with_state, "llm: with_state")
        check_flag(predicts, "llm: predicts")
        self._task, self._n_points = task, n_points
        self._with_state, self._predicts = with_state, predicts
        self._timeout_s, self._retries = timeout_s, retries
        self._backend: Backend = backend_of(
            model, base, temperature=temperature, per_million=price
        )
        if cache is not None:
            from tunekit.samplers.llm.cache import CachedReplies

            place = base or os.environ.get("TUNEKIT_LLM_BASE", "")
            identity = {"model": model, "base": place, "temperature": temperature}
            self._backend = CachedReplies(self._backend, cache, identity=identity)
        self._advice_source: AdviceSource = BackgroundAdvice(wait_s=wait_s)
        self._sleep = time.sleep
        self._examples = past_studies(past) or past_studies(examples)
        self._arm: Sampler = BayesianSampler(past=past) if arm is None else _checked_arm(arm)

    @property
    def may_end(self) -> bool:
        """Return whether the classical sampler may run out of points."""
        return bool(getattr(self._arm, "may_end", True))

    def replaying(self, trials: Mapping[int, TrialRecord]) -> LLMSampler:
        """Return the same sampler with the stored answers of trials instead of a network."""
        other = copy(self)
        other._advice_source = StoredAnswers(trials)
        return other

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        Raises:
            InvalidSpace: no point satisfies the constraints of the space.
            SpaceExhausted: the classical sampler has no further point.
        """
        own = self._arm.suggest(view, numbers)
        turns = Turns(view, advices(view.history))
        found: list[Proposal] = []
        for number, proposal in zip(numbers, own, strict=True):
            if proposal.sampler == GridSampler.name:
                found.append(proposal)
                continue
            advice = self._advice_source.advice(number, self._request(turns, number))
            if advice is not None:
                turns = turns.with_advice(number, advice)
            proposal = self._chosen(turns, number, proposal, found)
            if advice is not None:
                part = {**proposal.evidence.get(KEY, {}), "advice": advice.evidence()}
                proposal = replace(proposal, evidence={**proposal.evidence, KEY: part})
            found.append(proposal)
        return found

    def _chosen(
        self, turns: Turns, number: int, own: Proposal, before: Sequence[Proposal]
    ) -> Proposal:
        """Return the model's proposal if it is its turn and has a good one, else the own one."""
        view = turns.view
        if held(view, number) or not turns.is_llms(number):
            return own
        busy = {key_of(p.params) for p in before} | taken(view.history)
        points = [(k, p) for k, p in unused(view, turns.given, number) if key_of(p) not in busy]
        place = self._preferred(turns, number, [p for _, p in points], own, before)
        if place is None:
            within = self._within_ranges(turns, number, own, before)
            said = "the language model's points promise less" if points else ""
            said = said or turns.absence(self._limits)
            return within or replace(own, reason=f"{own.reason}; {said}")
        came_with, point = points[place]
        why = f"a language model recommends it (advice that came with trial {came_with})"
        part = _part(turns, number, came_with)
        if (expected := predicted(view, turns.given).get(key_of(point))) is not None:
            part["expected"] = list(expected)
        return Proposal(point, self.name, why, {KEY: part})

    def _within_ranges(
        self, turns: Turns, number: int, own: Proposal, before: Sequence[Proposal]
    ) -> Proposal | None:
        """Return the point of a search that the model's ranges guide, `None` for the own one."""
        view = turns.view
        came_with, ranges = newest_ranges(view, turns.given)
        fitted = self._fitted(view) if ranges and "log_improvement" in own.evidence else None
        if fitted is None:
            return None
        found = proposal_within(fitted, ranges, number, _busy(view, before))
        if found is None or found.params == own.params:  # it is the same without the ranges
            return None
        if self._preferred(turns, number, [found.params], own, before) is None:
            return None
        part = {**_part(turns, number, came_with), "ranges": dict(ranges)}
        part["exponent"] = round(exponent(len(fitted.model.data.trials)), 4)
        why = (
            f"a language model expects good values in ranges (advice that came with trial "
            f"{came_with}); {found.reason}"
        )
        return replace(
            found, sampler=self.name, reason=why, evidence={**found.evidence, KEY: part}
        )

    def _preferred(
        self,
        turns: Turns,
        number: int,
        points: Sequence[Params],
        own: Proposal,
        before: Sequence[Proposal],
    ) -> int | None:
        """Return the place of the most promising point, `None` if the own one promises far more.

        Args:
            turns: of the study.
            number: of the trial.
            points: advised ones.
            own: the classical sampler's proposal.
            before: proposals made just before.
        """
        if not points:
            return None
        view, said = turns.view, predicted(turns.view, turns.given)
        expected = [said.get(key_of(p)) for p in points]
        fitted = self._fitted(view) if "log_improvement" in own.evidence else None
        if fitted is None:
            return most_promising(view, expected, None, None)
        busy = _busy(view, before)
        *promised, best = fitted.log_improvements([*points, own.params], number, busy).tolist()
        return most_promising(view, expected, promised, best)

    def _fitted(self, view: StudyView) -> FittedSearch | None:
        """Return the model of the classical sampler, `None` without one."""
        fitted = getattr(self._arm, "fitted", None)
        return None if fitted is None else fitted(view)

    def _request(self, turns: Turns, number: int) -> Callable[[], Advice] | None:
        """Return what asks the model for points, `None` if there is nothing to ask for."""
        view = turns.view
        is_wanted = turns.share(number + 1) > 0.0 and len(view.space) > 0
        if not is_wanted or not turns.may_ask(number, self._limits):
            return None
        known = taken(view.history)
        state = model_state(view, self._fitted(view)) if self._with_state else None
        examples = past_examples(self._examples, view.space, view.objectives[0])
        messages = messages_for(
            view, self._n_points, task=self._task, state=state, examples=examples
        )
        predicting = PredictionRequest.of(view, self._task) if self._predicts else None
        conversation = Conversation(
            self._backend,
            self._timeout_s,
            self._retries,
            self._limits,
            turns.spent,
            self._sleep,
        )

        def ask() -> Advice:
            return conversation.advice(
                messages,
                view.space,
                self._n_points,
                taken=known,
                fixed=view.space.target,
                predicting=predicting,
            )

        return ask


def _busy(view: StudyView, before: Sequence[Proposal]) -> list[Params]:
    """Return the points that run now, with those of the proposals made just before."""
    pending = [t.params for t in view.history.pending() if t.params is not None]
    return [*pending, *(p.params for p in before)]


def _part(turns: Turns, number: int, came_with: int) -> dict[str, Any]:
    """Return the evidence of a model's part in a proposal."""
    return {
        "of": came_with,
        "share": round(turns.share(number), 3),
        "chance": round(turns.rates.chance, 3),
    }


class StoredAnswers:
    """The advice that came with each trial of a study, for a replay.

    Args:
        trials: by number.
    """

    def __init__(self, trials: Mapping[int, TrialRecord]) -> None:
        self._given = dict(advices(trials.values()))

    def advice(self, number: int, ask: Callable[[], Advice] | None) -> Advice | None:
        """Return the advice stored with a trial, without asking the model."""
        stored = self._given.get(number)
        return None if stored is None else Advice.stored(stored)


def _checked_arm(arm: object) -> Sampler:
    """Return a classical sampler.

    Raises:
        InvalidArgument: it is not a classical sampler, or asks a language model itself.
    """
    if not callable(getattr(arm, "suggest", None)) or getattr(arm, "asks_outside", False):
        raise InvalidArgument(
            f"llm: arm={shown(arm)}, expected a sampler object that asks no language model; "
            'sampler="auto" with sampler_options={"llm": {...}} mixes one into the choice of auto.'
        )
    return cast(Sampler, arm)
