"""A posterior over the worlds of a randomization: modes, draws, intervals, and directions that are not seen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError, unknown_name
from sim2real_cat.posteriors.discrepancy import SensorErrors
from sim2real_cat.posteriors.modes import Mode
from sim2real_cat.posteriors.prior import WorldPrior
from sim2real_cat.worlds.randomization.ensemble import Ensemble


@dataclass(frozen=True, eq=False)
class EpisodeDrift:
    """The answer to the question if the world changed from episode to episode.

    Attributes:
        p_value: the chance of episodes that differ as much, if all are of the world at the mode.
        parameter: the parameter whose episodes differ most for chance.
        parameter_p_value: the same chance for it alone, times the number of parameters.
    """

    p_value: float
    parameter: str
    parameter_p_value: float


@dataclass(frozen=True, eq=False)
class Posterior:
    """The distribution over the worlds of a randomization, given a recording.

    Attributes:
        prior: the randomization as a prior in standard normal coordinates.
        modes: the modes that were found, with the combination of discrete values of each; the most probable first.
        chances: the probability of each mode, by Laplace's approximation.
        z: (n, k) coordinates of draws.
        choice: (n,) combination of discrete values of each draw.
        weights: (n,) probability of each draw; sums to 1.
        log_evidence: ln of the probability density of the recording, the worlds integrated over [nats].
        efficiency: the effective share of the draws, 1 / (n Σ w²): 1 where the normal approximation is exact.
        misfit: for each sensor the mean squared error of the best world, in units of the noise: about 1 where it
            explains the readings, more where the sensor speaks against every world.
        steps: transitions of the recording.
        reasons: why it is not to be relied on; empty where it is.
        notes: what else the reader should know.
        process: where states are hidden, the deviation of the process noise of the filter, in units of the error of the
            first state; 0 elsewhere.
        drift: if the world changed from episode to episode; None of a single one, or where nothing varies continuously.
        errors: of each sensor in the best world, whether they are independent noise; empty where that was not asked.
    """

    prior: WorldPrior
    modes: tuple[tuple[int, Mode], ...]
    chances: Floats
    z: Floats
    choice: Ints
    weights: Floats
    log_evidence: float
    efficiency: float
    misfit: Mapping[str, float]
    steps: int
    reasons: tuple[str, ...]
    notes: tuple[str, ...]
    process: float = 0.0
    drift: EpisodeDrift | None = None
    errors: Mapping[str, SensorErrors] = field(default_factory=dict)

    @property
    def reliable(self) -> bool:
        """Tell if nothing speaks against it."""
        return not self.reasons

    @property
    def mode(self) -> Mode:
        """Return the most probable mode."""
        return self.modes[0][1]

    @property
    def best(self) -> Ensemble:
        """Return the world at the most probable mode."""
        choice, mode = self.modes[0]
        return self.prior.ensemble(mode.z[None], choice)

    @property
    def complexity(self) -> float:
        """Return KL(posterior || prior) of the normal approximation at the modes [nats].

        It is Σ p (KL of the mode + ln p/prior chance of its discrete values) over the modes, whose overlap is left out.
        """
        parts = [
            chance * (mode.divergence + np.log(chance / self.prior.chances[choice]))
            for chance, (choice, mode) in zip(self.chances, self.modes, strict=True)
            if chance > 0
        ]
        return float(sum(parts))

    @property
    def accuracy(self) -> float:
        """Return the posterior's mean of the log-likelihood, by the normal approximation at the modes [nats]."""
        return float(sum(chance * mode.accuracy for chance, (_, mode) in zip(self.chances, self.modes, strict=True)))

    @property
    def laplace_evidence(self) -> float:
        """Return ln of the evidence by Laplace's approximation; accuracy minus complexity."""
        return float(logsumexp([mode.log_evidence + np.log(self.prior.chances[choice]) for choice, mode in self.modes]))

    @property
    def freedom(self) -> float:
        """Return the number of coordinates that the readings determine."""
        return self.mode.freedom

    def ensemble(self, n: int | None = None, *, rng: np.random.Generator | int = 0) -> Ensemble:
        """Return draws as an ensemble, which can be a fibre: all with their weights, or n resampled of equal weight."""
        rows = np.arange(len(self.z))
        weights = self.weights
        if n is not None:
            rows = np.random.default_rng(rng).choice(len(self.z), size=n, p=self.weights)
            weights = np.full(n, 1.0 / n)
        values = self.values[rows]
        modes = tuple(change.mode for change in self.prior.randomization.changes.values())
        return Ensemble(self.prior.parameters, modes, values, weights, self.prior.randomization.level)

    @property
    def values(self) -> Floats:
        """Return (n, p) the parameters of the draws."""
        values = np.empty((len(self.z), len(self.prior.parameters)))
        for choice in np.unique(self.choice).tolist():
            rows = self.choice == choice
            values[rows] = self.prior.values(self.z[rows], choice)
        return values

    @property
    def by_episode(self) -> Floats:
        """Return (episodes,) the log-likelihood of each episode in the best world [nats]."""
        return self.mode.by_episode

    def interval(self, parameter: str, confidence: float = 0.95) -> tuple[float, float, float]:
        """Return the median of a parameter and the ends of its central interval, in the parameter's units.

        Raises:
            GapError: a parameter that the randomization does not have.
        """
        if parameter not in self.prior.parameters:
            raise GapError(f"posterior: {unknown_name('parameter', parameter, self.prior.parameters)}")
        column = self.values[:, self.prior.parameters.index(parameter)]
        tail = (1 - confidence) / 2
        median, low, high = _weighted_quantiles(column, self.weights, (0.5, tail, 1 - tail))
        return median, low, high

    def correlations(self) -> Floats:
        """Return (k, k) correlations of the continuous coordinates."""
        mean = self.weights @ self.z
        off = self.z - mean
        covariance = (off * self.weights[:, None]).T @ off
        width = np.sqrt(np.diagonal(covariance))
        return np.asarray(covariance / np.outer(width, width))

    def unseen(self) -> list[tuple[float, Mapping[str, float]]]:
        """List the directions that the recording does not tell from the prior: information below 1.

        Returns:
            For each its Fisher information, from the least, and the coordinates that take part with at least a tenth.
        """
        values, vectors = np.linalg.eigh(self.mode.information)
        names = [self.prior.parameters[column] for column in self.prior.continuous]
        return [
            (float(value), {name: float(part) for name, part in zip(names, vector, strict=True) if abs(part) >= 0.1})
            for value, vector in zip(values, vectors.T, strict=True)
            if value < 1
        ]

    def __repr__(self) -> str:
        state = "reliable" if self.reliable else "not reliable"
        return (
            f"<Posterior of {len(self.prior.parameters)} parameters from {self.steps} transitions, {state}: "
            f"{self.freedom:.1f} determined, log evidence {self.log_evidence:.2f}>"
        )

    def __str__(self) -> str:
        """Return a table: each parameter with its median and interval, then the evidence, doubts and notes."""
        width = max(len(name) for name in self.prior.parameters)
        lines = []
        for name, change in self.prior.randomization.changes.items():
            median, low, high = self.interval(name)
            lines.append(f"{name:<{width}}  {change.mode:<5}  {median:9.4g}  [{low:.4g}, {high:.4g}]")
        lines.append(
            f"{self.freedom:.1f} of {self.prior.dimension} directions determined, log evidence {self.log_evidence:.2f} "
            f"(Laplace {self.laplace_evidence:.2f}), {self.efficiency:.0%} of {len(self.z)} draws count"
        )
        lines += [f"not reliable: {reason}" for reason in self.reasons]
        lines += [f"note: {note}" for note in self.notes]
        return "\n".join(lines)


def _weighted_quantiles(values: Floats, weights: Floats, at: Sequence[float]) -> list[float]:
    """Return weighted quantiles of values."""
    order = np.argsort(values, kind="stable")
    reached = np.cumsum(weights[order])
    return [float(values[order][min(int(np.searchsorted(reached, q * reached[-1])), len(order) - 1)]) for q in at]
