"""Dependence between parameters: correlated draws, and draws that are moved so that their total stays fixed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.worlds.randomization.change import Change

_SINGULAR = 1e-10
"""A share of a variance below which the rest of it is rounding."""

_FOLLOWS = 1e-7
"""The largest difference in probability of a number that follows from others."""

_POINTS_AT_ONCE = 1024
_NODES = 64
_COARSE = 33
_NARROWINGS = 4
_NEGLIGIBLE = 40.0
"""Nats under the peak of an integrand that do not count."""


@dataclass(frozen=True)
class Correlation:
    """Parameters that are drawn together, by a Gaussian copula.

    Standard normal numbers with this correlation matrix go through the normal distribution function and then
    through each parameter's quantile function, so every parameter keeps its own distribution and Spearman's rank
    correlation of two continuous ones is ``6/π asin(ρ/2)``. Source: R. B. Nelsen, "An Introduction to Copulas",
    2nd ed., 2006.

    Attributes:
        parameters: names of k parameters; one with a draw for each element stands for all its columns.
        coefficient: the correlation of every pair; 1 makes all of them follow one shared draw.
        matrix: the k x k correlation matrix, row by row, instead of one coefficient.
    """

    parameters: tuple[str, ...]
    coefficient: float | None = None
    matrix: tuple[tuple[float, ...], ...] | None = None

    def __post_init__(self) -> None:
        where = f"correlation between {listed(self.parameters)}"
        if (self.coefficient is None) == (self.matrix is None):
            raise WorldError(f"{where}: give either a coefficient or a matrix")
        if len(set(self.parameters)) != len(self.parameters):
            raise WorldError(f"{where}: names a parameter twice")
        if self.coefficient is not None and not -1 <= self.coefficient <= 1:
            raise WorldError(f"{where}: the coefficient needs to be from -1 to 1, got {self.coefficient:g}")

    def array(self) -> Floats:
        """Return the correlation matrix, (k, k).

        Raises:
            WorldError: it is not symmetric with a diagonal of 1, has another size than there are parameters, or
                has a negative eigenvalue, so that it is not a correlation matrix.
        """
        k, where = len(self.parameters), f"correlation between {listed(self.parameters)}"
        if self.matrix is None:
            matrix = np.full((k, k), self.coefficient, dtype=float)
            np.fill_diagonal(matrix, 1.0)
        else:
            if [len(row) for row in self.matrix] != [k] * k:
                raise WorldError(f"{where}: {k} parameters need a matrix of {k} rows of {k} numbers")
            matrix = np.array(self.matrix, dtype=float).reshape(k, k)
        if not (np.isfinite(matrix).all() and np.array_equal(matrix, matrix.T) and (np.diag(matrix) == 1).all()):
            raise WorldError(f"{where}: the matrix needs to be symmetric, with 1 on its diagonal")
        least = float(np.linalg.eigvalsh(matrix).min(initial=1.0))
        if least < -1e-9:
            raise WorldError(f"{where}: no {k} numbers are correlated like this, the least eigenvalue is {least:.3g}")
        return matrix

    def uniforms(self, n: int, rng: np.random.Generator) -> Floats:
        """Draw n rows of k numbers, uniform on [0, 1) each and correlated through the copula, (n, k)."""
        from scipy.special import ndtr

        with on_one_thread():
            values, vectors = np.linalg.eigh(self.array())
            # the symmetric root: unlike Cholesky's it exists where the matrix is singular, as a shared draw's is
            root = np.einsum("ij,j,kj->ik", vectors, np.sqrt(np.maximum(values, 0.0)), vectors)
        normal = np.einsum("nk,jk->nj", rng.standard_normal((n, len(root))), root)
        return np.asarray(np.clip(ndtr(normal), 0.0, np.nextafter(1.0, 0.0)))

    def log_density(self, values: Floats, changes: Mapping[str, Change]) -> Floats:
        """Return the log-density (n,) of numbers (n, k) that are drawn together.

        With z_i = Φ⁻¹(F_i(x_i)) the density of continuous numbers is Π f_i(x_i) times that of the Gaussian copula,
        ``det(R)^-½ exp(-½ zᵀ (R⁻¹ - 1) z)``. Discrete numbers add the probability that their normal numbers, given
        those of the others, lie in their cells. Where the matrix is singular, some numbers follow from those before
        them: the density is per unit of the others, and -inf where they do not follow.

        Args:
            values: (n, k) the numbers of the parameters.
            changes: the changes by parameter.

        Raises:
            WorldError: as `array`.
        """
        matrix, parts = self.array(), [changes[name] for name in self.parameters]
        found = np.zeros(len(values))
        for part, column in zip(parts, values.T, strict=True):
            if part.constant or not part.values:
                found += part.log_density(column)
        smooth = [i for i, part in enumerate(parts) if not part.values and not part.constant]
        stepped = [i for i, part in enumerate(parts) if part.values and not part.constant]
        free = _independent(matrix, smooth)
        scores = _scores(np.stack([part.cumulative(of) for part, of in zip(parts, values.T, strict=True)], axis=1))
        with on_one_thread():
            inverse = np.linalg.inv(matrix[np.ix_(free, free)])
            found += 0.5 * np.linalg.slogdet(inverse)[1]
            found -= 0.5 * np.einsum("ni,ij,nj->n", scores[:, free], inverse - np.eye(len(free)), scores[:, free])
            for column in [i for i in smooth if i not in free]:
                follows = _uniform(scores[:, free] @ (inverse @ matrix[free, column]))
                away = np.abs(_uniform(scores[:, column]) - follows)
                own = parts[column].log_density(values[:, column])
                found = np.where(away <= _FOLLOWS, found - np.where(np.isfinite(own), own, 0.0), -np.inf)
            if stepped:
                mean = scores[:, free] @ (inverse @ matrix[np.ix_(free, stepped)])
                known = matrix[np.ix_(stepped, free)] @ inverse @ matrix[np.ix_(free, stepped)]
                cells = np.array([parts[i].cell(values[:, i]) for i in stepped])
                found += _log_box(mean, matrix[np.ix_(stepped, stepped)] - known, cells[:, 0].T, cells[:, 1].T)
        return found


@dataclass(frozen=True)
class FixedTotal:
    """Parameters whose drawn values are moved so that their sum over the model stays the same.

    Factors (``scale``) are multiplied by a common number, addends and values (``shift``, ``set``) have one added,
    both cut to their ranges, such that the total is met: ``x_i = clip(a_i + t b_i, low_i, high_i)`` with the t that
    solves ``Σ w_i x_i = total``. As the sum grows with t, it lies between two of the points where an x_i meets an
    end of its range, and is linear there. The difference that remains is rounding, under 1e-12 of the total or of the
    largest sum within the ranges.

    Attributes:
        parameters: names of the parameters, of one field and one mode.
        weights: the part of each column in the sum, per unit; filled in by `Randomization.bind`.
        total: the sum; filled in by `Randomization.bind`.
    """

    parameters: tuple[str, ...]
    weights: tuple[float, ...] | None = None
    total: float | None = None

    def restore(self, drawn: Floats, changes: Mapping[str, Change]) -> Floats:
        """Move the draws (n, p) of the parameters until they have the total.

        Raises:
            WorldError: as `check`.
        """
        total, weights, low, high = self.check(changes)
        factors = changes[self.parameters[0]].mode == "scale"
        base, slope = (np.zeros_like(drawn), drawn) if factors else (drawn, np.ones_like(drawn))
        return _summing_to(total, weights, base, slope, low, high)

    def log_density(self, values: Floats, changes: Mapping[str, Change]) -> Floats:
        """Return the log-density (n,) of numbers (n, p) that were drawn independently and then moved to the total.

        All draws a that differ by a common t are moved to one point x. With the parts I inside their ranges, those L at
        their low ends and those H at their high ends, a sum that is kept by adding t has the density

            (Σ_I w_i / w_k) ∫ Π_I f_i(x_i - t) Π_L F_i(low_i - t) Π_H (1 - F_i(high_i - t)) dt,

        and one that is kept by multiplying, over s = ln t,

            (Σ_I w_i x_i / w_k) ∫ Π_I f_i(x_i/t)/t Π_L F_i(low_i/t) Π_H (1 - F_i(high_i/t)) ds.

        It is per unit of the parts inside their ranges but one of them, k, which follows from the total: the one with
        the largest weight. Parts at their ends have a probability there. The factors before the integrals are the
        determinants of the derivatives of a_I by (x_I without x_k, t).

        Args:
            values: (n, p) the numbers of the parameters.
            changes: the changes by parameter.

        Raises:
            WorldError: as `check`, or a part that is moved though its deviation is 0.
        """
        total, weights, low, high = self.check(changes)
        parts = [changes[name] for name in self.parameters]
        for name, part in zip(self.parameters, parts, strict=True):
            if part.deviation == 0 and part.low < part.high:
                raise WorldError(
                    f"'{name}' has the deviation 0 but moves with its total, so it has no density; widen it"
                )
        return _TotalDensity(parts, weights, low, high, total, parts[0].mode == "scale").of(values)

    def check(self, changes: Mapping[str, Change]) -> tuple[float, Floats, Floats, Floats]:
        """Return the total, and the weights and ends of the p columns, if their ranges allow it.

        Raises:
            WorldError: the randomization is not bound to a world, a range is unbounded, discrete or has no
                positive factors, or no draws within the ranges have this total.
        """
        where = f"fixed total of {listed(self.parameters)}"
        if self.weights is None or self.total is None:
            raise WorldError(f"{where}: the total is the model's; bind the randomization to its world first")
        parts = [changes[name] for name in self.parameters]
        weights = np.array(self.weights)
        low, high = np.array([part.low for part in parts]), np.array([part.high for part in parts])
        if not (np.isfinite(low).all() and np.isfinite(high).all()) or any(part.values for part in parts):
            raise WorldError(f"{where}: needs uniform, loguniform or truncated normal draws, which can be moved")
        if parts[0].mode == "scale" and not (low > 0).all():
            raise WorldError(f"{where}: needs factors > 0, got the range [{low.min():g}, {high.max():g}]")
        least, most = float(weights @ low), float(weights @ high)
        slack = 1e-12 * max(abs(self.total), float(np.abs(weights) @ np.maximum(np.abs(low), np.abs(high))))
        if not least - slack <= self.total <= most + slack:
            raise WorldError(
                f"{where}: needs to stay {self.total:g}, but the ranges allow only {least:g} to {most:g}; "
                "choose ranges, or a centre, around the model's values"
            )
        return self.total, weights, low, high


@dataclass(frozen=True, eq=False)
class _TotalDensity:
    """The density of p independent draws that are moved to a total, see `FixedTotal.log_density`."""

    parts: list[Change]
    weights: Floats
    low: Floats
    high: Floats
    total: float
    factors: bool

    def of(self, values: Floats) -> Floats:
        """Return the log-density (n,) of points (n, p)."""
        found = np.full(len(values), -np.inf)
        size = max(abs(self.total), float(np.abs(self.weights) @ np.maximum(np.abs(self.low), np.abs(self.high))))
        within = (values >= self.low).all(axis=1) & (values <= self.high).all(axis=1)
        within &= np.abs(np.einsum("np,p->n", values, self.weights) - self.total) <= 1e-9 * size
        # 0 inside, -1 and 1 at the ends, 2 where a part is always the same
        place = np.where(values == self.low, -1, 0) + np.where(values == self.high, 1, 0)
        place = np.where(self.low == self.high, 2, place)
        for kind in np.unique(place[within], axis=0):
            rows = np.flatnonzero(within & (place == kind).all(axis=1))
            for block in np.array_split(rows, -(-len(rows) // _POINTS_AT_ONCE)):
                found[block] = self._on_face(values[block], kind)
        return found

    def _on_face(self, values: Floats, kind: NDArray[np.int64]) -> Floats:
        """Return the log-density of points whose parts are inside their ranges or at their ends alike."""
        inside, lower, upper = (np.flatnonzero(kind == place) for place in (0, -1, 1))
        weights = self.weights[inside]
        if (
            not len(inside) or weights.max() <= 0
        ):  # all that count are at one end, which is sure where the total is there
            moved = kind[(kind != 2) & (self.weights > 0)]
            ends = (self.low if (moved <= 0).all() else self.high) @ self.weights
            alike = (moved <= 0).all() or (moved >= 0).all()
            sure = alike and not len(inside) and np.isclose(ends, self.total, rtol=1e-12, atol=0.0)
            return np.full(len(values), 0.0 if sure else -np.inf)
        if len(lower) and len(upper):  # all parts move the same way
            return np.full(len(values), -np.inf)
        at = np.log(values) if self.factors else values
        low, high = (np.log(self.low), np.log(self.high)) if self.factors else (self.low, self.high)
        first = np.max(at[:, inside] - high[inside], axis=1)
        last = np.min(at[:, inside] - low[inside], axis=1)
        if len(lower):
            last = np.minimum(last, 0.0)
        if len(upper):
            first = np.maximum(first, 0.0)

        def integrand(t: Floats) -> Floats:
            """Return the logarithm of the integrand at moves t (n, m)."""
            found = np.zeros(t.shape)
            for i in inside:
                drawn = at[:, i, None] - t
                found += self.parts[i].log_density(np.exp(drawn) if self.factors else drawn)
            found -= len(inside) * t if self.factors else 0.0
            for i, end in ((i, low[i]) for i in lower):
                found += _log(self.parts[i].cumulative(np.exp(end - t) if self.factors else end - t))
            for i, end in ((i, high[i]) for i in upper):
                found += _log(1.0 - self.parts[i].cumulative(np.exp(end - t) if self.factors else end - t))
            return found

        kinks = [low[i] - high[i] for i in lower] + [high[i] - low[i] for i in upper]
        share = values[:, inside] @ weights if self.factors else np.full(len(values), weights.sum())
        return np.asarray(_log(share / weights.max()) + _log_integral(integrand, first, last, kinks))


def _log_integral(integrand: Callable[[Floats], Floats], first: Floats, last: Floats, kinks: Sequence[float]) -> Floats:
    """Integrate from `first` to `last`, (n,), a positive function whose logarithm is given, and return the logarithm.

    Gauss-Legendre quadrature between the kinks, each piece narrowed to where the function counts beside its peak.
    """
    nodes, heights = _quadrature()
    edges = np.sort(
        np.clip(np.array([first, last, *(np.full_like(first, kink) for kink in kinks)]), first, last), axis=0
    )
    pieces = []
    for begin, end in pairwise(edges):
        for _ in range(_NARROWINGS):
            t = begin[:, None] + (end - begin)[:, None] * np.linspace(0.0, 1.0, _COARSE)
            values = integrand(t)
            counts = values >= values.max(axis=1, keepdims=True) - _NEGLIGIBLE
            from_, to = counts.argmax(axis=1), _COARSE - 1 - counts[:, ::-1].argmax(axis=1)
            if (from_ <= 1).all() and (to >= _COARSE - 2).all():
                break
            rows = np.arange(len(t))
            begin, end = t[rows, np.maximum(from_ - 1, 0)], t[rows, np.minimum(to + 1, _COARSE - 1)]
        half = 0.5 * (end - begin)
        values = integrand(0.5 * (begin + end)[:, None] + half[:, None] * nodes)
        peak = np.where(np.isfinite(values.max(axis=1)), values.max(axis=1), 0.0)
        pieces.append(_log(np.exp(values - peak[:, None]) @ heights) + peak + _log(half))
    return np.asarray(np.logaddexp.reduce(pieces, axis=0))


@cache
def _quadrature() -> tuple[Floats, Floats]:
    """Return the nodes and weights of Gauss-Legendre quadrature on [-1, 1]."""
    with on_one_thread():
        nodes, heights = np.polynomial.legendre.leggauss(_NODES)
    return np.asarray(nodes, dtype=np.float64), np.asarray(heights, dtype=np.float64)


def _independent(matrix: Floats, columns: list[int]) -> list[int]:
    """Return those of the columns of a correlation matrix that do not follow from the columns before them."""
    free: list[int] = []
    for column in columns:
        block = matrix[np.ix_(free, free)]
        with on_one_thread():
            known = matrix[column, free] @ np.linalg.solve(block, matrix[free, column]) if free else 0.0
        if 1.0 - known > _SINGULAR:
            free.append(column)
    return free


def _log_box(mean: Floats, covariance: Floats, below: Floats, above: Floats) -> Floats:
    """Return the log-probability (n,) that normal numbers (n, k) lie between the quantiles `below` and `above`."""
    from scipy.special import ndtr, ndtri
    from scipy.stats import multivariate_normal

    low, high = ndtri(below) - mean, ndtri(above) - mean
    empty = (below >= above).any(axis=1)
    if low.shape[1] == 1:
        deviation = max(float(np.sqrt(max(covariance[0, 0], 0.0))), np.sqrt(_SINGULAR))
        chance = ndtr(high[:, 0] / deviation) - ndtr(low[:, 0] / deviation)
    else:
        normal = multivariate_normal(np.zeros(len(covariance)), covariance, allow_singular=True, seed=0)
        chance = np.array([normal.cdf(to, lower_limit=start) for start, to in zip(low, high, strict=True)])
    return _log(np.where(empty, 0.0, np.clip(chance, 0.0, 1.0)))


def _scores(chance: Floats) -> Floats:
    """Return the standard normal numbers below which a draw is with these probabilities, finite at 0 and 1."""
    from scipy.special import ndtri

    return np.asarray(ndtri(np.clip(chance, np.nextafter(0.0, 1.0), np.nextafter(1.0, 0.0))))


def _uniform(score: Floats) -> Floats:
    """Return the probability of a standard normal number up to a score."""
    from scipy.special import ndtr

    return np.asarray(ndtr(score))


def _log(values: Floats) -> Floats:
    """Return the logarithm of numbers >= 0, -inf of 0."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(np.maximum(values, 0.0)))


def _summing_to(total: float, weights: Floats, base: Floats, slope: Floats, low: Floats, high: Floats) -> Floats:
    """Return rows ``clip(base + t slope, low, high)``, (n, p), whose weighted sum is the total."""

    def moved(t: Floats) -> Floats:
        return np.clip(base + t[:, None] * slope, low, high)

    def summed(t: Floats) -> Floats:
        return np.asarray(np.einsum("np,p->n", moved(t), weights))

    kinks = np.sort(np.concatenate([(low - base) / slope, (high - base) / slope], axis=1), axis=1)
    sums = np.stack([summed(t) for t in kinks.T], axis=1)
    after = np.clip((sums < total).sum(axis=1), 1, kinks.shape[1] - 1)
    rows = np.arange(len(base))
    t0, t1, s0, s1 = kinks[rows, after - 1], kinks[rows, after], sums[rows, after - 1], sums[rows, after]
    rise = np.where(s1 > s0, s1 - s0, 1.0)
    t = t0 + (t1 - t0) * np.clip((total - s0) / rise, 0.0, 1.0)
    # one step of Newton removes the error of rounding between distant kinks
    inside = (base + t[:, None] * slope > low) & (base + t[:, None] * slope < high)
    gradient = np.einsum("np,p->n", np.where(inside, slope, 0.0), weights)
    t = t + np.where(gradient > 0, (total - summed(t)) / np.where(gradient > 0, gradient, 1.0), 0.0)
    return moved(t)
