"""`proxy`: a cheap function screens the candidates of another sampler before one is run."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import Any, TypeAlias, cast

from tunekit import registry
from tunekit.errors import InvalidArgument
from tunekit.records import MetricConstraint, Proposal
from tunekit.samplers.base import Sampler, StudyView
from tunekit.spaces import Params

Proxy: TypeAlias = Callable[[Params], float | Mapping[str, float]]
"""Gives a score (the less the better) or named values, one of which is the score."""

STRIDE = 1 << 32
"""Distance of the numbers under which one trial's candidates are drawn: streams of their own."""

CANDIDATES = 8
MAX_CANDIDATES = 10_000

Suggest: TypeAlias = Callable[[StudyView, Sequence[int]], list[Proposal]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the proxy says of a candidate.

    Attributes:
        rank: the lesser is the better; candidates that it failed on stand last.
        values: what it returned.
        error: why it failed, or an empty string.
    """

    rank: tuple[int, float, float]
    values: Mapping[str, float]
    error: str = ""

    @property
    def is_accepted(self) -> bool:
        """Return whether it keeps the bounds."""
        return self.rank[0] == 0


class Screen:
    """Draws several candidates for a trial and lets the best by a cheap function pass.

    Args:
        proxy: a deterministic function of the params, or where it is: `"module:function"`. It
            returns a score, the less the better, or a dict of values with the score in it.
        candidates: how many are screened for each trial, 1 to 10,000.
        bounds: bounds on the returned values, such as `["size_mib <= 25"]`.
        score: the name of the score in the returned dict.

    Raises:
        InvalidArgument: an option outside its range, or a function that cannot be imported.
    """

    def __init__(
        self,
        proxy: Proxy | str,
        *,
        candidates: int = CANDIDATES,
        bounds: Sequence[str] = (),
        score: str = "score",
    ) -> None:
        is_count = isinstance(candidates, int) and not isinstance(candidates, bool)
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
        """Return the best of the candidates that `suggest` makes for one trial."""
        own = [number + i * STRIDE for i in range(self._candidates)]
        given = view.fixed.get(number)
        fixed = {**view.fixed, **({k: given for k in own} if given else {})}
        candidates = suggest(replace(view, fixed=fixed), own)
        verdicts = [self._judged(c.params) for c in candidates]
        best = min(range(len(verdicts)), key=lambda i: verdicts[i].rank)
        return self._told(candidates[best], verdicts, best)

    def _judged(self, params: Params) -> Verdict:
        failed = (2, 0.0, 0.0)
        try:
            returned = self._proxy(Params(params))
            values = dict(returned) if isinstance(returned, Mapping) else {self._score: returned}
            values = {str(name): float(v) for name, v in values.items()}
        except Exception as error:  # the user's function: whatever it raises costs one candidate
            return Verdict(failed, {}, " ".join(f"{type(error).__name__}: {error}".split())[:200])
        score = values.get(self._score, math.nan)
        if math.isnan(score):
            return Verdict(failed, {}, f"{self._score} is missing or NaN in {values}"[:200])
        violation = sum(b.violation(values) for b in self._bounds)
        return Verdict((int(violation > 0.0), violation, score), values)

    def _told(self, chosen: Proposal, verdicts: Sequence[Verdict], best: int) -> Proposal:
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
            why += "" if verdict.is_accepted else ", all outside of its bounds"
        evidence = {**chosen.evidence, "proxy": note}
        return replace(chosen, reason=f"{chosen.reason}; {why}", evidence=evidence)


class ProxySampler:
    """Proposes the best of several candidates of another sampler, by a training-free function.

    A bound that is known from the params alone (a size, a latency from a table) belongs in
    `bounds`, not as a penalty in the score, whose unit it does not share. Where every candidate
    breaks a bound, the one that breaks it least is proposed. A function that fails on a
    candidate only loses that candidate; where it fails on all, the sampler's own is taken.

    Args:
        proxy: see `Screen`, as for `candidates`, `bounds` and `score`.
        sampler: what makes the candidates: a short name or an instance.
        options: keyword arguments of a sampler that is given by its short name.

    Raises:
        InvalidArgument: an option outside its range, or a function that cannot be imported.

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
                f"proxy: options={dict(options)!r} for a sampler that is made already; give its "
                "short name, or make it with these options."
            )
        self._screen = Screen(proxy, candidates=candidates, bounds=bounds, score=score)
        made = registry.make("sampler", sampler, options) if isinstance(sampler, str) else sampler
        self._inner = cast(Sampler, made)

    def suggest(self, view: StudyView, numbers: Sequence[int]) -> list[Proposal]:
        """Return one proposal for each trial number.

        Raises:
            InvalidSpace: as the sampler that makes the candidates.
        """
        return [
            replace(self._screen.propose(self._inner.suggest, view, number), sampler=self.name)
            for number in numbers
        ]


def loaded(proxy: Proxy | str) -> Proxy:
    """Return the function that `"module:function"` names.

    Raises:
        InvalidArgument: there is none.
    """
    if callable(proxy):
        return proxy
    module, found, name = str(proxy).partition(":")
    try:
        function = getattr(import_module(module), name, None) if found and module else None
    except ImportError as error:
        raise InvalidArgument(f"proxy: {proxy!r}: {error}; correct the module's name.") from None
    if not callable(function):
        raise InvalidArgument(
            f'proxy: got {proxy!r}, expected a function, or where it is: "module:function".'
        )
    return function  # type: ignore[no-any-return]
