"""`proxy`: screens another sampler's candidates with a cheap function before one is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias, cast

from tunekit import registry
from tunekit.checks import is_whole
from tunekit.errors import InvalidArgument
from tunekit.records import MetricConstraint, Proposal
from tunekit.samplers.base import Sampler, StudyView, refuse_asking
from tunekit.spaces import Params

Proxy: TypeAlias = Callable[[Params], float | Mapping[str, float]]
"""Returns a score (less is better), or named values that include the score."""

STRIDE = 1 << 32
"""Distance between the numbers of one trial's candidates, which gives each its own stream."""

CANDIDATES = 8
MAX_CANDIDATES = 10_000

Suggest: TypeAlias = Callable[[StudyView, Sequence[int]], list[Proposal]]


@dataclass(frozen=True, slots=True)
class ProxyScore:
    """The proxy's verdict on a candidate.

    Attributes:
        rank: less is better; candidates on which the proxy failed come last.
        values: the values it returned.
        error: why it failed, an empty string if it did not.
    """

    rank: tuple[int, float, float]
    values: Mapping[str, float]
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        """Return whether the candidate satisfies the bounds."""
        return self.rank[0] == 0


class Screen:
    """Draws several candidates for a trial and passes the best one by a cheap function.

    Args:
        proxy: a deterministic function of the params, or its location `"module:function"`. It
            returns a score (less is better), or a dict of values that includes the score.
        candidates: number of candidates to screen per trial, 1 to 10,000.
        bounds: bounds on the returned values, such as `["size_mib <= 25"]`.
        score: name of the score in the returned dict.

    Raises:
        InvalidArgument: an option lies outside its range, or the function cannot be imported.
    """

    def __init__(
        self,
        proxy: Proxy | str,
        *,
        candidates: int = CANDIDATES,
        bounds: Sequence[str] = (),
        score: str = "score",
    ) -> None:
        is_count = is_whole(candidates)
        if not is_count or not 1 <= candidates <= MAX_CANDIDATES:
            raise InvalidArgument(
                f"proxy: candidates={candidates!r}, expected a whole number from 1 to "
                f"{MAX_CANDIDATES}."
            )
        texts = (bounds,) if isinstance(bounds, str) else bounds
        self._bounds = tuple(MetricConstraint.parse(text) for text in texts)
        self._proxy = loaded(proxy)
        self._score = score
        self._candidates = candidates

    def propose(self, suggest: Suggest, view: StudyView, number: int) -> Proposal:
        """Return the best of the candidates that `suggest` proposes for one trial."""
        own = [number + i * STRIDE for i in range(self._candidates)]
        given = view.fixed.get(number)
        fixed = {**view.fixed, **({k: given for k in own} if given else {})}
        candidates = suggest(replace(view, fixed=fixed), own)
        verdicts = [self._judged(c.params) for c in candidates]
        best = min(range(len(verdicts)), key=lambda i: verdicts[i].rank)
        return self._told(candidates[best], verdicts, best)

    def _judged(self, params: Params) -> ProxyScore:
        failed = (2, 0.0, 0.0)
        try:
            returned = self._proxy(Params(params))
            values = dict(returned) if isinstance(returned, Mapping) else {self._score: returned}
            values = {str(name): float(v) for name, v in values.items()}
        except Exception as error:  # a user function: any exception costs one candidate only
            return ProxyScore(
                failed, {}, " ".join(f"{type(error).__name__}: {error}".split())[:200]
            )
        score = values.get(self._score, math.nan)
        if math.isnan(score):
            return ProxyScore(failed, {}, f"{self._score} is missing or NaN in {values}"[:200])
        violation = sum(b.violation(values) for b in self._bounds)
        return ProxyScore((int(violation > 0.0), violation, score), values)

    def _told(self, chosen: Proposal, verdicts: Sequence[ProxyScore], best: int) -> Proposal:
        errors = [v.error for v in verdicts if v.error]
        verdict = verdicts[best]
        note: dict[str, Any] = {
            "values": {k: v for k, v in verdict.values.items() if math.isfinite(v)},
            "candidates": len(verdicts),
            "accepted": sum(v.is_accepted for v in verdicts),
            "failed": len(errors),
        }
        if errors:
            note["error"] = errors[0]
        if verdict.error:
            why = f"not screened, the proxy failed: {verdict.error}"
        else:
            shown = f"{self._score} {verdict.values[self._score]:.4g}"
            why = f"the best of {len(verdicts)} by the proxy ({shown})"
            why += "" if verdict.is_accepted else ", all outside its bounds"
        evidence = {**chosen.evidence, "proxy": note}
        return replace(chosen, reason=f"{chosen.reason}; {why}", evidence=evidence)


class ProxySampler:
    """Proposes the best of another sampler's candidates by a training-free function.

    Put limits that follow from the params alone (a size, a latency from a table) in `bounds`
    rather than as penalties in the score, which has another unit. If every candidate violates a
    bound, the least violating one is proposed. A failure of the function only discards that
    candidate; if it fails on all, the sampler's first candidate is taken.

    Args:
        proxy: see `Screen`, also for `candidates`, `bounds` and `score`.
        sampler: sampler of the candidates, a short name or an instance.
        options: keyword arguments of a sampler given by its short name.

    Raises:
        InvalidArgument: an option outside its range, a function that cannot be imported, or a
            sampler that asks a language model.

    Reference:
        J. Shi et al., Compressing Pre-trained Models of Code into 3 MB, 2022 (the fitness of a
        model's shape is computed without training).
    """

    name = "proxy"

    def __init__(
        self,
        *,
        proxy: Proxy | str,
        sampler: str | Sampler = "evolution",
        options: Mapping[str, Any] | None = None,
        candidates: int = CANDIDATES,
        bounds: Sequence[str] = (),
        score: str = "score",
    ) -> None:
        if not isinstance(sampler, str) and options:
            raise InvalidArgument(
                f"proxy: options={dict(options)!r} with a sampler instance; give its short name, "
                "or create it with these options."
            )
        self._screen = Screen(proxy, candidates=candidates, bounds=bounds, score=score)
        made = registry.make("sampler", sampler, options) if isinstance(sampler, str) else sampler
        self._inner = cast(Sampler, made)
        refuse_asking(self._inner, self.name)

    @property
    def may_end(self) -> bool:
        """Return whether the sampler of the candidates may run out of points."""
        return bool(getattr(self._inner, "may_end", True))

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        Raises:
            InvalidSpace: the sampler of the candidates raised it.
        """
        return [
            replace(self._screen.propose(self._inner.suggest, view, number), sampler=self.name)
            for number in numbers
        ]


def loaded(proxy: Proxy | str) -> Proxy:
    """Return the function at `"module:function"`.

    Raises:
        InvalidArgument: the function does not exist.
    """
    if callable(proxy):
        return proxy
    module, found, name = str(proxy).partition(":")
    try:
        function = getattr(registry.named_module(module), name, None) if found and module else None
    except ImportError as error:
        raise InvalidArgument(f"proxy: {proxy!r}: {error}; correct the module's name.") from None
    if not callable(function):
        raise InvalidArgument(
            f'proxy: got {proxy!r}, expected a function or its location "module:function".'
        )
    return function  # type: ignore[no-any-return]
