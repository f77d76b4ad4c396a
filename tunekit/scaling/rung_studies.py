"""The studies of a wind tunnel's rungs: loaded, or made from the rungs before."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import linear_regression

from tunekit.api import load_study
from tunekit.api import study as make_study
from tunekit.checkpoints.base import Checkpoints
from tunekit.errors import StudyExists, UnknownStudy
from tunekit.samplers.coordinate.certificate import Certificate
from tunekit.samplers.coordinate.rules import CoordinateRules
from tunekit.samplers.coordinate.sampler import CoordinateSampler
from tunekit.scaling.drift import vertex_of
from tunekit.scaling.rung_space import rung_space, rung_value
from tunekit.scaling.rungs import KEY, Rung, base_value, rung_of
from tunekit.scaling.stability import SAME, stability_report
from tunekit.scaling.transfer import Carried, Point, carried
from tunekit.scaling.tunnel_plan import TunnelPlan, descent_to_dict
from tunekit.spaces import Float, Int, Scalar, Space
from tunekit.storages.base import Storage
from tunekit.studies.study import Study


@dataclass(frozen=True, slots=True)
class RungStudies:
    """The studies of one tunnel.

    Attributes:
        plan: of the tunnel.
        storage: where the studies are.
        checkpoints: place of the trials' checkpoints, if there is one.
    """

    plan: TunnelPlan
    storage: Storage
    checkpoints: str | Path | Checkpoints | None

    def load(self, index: int) -> Study:
        """Return the study of a rung.

        Raises:
            UnknownStudy: the rung has not begun.
        """
        name = self.plan.study_name(index)
        return load_study(name, storage=self.storage, checkpoints=self.checkpoints)

    def begun(self) -> list[Study]:
        """Return the studies of the rungs that have begun, from small to large."""
        out = []
        for rung in self.plan.rungs:
            try:
                out.append(self.load(rung.index))
            except UnknownStudy:
                break
        return out

    def begin(self, index: int) -> Study:
        """Return the study of a rung, made from the rungs before if it is not there yet.

        Raises:
            UnknownStudy: the first rung, or one below, is not there.
            NoCompleteTrial: the rung before has no complete trial to carry up.
        """
        try:
            return self.load(index)
        except UnknownStudy:
            if index == 0:
                raise
        earlier = [self.load(i) for i in range(index)]
        rung = self.plan.rungs[index]
        found = self.carried(earlier, rung.sizes, rung.m)
        given = self._factors(rung)
        moves = {**given, **self._fitted_factors(earlier[0], found)}
        space = rung_space(self.plan.space, moves, rung.sizes)
        stable = self._stable(earlier)
        rules = self._descent(space, moves, stable)
        start = {p: _placed(space, p, c.value, rules) for p, c in found.items()}
        for path, value in (stable or {}).items():
            start[path] = rung_value(space.by_path[path].domain, value, moves.get(path, 1.0))
        spec = earlier[0].record().spec
        try:
            return make_study(
                self.plan.study_name(index),
                space=space,
                objectives={o.metric: o.direction for o in spec.objectives},
                constraints=[str(c) for c in spec.constraints],
                storage=self.storage,
                sampler="coordinate",
                sampler_options={"start": start, **descent_to_dict(rules)},
                stopper=spec.stopper or None,
                stopper_options=dict(spec.stopper_options) if spec.stopper else None,
                audit=spec.audit,
                seed=spec.seed + index,
                max_retries=spec.max_retries,
                attrs=self.plan.attrs(replace(rung, factors=given), start),
                checkpoints=self.checkpoints,
                load_if_exists=False,
            )
        except StudyExists:  # another process was quicker; its point counts
            return self.load(index)

    def certificate(self, study: Study) -> Certificate:
        """Return the certificate of a rung by the plan's rules, whatever sampler tuned it."""
        if isinstance(study.sampler, CoordinateSampler):
            return study.certificate()
        return study.certificate(**descent_to_dict(self.plan.descent))

    def decays(self, index: int) -> Study:
        """Return the study of a rung's stable run and decays, made if it is not there yet.

        It is one of its own: runs of other lengths would mislead the descent of the rung.
        """
        rung = self.load(index)
        return make_study(
            f"{rung.name}-wsd",
            space=rung.space,
            objectives={o.metric: o.direction for o in rung.objectives},
            storage=self.storage,
            sampler="random",
            seed=rung.record().spec.seed,
            checkpoints=self.checkpoints,
        )

    def carried(
        self, earlier: Sequence[Study], sizes: Mapping[str, float], m: float
    ) -> dict[str, Carried]:
        """Return path -> value at other sizes, for the best point of the last rung.

        Args:
            earlier: the studies of the rungs to carry from, from small to large.
            sizes: the sizes to carry to.
            m: the multiplier there, relative to the first rung.

        Raises:
            NoCompleteTrial: the last rung has no complete trial.
        """
        certificates = [self.certificate(s) for s in earlier]
        last = certificates[-1].params
        if last is None:
            last = earlier[-1].best_params  # says why there is none
        out: dict[str, Carried] = {}
        for path, value in dict(last).items():
            if path in self.plan.rungs[0].sizes:
                continue
            rule = self.plan.rule(path)
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            domain = earlier[-1].space.by_path[path].domain
            if rule.is_constant or not is_number or value in getattr(domain, "special", ()):
                out[path] = Carried(value, {})
                continue
            points = [
                _point(study, path, c, is_fitted=rule.is_fitted)
                for study, c in zip(earlier, certificates, strict=True)
                if c.params is not None and path in dict(c.params)
            ]
            priors = self.plan.priors.get(path, {})
            out[path] = carried(rule, path, points, sizes=sizes, m=m, priors=priors)
        return out

    def _factors(self, rung: Rung) -> dict[str, float]:
        """Return path -> what the given rules multiply values of the first rung by on this one."""
        base = self.plan.rungs[0].sizes
        rules = {p: r for p, r in self.plan.rules.items() if not (r.is_constant or r.is_fitted)}
        return {p: _short(r.factor(rung.sizes, base, rung.m)) for p, r in rules.items()}

    def _fitted_factors(self, first: Study, found: Mapping[str, Carried]) -> dict[str, float]:
        """Return the same for fitted rules, by what their law carries up from the first rung."""
        best = dict(self.certificate(first).params or {})
        return {
            path: _short(_number(found[path].value) / _number(best[path]))
            for path, rule in self.plan.rules.items()
            if rule.is_fitted and path in found and path in best
        }

    def _descent(
        self, space: Space, moves: Mapping[str, float], stable: Mapping[str, Scalar] | None
    ) -> CoordinateRules:
        """Return the rules of a later rung: the values of the first one, moved to its units."""
        rules = self.plan.descent
        levels = rules.levels(self.plan.space)
        moved = {}
        for path, values in levels.items():
            domain, factor = space.by_path[path].domain, moves.get(path, 1.0)
            moved[path] = [rung_value(domain, v, factor) for v in values]
        vary = rules.vary if stable is None else tuple([p for p in levels if p not in stable])
        return replace(rules, values=moved, reach=rules.reach or 1, vary=vary)

    def _stable(self, earlier: Sequence[Study]) -> dict[str, Scalar] | None:
        """Return path -> value of what is no longer varied, `None` while all is."""
        if not self.plan.freeze_stable or len(earlier) < 2:
            return None
        report = stability_report(earlier, tolerance=self.plan.stability)
        levels = self.plan.descent.levels(self.plan.space)
        stable = {p: v for p, v in report.stable.items() if not self._moves(earlier, p, levels[p])}
        last = earlier[-1]
        varied = rung_rules(last).levels(last.space)
        for path in levels:
            if path not in varied:  # frozen before, so the last rung has tried a single value
                value = dict(last.user_attrs[KEY]["carried"]).get(path)
                stable[path] = base_value(rung_of(last.user_attrs), path, value)
        return stable

    def _moves(self, earlier: Sequence[Study], path: str, levels: Sequence[Scalar]) -> bool:
        """Return whether a number would leave its value by half a step up to the last rung.

        Between two rungs a drift may hide in the tolerance, and add up over the others.
        """
        domain = self.plan.space.by_path[path].domain
        if not isinstance(domain, Float | Int):
            return False
        places = []
        for study in earlier:
            rung, found = rung_of(study.user_attrs), self.certificate(study)
            if rung is None or found.params is None or path not in dict(found.params):
                continue
            vertex = base_value(rung, path, vertex_of(study.space, path, found))
            places.append((math.log(rung.m), domain.to_unit(_number(vertex))))
        x = [m for m, _ in places]
        if len(set(x)) < 2:
            return True
        slope = linear_regression(x, [u for _, u in places]).slope
        furthest = math.log(self.plan.rungs[-1].m)
        return abs(slope) * furthest > 0.5 / max(1, len(levels) - 1)


def rung_rules(study: Study) -> CoordinateRules:
    """Return the rules by which a rung is judged."""
    rules = getattr(study.sampler, "rules", None)
    return rules if isinstance(rules, CoordinateRules) else CoordinateRules()


def _point(study: Study, path: str, certificate: Certificate, *, is_fitted: bool) -> Point:
    """Return the best value on a rung; a law takes the vertex between the values tried."""
    rung = rung_of(study.user_attrs)
    assert rung is not None and certificate.params is not None
    best = dict(certificate.params)[path]
    value = vertex_of(study.space, path, certificate) if is_fitted else best
    return Point(rung, _number(value), _spread(study, path))


def _spread(study: Study, path: str) -> float:
    """Return the standard error of the logarithm of a best value: a quarter of a grid step."""
    levels = rung_rules(study).levels(study.space).get(path, ())
    numbers = sorted(float(v) for v in levels if isinstance(v, int | float) and v > 0)
    if len(numbers) < 2:
        return 0.0
    return math.log(numbers[-1] / numbers[0]) / (len(numbers) - 1) / 4.0


def _number(value: Scalar) -> float:
    assert isinstance(value, int | float)
    return float(value)


def _short(factor: float) -> float:
    return float(f"{factor:.9g}")


def _placed(space: Space, path: str, value: Scalar, rules: CoordinateRules) -> Scalar:
    """Return a carried value in its domain; a value of the descent that is as good as equal."""
    placed = rung_value(space.by_path[path].domain, value, 1.0)
    if isinstance(placed, float):
        near = [v for v in rules.values.get(path, ()) if isinstance(v, float)]
        return next((v for v in near if math.isclose(v, placed, rel_tol=SAME)), placed)
    return placed
