"""Dependence between parameters: correlated draws, and draws that are moved so that their total stays fixed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.worlds.randomization.change import Change


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
