"""The prior of a posterior: a randomization in coordinates that are standard normal and independent.

A world is a row of numbers, one for each parameter of the randomization. Each continuous parameter is the quantile, at
Φ(z), of a standard normal coordinate z (a probit transformation); coordinates of a correlation are turned by the root
of its matrix first, and draws of a fixed total are moved afterwards, as in a draw. So a direction that no reading sees
is exactly a standard normal one of the posterior, and an end of a range is far away. Discrete parameters are
enumerated: every combination of their values has its own coordinates.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError, listed
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.world import World

FARTHEST = 5.5
"""The largest coordinate: a probability of 4e-8 lies beyond."""

_NEAR = 0.02
"""A step for second derivatives of a quantile."""

MOST_COMBINATIONS = 64
"""The largest number of combinations of discrete values."""


@dataclass(frozen=True, eq=False)
class WorldPrior:
    """A randomization, bound to a world, as a standard normal prior in k coordinates for each discrete combination.

    Attributes:
        randomization: the randomization, bound.
        continuous: (k,) the columns of parameters that vary continuously.
        choices: (c, p) for every combination of discrete values a row of parameters; NaN in continuous columns.
        chances: (c,) the probability of each combination.
        roots: for each correlation the positions of its coordinates and the root of its matrix.
    """

    randomization: Randomization
    continuous: Ints
    choices: Floats
    chances: Floats
    roots: tuple[tuple[Ints, Floats], ...]

    @classmethod
    def of(cls, randomization: Randomization, world: World) -> WorldPrior:
        """Bind a randomization to a world and give it coordinates.

        Raises:
            GapError: something other than a randomization, one in which nothing varies, more than 64 combinations of
                discrete values, or a discrete parameter in a correlation.
            WorldError: as `Randomization.bind`.
        """
        if not isinstance(randomization, Randomization):
            raise GapError(
                f"randomization is a Randomization, got {type(randomization).__name__}; a finite mixture is fibre="
            )
        bound = randomization.bind(world)
        names = list(bound.changes)
        values, chances = [], []
        for change in bound.changes.values():
            if change.distribution == "discrete":
                given = change.probabilities or (1 / len(change.values),) * len(change.values)
                kept = [(value, chance) for value, chance in zip(change.values, given, strict=True) if chance > 0]
            elif change.low == change.high or change.deviation == 0:
                kept = [(float(change.quantile(np.array(0.5))), 1.0)]
            else:
                kept = [(math.nan, 1.0)]
            values.append([value for value, _ in kept])
            chances.append([chance for _, chance in kept])
        number = math.prod(len(kept) for kept in values)
        if number > MOST_COMBINATIONS:
            raise GapError(
                f"the discrete parameters have {number} combinations, more than {MOST_COMBINATIONS}: give fewer values"
            )
        choices = np.array(list(itertools.product(*values))).reshape(number, len(names))
        continuous = np.flatnonzero(np.isnan(choices[0]))
        if not len(continuous) and number == 1:
            raise GapError("nothing varies in this randomization: compare with the world as it is, without it")
        place = {names[column]: position for position, column in enumerate(continuous)}
        roots = []
        for correlation in bound.correlations:
            fixed = [name for name in correlation.parameters if name not in place]
            if fixed:
                raise GapError(f"the discrete or constant parameters {listed(fixed)} are correlated: draw them alone")
            with on_one_thread():
                eigen, vectors = np.linalg.eigh(correlation.array())
                root = (vectors * np.sqrt(np.maximum(eigen, 0.0))) @ vectors.T
            roots.append((np.array([place[name] for name in correlation.parameters]), root))
        weights = np.array([math.prod(combination) for combination in itertools.product(*chances)])
        return cls(bound, continuous, choices, weights, tuple(roots))

    @property
    def parameters(self) -> tuple[str, ...]:
        """Return the names of the p parameters."""
        return tuple(self.randomization.changes)

    @property
    def dimension(self) -> int:
        """Return k, the number of coordinates."""
        return len(self.continuous)

    def bend(self, z: Floats, slope: Floats) -> Floats:
        """Compute how the log-likelihood curves because the parameters do, along the coordinates.

        Where u(t) is the parameter at the coordinate t (its logarithm, where that is uniform), a slope g of the
        log-likelihood adds -g u''/u' to its curvature: g t where u is uniform, 0 where it is normal.

        Args:
            z: (k,) coordinates.
            slope: (k,) of the log-likelihood there.

        Returns:
            (k, k) to be added to the information of the coordinates.
        """
        turned, along = z.copy(), slope.copy()
        for positions, root in self.roots:
            turned[positions] = root @ z[positions]
            with on_one_thread():
                along[positions] = np.linalg.lstsq(root, slope[positions], rcond=None)[0]
        changes = [self.randomization.changes[self.parameters[column]] for column in self.continuous]
        each = [-_bent(change, float(t)) * g for change, t, g in zip(changes, turned, along, strict=True)]
        found = np.diag(np.array(each))
        for positions, root in self.roots:
            block = np.ix_(positions, positions)
            found[block] = root @ found[block] @ root
        return found

    def values(self, z: Floats, choice: int = 0) -> Floats:
        """Return the parameters (n, p) of worlds with coordinates (n, k) and a combination of discrete values."""
        from scipy.special import ndtr

        turned = np.array(z, dtype=float)
        for positions, root in self.roots:
            turned[:, positions] = turned[:, positions] @ root
        chance = np.clip(ndtr(turned), 0.0, np.nextafter(1.0, 0.0))
        changes = self.randomization.changes
        found = np.tile(self.choices[choice], (len(turned), 1))
        for position, column in enumerate(self.continuous.tolist()):
            found[:, column] = changes[self.parameters[column]].quantile(chance[:, position])
        for total in self.randomization.totals:
            columns = [self.parameters.index(name) for name in total.parameters]
            found[:, columns] = total.restore(found[:, columns], changes)
        return found

    def ensemble(self, z: Floats, choice: int = 0, weights: Floats | None = None) -> Ensemble:
        """Return the worlds with coordinates (n, k) as an ensemble, of equal weight where none are given."""
        values = self.values(z, choice)
        given = np.full(len(values), 1.0 / len(values)) if weights is None else weights
        modes = tuple(change.mode for change in self.randomization.changes.values())
        return Ensemble(self.parameters, modes, values, given, self.randomization.level)


def _bent(change: Change, t: float) -> float:
    """Compute u''/u' at the coordinate t, where u(t) is the parameter, or its logarithm where that is uniform."""
    from scipy.special import ndtr

    if change.distribution in ("uniform", "loguniform"):
        return -t
    if change.high == np.inf:
        return 0.0
    below, here, above = change.quantile(ndtr(np.array([t - _NEAR, t, t + _NEAR])))
    return float(2 * (above - 2 * here + below) / (_NEAR * (above - below))) if above > below else 0.0
