"""The posterior over the worlds of a randomization: which of them could have made a recording."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import GapError, listed
from sim2real_cat.linear_algebra import on_one_thread
from sim2real_cat.posteriors.expectation import Predictor
from sim2real_cat.posteriors.likelihood import RecordingLikelihood, Score
from sim2real_cat.posteriors.modes import Explored, Mode, explored, sampled_ends
from sim2real_cat.posteriors.prior import WorldPrior
from sim2real_cat.posteriors.readings import require_readings
from sim2real_cat.posteriors.sampling import ENOUGH, draw
from sim2real_cat.posteriors.worlds_posterior import Posterior
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.world import World

_PRIOR_DRAWS = 32
"""Draws from the prior among which the starts are chosen."""
_DRAWS = 128
"""Draws of a posterior."""
_END = 3.5
"""A coordinate beyond which a parameter lies at the end of its range: 5e-4 of the prior lie beyond."""
_WORTH = 30.0
"""Nats below the best combination of discrete values, up to which another one is climbed."""
_MISFIT = 5.0
"""Deviations of the squared errors above their expectation from which no world of the randomization fits."""


def posterior(
    world: World,
    real: Trajectories,
    *,
    randomization: Randomization,
    state_deviation: float | Sequence[float] = 0.0,
    draws: int = _DRAWS,
    rng: np.random.Generator | int = 0,
    threads: int = 0,
) -> Posterior:
    """Compute the posterior over the worlds of a randomization: the worlds that could have made a recording.

    The likelihood is that of every recorded transition, one control step ahead from its recorded state. Its modes are
    climbed in standard normal coordinates (`WorldPrior`) from the nominal world and the best draws of the prior; the
    normal approximation at each (Laplace's) is refined by importance sampling.

    Args:
        world: the simulated world, with the noise of its sensors.
        real: the recording, with states; episodes that diverged are left out.
        randomization: the prior.
        state_deviation: standard deviation of the error of the recorded states: one number, two for positions and
            velocities, or one for each of the 2 nv coordinates.
        draws: how many draws refine the approximation.
        rng: a generator, or a seed for one.
        threads: physics threads; 0 means one per core.

    Raises:
        GapError: no transition, a sensor without noise, no randomization, no draws, or a recording to which every
            world of the prior that was tried gives probability zero.
        WorldError: the recording does not fit the world.
    """
    if draws < 2:
        raise GapError(f"a posterior needs draws, at least two, got {draws}")
    generator = np.random.default_rng(rng)
    prior = WorldPrior.of(randomization, world)
    recording = real.select(np.flatnonzero(real.kept & (real.lengths > 0)))
    if not len(recording):
        raise GapError("there is no transition in the recording: give episodes of at least one control step")
    require_readings(world, recording)
    middle = prior.ensemble(np.zeros((1, prior.dimension)))
    predictor = Predictor(world, middle, state_deviation, threads)
    predictor.require_noise(recording.sensors)
    with on_one_thread():
        return posterior_of(prior, RecordingLikelihood(predictor, recording), draws, generator)


@dataclass(frozen=True, eq=False)
class WorldLikelihood:
    """The likelihood of a recording in the coordinates of a prior, for one combination of discrete values.

    Attributes:
        prior: the prior.
        choice: the row of the combination in `prior.choices`.
        likelihood: of the recording.
    """

    prior: WorldPrior
    choice: int
    likelihood: RecordingLikelihood

    @property
    def dimension(self) -> int:
        """Return k."""
        return self.prior.dimension

    @property
    def readings(self) -> int:
        """Return how many readings there are."""
        return self.likelihood.readings

    @property
    def steps(self) -> int:
        """Return how many transitions there are."""
        return self.likelihood.steps

    def score(self, z: Floats, rows: Ints | None = None) -> Score:
        """Compute the likelihood at coordinates (n, k), or the errors of some transitions alone."""
        return self.likelihood.score(self.prior.ensemble(z, self.choice), rows)

    def linearised(
        self, z: Floats, steps: Floats, tolerated: float | None = None, rows: Ints | None = None
    ) -> tuple[Score, Floats]:
        """Compute the likelihood at coordinates (1 + k or 1 + 2k, k), and the information (k, k) at the first."""
        return self.likelihood.linearised(self.prior.ensemble(z, self.choice), steps, tolerated, rows)

    def bend(self, z: Floats, slope: Floats) -> Floats:
        """Compute what a slope (k,) of the log-likelihood adds to the information, as the parameters are bent."""
        return self.prior.bend(z, slope)


def posterior_of(
    prior: WorldPrior,
    likelihood: RecordingLikelihood,
    draws: int,
    rng: np.random.Generator,
    near: Floats | None = None,
) -> Posterior:
    """Compute the posterior of a prior and a likelihood.

    Args:
        prior: the prior.
        likelihood: of the recording.
        draws: how many draws refine the approximation.
        rng: a generator.
        near: (k,) a start that is better than those of the prior, such as the mode of a longer recording.

    Raises:
        GapError: every world that was tried gives the recording probability zero.
    """
    targets = [WorldLikelihood(prior, choice, likelihood) for choice in range(len(prior.chances))]
    ends = _ends(targets, rng) if near is None else [(choice, near) for choice in range(len(targets))]
    found = [(choice, explored(targets[choice], z, rng)) for choice, z in ends]
    found = _distinct([(choice, one) for choice, one in found if np.isfinite(one.mode.log_evidence)])
    if not found:
        raise GapError(_impossible(targets, rng))
    log_chance = np.array([one.mode.log_evidence + np.log(prior.chances[choice]) for choice, one in found])
    order = np.argsort(-log_chance, kind="stable")
    modes = [found[i] for i in order]
    return _refined(targets, modes, np.exp(log_chance[order] - logsumexp(log_chance)), draws, rng)


def _impossible(targets: Sequence[WorldLikelihood], rng: np.random.Generator) -> str:
    """Return the message for a recording that every world gives probability zero."""
    prior, likelihood = targets[0].prior, targets[0].likelihood
    which = {
        likelihood.excluded(prior.ensemble(rng.standard_normal((_PRIOR_DRAWS, prior.dimension)), choice))
        for choice in range(len(targets))
    }
    said = f": {which.pop()}" if len(which) == 1 and "" not in which else ""
    return (
        f"every world of the randomization that was tried gives the recording probability zero{said}; are units and "
        "sensors right? widen the randomization or model the sensor's noise"
    )


def _ends(targets: Sequence[WorldLikelihood], rng: np.random.Generator) -> list[tuple[int, Floats]]:
    """Return the places from which to climb to modes, with the combination of discrete values of each."""
    prior = targets[0].prior
    found = []
    for choice, target in enumerate(targets):
        drawn = np.concatenate(
            [
                np.zeros((1, prior.dimension)),
                rng.standard_normal((_PRIOR_DRAWS if prior.dimension else 0, prior.dimension)),
            ]
        )
        found += [(choice, end) for end in sampled_ends(target, drawn, rng)]
    least = min((end.value / end.share for _, end in found), default=0.0)
    return [(choice, end.z) for choice, end in found if end.value / end.share - least <= _WORTH]


def _distinct(found: list[tuple[int, Explored]]) -> list[tuple[int, Explored]]:
    """Leave out a mode that lies within two deviations of a better one with the same discrete values."""
    kept: list[tuple[int, Explored]] = []
    for choice, one in sorted(found, key=lambda entry: -entry[1].mode.log_evidence):
        z = one.mode.z
        near = [(z - other.mode.z) @ other.mode.precision @ (z - other.mode.z) for of, other in kept if of == choice]
        if all(square > 4 * len(z) for square in near):
            kept.append((choice, one))
    return kept


def _refined(
    targets: Sequence[WorldLikelihood],
    modes: Sequence[tuple[int, Explored]],
    chances: Floats,
    draws: int,
    rng: np.random.Generator,
) -> Posterior:
    """Draw from the approximation, combination by combination, and join the draws."""
    prior, likelihood = targets[0].prior, targets[0].likelihood
    found, choices = [], list(dict.fromkeys(choice for choice, _ in modes))
    for choice in choices:
        own = [(float(chance), one) for chance, (of, one) in zip(chances, modes, strict=True) if of == choice]
        n = max(round(draws * sum(chance for chance, _ in own)), 2)
        found.append(draw(targets[choice], own, n, rng))
    log_totals = np.array([of.log_total for of in found]) + np.log(prior.chances[choices])
    total = float(logsumexp(log_totals))
    parts = np.exp(log_totals - total) if np.isfinite(total) else np.full(len(found), 1.0 / len(found))
    weights = np.concatenate([part * of.weights for part, of in zip(parts, found, strict=True)])
    effective = float(parts @ np.array([of.effective for of in found]))
    z = np.concatenate([of.z for of in found])
    of_draws = np.repeat(choices, [len(of.z) for of in found])
    best_choice, best = modes[0][0], modes[0][1].mode
    by_sensor = likelihood.by_sensor(prior.ensemble(best.z[None], best_choice))[0].sum(axis=0) / likelihood.steps
    misfit = dict(zip(likelihood.recording.sensors, by_sensor.tolist(), strict=True))
    reasons = _misfits(misfit, best, likelihood.steps)
    notes = []
    if any(of.moved for of in found):
        notes.append("the normal approximation is poor, so its draws were moved to the posterior by tempering")
    if effective < ENOUGH:
        reasons.append(
            f"only {effective:.1f} of {len(z)} draws count: the posterior has another shape than was found at its "
            "modes; ask for more draws"
        )
    notes += _places(prior, best, likelihood.readings)
    laplace = float(logsumexp([one.mode.log_evidence + np.log(prior.chances[choice]) for choice, one in modes]))
    return Posterior(
        prior,
        tuple((choice, one.mode) for choice, one in modes),
        chances,
        z,
        of_draws,
        weights,
        total if effective >= ENOUGH else laplace,
        effective / len(z),
        misfit,
        likelihood.steps,
        tuple(reasons),
        tuple(notes),
    )


def _misfits(misfit: Mapping[str, float], mode: Mode, steps: int) -> list[str]:
    """Return a reason for doubt where not even the best world explains the readings as their noise allows."""
    n = steps * len(misfit)
    if (mode.square - n) / np.sqrt(2.0 * n) <= _MISFIT:
        return []
    worst = max(misfit, key=lambda name: misfit[name])
    return [
        f"no world of the randomization explains the readings: their squared errors are {mode.square / n:.3g} times "
        f"what the noise allows, those of sensor '{worst}' {misfit[worst]:.3g} times; the intervals are of worlds that "
        "are wrong"
    ]


def _places(prior: WorldPrior, mode: Mode, readings: int) -> list[str]:
    """Return notes on parameters at the ends of their ranges, and on directions that are not seen."""
    notes = []
    names = [prior.parameters[column] for column in prior.continuous]
    ends = [name for name, at in zip(names, mode.z, strict=True) if abs(at) > _END]
    if ends:
        notes.append(f"at the end of their ranges: {listed(ends)}")
    if len(names) > readings:
        notes.append(f"{readings} readings are fewer than {len(names)} parameters")
    unseen = int((np.linalg.eigvalsh(mode.information) < 1).sum()) if len(names) else 0
    if unseen:
        notes.append(f"{unseen} of {len(names)} directions are not seen: there the posterior is the prior")
    return notes
