"""The likelihood of a recording in many worlds at once, and how it changes along coordinates of the worlds."""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, fields

import numpy as np

from sim2real_cat.arrays import Bools, Floats, Ints
from sim2real_cat.posteriors.expectation import Expectation, HiddenPredictor, Predictor
from sim2real_cat.posteriors.kalman import Innovations
from sim2real_cat.posteriors.readings import log_densities, sensor_log_densities, widths
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble

GROWTH_STEPS = 10
"""Steps after which the growth of an error of the first state is measured."""


@dataclass(frozen=True, eq=False)
class Score:
    """The likelihood of a recording of N transitions in n worlds.

    Attributes:
        by_episode: (n, episodes) log-likelihood [nats]; -inf where a world cannot have produced a reading. (n, 0) where
            the errors of some transitions were asked for.
        square: (n, N) squared errors of each transition's readings in units of their deviation; inf where lost.
    """

    by_episode: Floats
    square: Floats

    @property
    def total(self) -> Floats:
        """Return (n,) the log-likelihood of the whole recording."""
        return np.asarray(self.by_episode.sum(axis=1))


class RecordingLikelihood:
    """The likelihood of recorded transitions, one control step ahead.

    Args:
        predictor: a predictor of the world's readings, whatever its members.
        recording: episodes without divergence, of at least one step each.
        powers: (d,) the power of each sensor's likelihood, for errors that are no independent noise; where one is not
            1, recorded states are exact.

    Attributes:
        recording: the recording.
        steps: N, its transitions.
        readings: N d, its readings.
        powers: (d,) the power of each sensor's likelihood.
    """

    def __init__(self, predictor: Predictor, recording: Trajectories, powers: Floats | None = None) -> None:
        self.predictor, self.recording = predictor, recording
        self.powers = np.ones(len(recording.sensors)) if powers is None else powers
        self.steps = int(recording.lengths.sum())
        self.readings = self.steps * len(recording.sensors)

    def score(self, worlds: Ensemble, rows: Ints | None = None) -> Score:
        """Compute the likelihood in every world.

        Args:
            worlds: n worlds.
            rows: some of the recording's transitions, whose errors alone are asked for; all where none are given.
        """
        return self._followed(worlds, rows, None, None)[0]

    def linearised(
        self, worlds: Ensemble, steps: Floats, tolerated: float | None = None, rows: Ints | None = None
    ) -> tuple[Score, Floats]:
        """Compute the likelihood in every world, and the Fisher information of coordinates from differences.

        That of independent normal readings with mean μ and deviation σ is Σ ∂μ∂μᵀ/σ² + 2 Σ ∂ln σ ∂ln σᵀ.

        Args:
            worlds: 1 + k worlds, the centre and one step along each coordinate; or 1 + 2k, with the steps back after.
            steps: (k,) how long each step is, both ways together for steps forth and back.
            tolerated: squared errors q at which a transition's weight 1 / (1 + q / tolerated) in the information is a
                half; all weigh 1 where it is None.
            rows: some of the recording's transitions; all where none are given.

        Returns:
            The likelihoods, and (k, k) the information at the centre.
        """
        return self._followed(worlds, rows, steps, tolerated)

    def _followed(
        self, worlds: Ensemble, rows: Ints | None, steps: Floats | None, tolerated: float | None
    ) -> tuple[Score, Floats]:
        density, square = [], []
        k = 0 if steps is None else len(steps)
        information = np.zeros((k, k))
        atoms = any(name.startswith("observation_stuck") for name in worlds.parameters)
        for part, expected, chosen in self._expected(worlds, rows):
            episode, reading = _readings(part)
            width = _whole_width(expected)
            errors = np.square((reading[chosen] - expected.reading) / width) @ self.powers
            square.append(np.where(np.isnan(errors), np.inf, errors))
            if rows is None:
                starts = np.flatnonzero(np.diff(episode, prepend=-1))
                if (self.powers == 1).all():
                    own = log_densities(part, expected, atoms=atoms)
                else:
                    own = sensor_log_densities(part, expected, atoms=atoms) @ self.powers
                density.append(np.add.reduceat(own, starts, axis=1))
            if steps is not None:
                weights = None if tolerated is None else 1.0 / (1.0 + square[-1][0] / tolerated)
                information += _information(expected.reading, width, steps, weights, self.powers)
        by_episode = np.concatenate(density, axis=1) if density else np.zeros((len(worlds), 0))
        return Score(by_episode, np.concatenate(square, axis=1)), information

    def of_episode(self, episode: int) -> RecordingLikelihood:
        """Return the likelihood of one episode alone."""
        return RecordingLikelihood(self.predictor, self.recording.select(np.array([episode])), self.powers)

    def by_sensor(self, worlds: Ensemble) -> Floats:
        """Compute (n, episodes, d) the sum of each sensor's squared errors in an episode, in units of its noise."""
        errors = np.square(self.errors(worlds))
        starts = np.flatnonzero(np.diff(self.recording.transitions()[0], prepend=-1))
        return np.asarray(np.add.reduceat(np.where(np.isnan(errors), np.inf, errors), starts, axis=1))

    def errors(self, worlds: Ensemble) -> Floats:
        """Compute (n, N, d) the error of each reading in units of its noise; NaN where a world is lost."""
        found = []
        for part, expected, _ in self._expected(worlds, None):
            found.append((_readings(part)[1] - expected.reading) / _whole_width(expected))
        return np.concatenate(found, axis=1)

    def plain(self, world: Ensemble) -> Bools:
        """Return (d,) whether each sensor's noise is plainly Gaussian in one world, and the sensor not stuck."""
        expected = next(self._expected(world, None))[1]
        return np.asarray(np.array([chain.plain for chain in expected.chains[0]]) & ~expected.stuck[0])

    def excluded(self, worlds: Ensemble) -> str:
        """Return which reading none of the worlds can have produced, '' where each excludes another one."""
        before = 0
        atoms = any(name.startswith("observation_stuck") for name in worlds.parameters)
        for part, expected, _ in self._expected(worlds, None):
            episode, step = part.transitions()
            lost = np.asarray(np.isnan(expected.reading).any(axis=2).all(axis=0))
            own = np.full((1, *expected.reading.shape[1:]), -np.inf)
            if expected.spread is None:
                own = sensor_log_densities(part, expected, atoms=atoms)
            never = np.isneginf(own).all(axis=0)
            if never.any():
                row, sensor = (int(at) for at in np.argwhere(never)[0])
                place = f"step {step[row]} of episode {before + episode[row]}"
                if lost[row]:
                    return f"the simulation diverges from the state before {place}"
                return f"what sensor '{part.sensors[sensor]}' read after {place}"
            before += len(part)
        return ""

    def _expected(
        self, worlds: Ensemble, rows: Ints | None
    ) -> Iterator[tuple[Trajectories, Expectation, Ints | slice]]:
        """Yield some episodes, what the worlds expect of their transitions, and which of these."""
        predictor = self.predictor.of(worlds)
        for part, place in predictor.batches(self.recording):
            if rows is None:
                yield part, predictor.expect(part), slice(None)
                continue
            chosen = rows[(rows >= place.start) & (rows < place.stop)] - place.start
            if len(chosen):
                yield part, predictor.expect(part, chosen), chosen


def _readings(part: Trajectories) -> tuple[Ints, Floats]:
    """Return the episode (N,) and the sensors' readings (N, d) after every transition."""
    episode, step = part.transitions()
    return episode, part.observations[episode, step + 1]


def _information(reading: Floats, width: Floats, steps: Floats, weights: Floats | None, powers: Floats) -> Floats:
    """Compute (k, k) the Fisher information of some transitions, as `RecordingLikelihood.linearised` says."""
    k = len(steps)
    both = len(reading) > k + 1
    wide = np.log(np.broadcast_to(width, (len(reading), *width.shape[1:])))
    found = np.zeros((k, k))
    for values, unit, factor in ((reading, width[:1], 1.0), (wide, 1.0, 2.0)):
        slope = (values[1 : k + 1] - (values[k + 1 :] if both else values[:1])) / (steps[:, None, None] * unit)
        slope = np.broadcast_to(np.where(np.isfinite(slope), slope, 0.0), (k, *reading.shape[1:]))
        if not slope.any():
            continue
        slope = slope * np.sqrt(powers)
        flat = (slope if weights is None else slope * np.sqrt(weights)[:, None]).reshape(k, -1)
        found += factor * flat @ flat.T
    return found


def _whole_width(expected: Expectation) -> Floats:
    """Return (n, 1 or N, d) the deviation of each reading: of its noise, and of the error of the recorded state."""
    width = widths(expected)[:, None]
    if expected.spread is None:
        return width
    return np.asarray(np.sqrt(np.square(width) + np.einsum("...ii->...i", expected.spread)))


class FilteredLikelihood:
    """The likelihood of a recording of which the first state alone is known: that of the innovations of a filter.

    One world is filtered, with the noise of its sensors and some process noise. In all worlds the state is corrected
    with that world's gains, and the innovations have its covariance, but for the noise of the sensors. So a world costs
    one simulation instead of two for each coordinate of the state; the likelihood of the filtered world is exactly the
    filter's, and that of worlds near it lacks what the covariance tells of the world.

    Args:
        predictor: a predictor of the world's readings, with the error of the first state.
        recording: episodes without divergence, of at least one step each.
        world: the ensemble of one world that is filtered.

    Attributes:
        recording: the recording.
        steps: N, its transitions.
        readings: N d, its readings.
        process: the deviation of the process noise, in units of the error of the first state.
    """

    def __init__(self, predictor: HiddenPredictor, recording: Trajectories, world: Ensemble) -> None:
        self.predictor, self.recording = predictor, recording
        self.steps = int(recording.lengths.sum())
        self.readings = self.steps * len(recording.sensors)
        self.process = predictor.process
        episode, self._reading = _readings(recording)
        self._starts = np.flatnonzero(np.diff(episode, prepend=-1))
        self._like, expected = predictor.of(world).innovations(recording)
        assert expected.spread is not None
        self._expected, self._spread, self._noise = expected.reading, expected.spread[0], self._deviations(world)

    def at(self, world: Ensemble, process: float) -> FilteredLikelihood:
        """Return the likelihood with another world filtered, and other process noise."""
        return FilteredLikelihood(self.predictor.with_process(process), self.recording, world)

    def of_episode(self, episode: int) -> FilteredLikelihood:
        """Return the likelihood of one episode alone, with the same world filtered."""
        other = copy(self)
        other.recording = self.recording.select(np.array([episode]))
        other.steps = int(other.recording.lengths[0])
        other.readings = other.steps * len(self.recording.sensors)
        rows = slice(self._starts[episode], self._starts[episode] + other.steps)
        other._reading, other._starts = self._reading[rows], np.zeros(1, dtype=np.intp)
        other._expected, other._spread = self._expected[:, rows], self._spread[rows]
        names = [entry.name for entry in fields(Innovations)]
        other._like = Innovations(*(getattr(self._like, name)[[episode]] for name in names))
        return other

    def filtered(self) -> Score:
        """Return the likelihood of the world that is filtered, as of one world."""
        return self._scored(self._expected, self._noise)[0]

    def growth(self, world: Ensemble) -> float:
        """Measure how far an error of the first state takes the readings after GROWTH_STEPS steps, if nothing is read.

        Returns:
            The change of a reading, in units of its noise, by a coordinate that is a deviation off; the largest of all
            coordinates and sensors, the median over the episodes.
        """
        predictor = self.predictor.of(world)
        apart = predictor.sensitivity(self.recording, GROWTH_STEPS) / self._deviations(world)[0]
        return float(np.median(np.abs(apart).max(axis=(1, 2))))

    def exact(self, worlds: Ensemble) -> Floats:
        """Compute (n,) the log-likelihood in every world by a filter of its own."""
        expected = self.predictor.of(worlds).expect(self.recording)
        return np.asarray(log_densities(self.recording, expected).sum(axis=1))

    def exact_information(self, worlds: Ensemble, steps: Floats) -> Floats:
        """Compute (k, k) the Fisher information of coordinates from filters of all worlds.

        It is Σ ∂μᵀ S⁻¹ ∂μ + ½ tr(S⁻¹ ∂S S⁻¹ ∂S) of innovations with means μ and covariances S.

        Args:
            worlds: 1 + 2 k worlds: the centre, a step along each coordinate, and a step back.
            steps: (k,) how long they are, both ways together.
        """
        k, found = len(steps), self.predictor.of(worlds).expect(self.recording)
        assert found.spread is not None
        unit = np.eye(found.spread.shape[-1])
        total = found.spread + np.square(self._deviations(worlds))[:, None, :, None] * unit
        inverse = np.linalg.inv(np.linalg.cholesky(total[0]))
        mean, spread = (
            np.nan_to_num((of[1 : k + 1] - of[k + 1 :]) / steps.reshape(-1, *(1,) * (of.ndim - 1)))
            for of in (found.reading, total)
        )
        flat = _whitened(inverse, mean).reshape(k, -1)
        turned = (inverse @ spread @ np.swapaxes(inverse, 1, 2)).reshape(k, -1)
        return np.asarray(flat @ flat.T + 0.5 * turned @ turned.T)

    def score(self, worlds: Ensemble, rows: Ints | None = None) -> Score:
        """Compute the likelihood in every world, as `RecordingLikelihood.score`."""
        score, _ = self._scored(self._followed(worlds), self._deviations(worlds))
        return score if rows is None else Score(np.zeros((len(worlds), 0)), score.square[:, rows])

    def linearised(
        self, worlds: Ensemble, steps: Floats, tolerated: float | None = None, rows: Ints | None = None
    ) -> tuple[Score, Floats]:
        """Compute the likelihood in every world, and the Fisher information of coordinates from differences.

        Arguments and results are those of `RecordingLikelihood.linearised`. The information of innovations with means
        μ and covariances S is Σ ∂μᵀ S⁻¹ ∂μ + ½ tr(S⁻¹ ∂S S⁻¹ ∂S), with ∂S from the noise of the sensors.
        """
        k = len(steps)
        noise = self._deviations(worlds)
        expected = self._followed(worlds)
        score, inverse = self._scored(expected, noise)
        some = np.arange(self.steps) if rows is None else rows
        weights = np.ones(len(some)) if tolerated is None else 1.0 / (1.0 + score.square[0, some] / tolerated)
        both = len(worlds) > k + 1
        slope = (expected[1 : k + 1] - (expected[k + 1 :] if both else expected[:1])) / steps[:, None, None]
        white = _whitened(inverse, np.where(np.isfinite(slope), slope, 0.0))[:, some] * np.sqrt(weights)[:, None]
        flat = white.reshape(k, -1)
        information = flat @ flat.T
        square = np.square(noise)
        wider = (square[1 : k + 1] - (square[k + 1 :] if both else square[:1])) / steps[:, None]
        if wider.any():
            precision = np.square(np.swapaxes(inverse, 1, 2) @ inverse)[some]
            information += 0.5 * wider @ np.einsum("n,nab->ab", weights, precision) @ wider.T
        return (score if rows is None else Score(np.zeros((len(worlds), 0)), score.square[:, rows])), information

    def by_sensor(self, worlds: Ensemble) -> Floats:
        """Compute (n, episodes, d) the sum of each sensor's squared innovations in an episode, in deviations."""
        square = np.square(self._deviations(worlds))[:, None] + np.einsum("nii->ni", self._spread)
        errors = np.square(self._reading - self._followed(worlds)) / square
        return np.add.reduceat(np.where(np.isnan(errors), np.inf, errors), self._starts, axis=1)

    def excluded(self, worlds: Ensemble) -> str:
        """Return the episode and step from which no world of some can be simulated; '' if there is none."""
        lost = np.isnan(self._followed(worlds)).any(axis=2).all(axis=0)
        if not lost.any():
            return ""
        episode, step = (int(of[lost][0]) for of in self.recording.transitions())
        return f"all simulations diverge in episode {episode}, step {step}"

    def _followed(self, worlds: Ensemble) -> Floats:
        """Return (n, N, d) the readings that the worlds expect."""
        return self.predictor.of(worlds).follow(self.recording, self._like)

    def _deviations(self, worlds: Ensemble) -> Floats:
        """Return (n, d) the deviation of the sensors' noise."""
        columns = [self.predictor.world.sensors.index(name) for name in self.recording.sensors]
        return self.predictor.of(worlds).parameters().deviations[:, columns]

    def _scored(self, expected: Floats, noise: Floats) -> tuple[Score, Floats]:
        """Compute the likelihood of expected readings, and (N, d, d) what whitens innovations in the first world."""
        n, d = len(expected), len(noise[0])
        density, square = np.empty((n, self.steps)), np.empty((n, self.steps))
        inverse = np.empty(0)
        levels, of = np.unique(noise, axis=0, return_inverse=True)
        for level, deviation in enumerate(levels):
            factor = np.linalg.cholesky(self._spread + np.square(deviation)[:, None] * np.eye(d))
            whitening = np.linalg.inv(factor)
            own = np.flatnonzero(of == level)
            square[own] = np.square(_whitened(whitening, self._reading - expected[own])).sum(axis=2)
            log_det = np.log(np.diagonal(factor, axis1=1, axis2=2)).sum(axis=1)
            density[own] = -0.5 * square[own] - log_det - 0.5 * d * np.log(2 * np.pi)
            if level == of[0]:
                inverse = whitening
        lost = np.isnan(square)
        by_episode = np.add.reduceat(np.where(lost, -np.inf, density), self._starts, axis=1)
        return Score(by_episode, np.where(lost, np.inf, square)), inverse


def _whitened(inverse: Floats, error: Floats) -> Floats:
    """Return (n, N, d) errors of readings, each multiplied by its matrix (N, d, d)."""
    return np.asarray(np.moveaxis(inverse @ np.moveaxis(error, 0, 2), 2, 0))
