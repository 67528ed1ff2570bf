"""The likelihood of a recording in many worlds at once, and how it changes along coordinates of the worlds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.posteriors.expectation import Expectation, Predictor
from sim2real_cat.posteriors.readings import log_densities, widths
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble


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

    Attributes:
        recording: the recording.
        steps: N, its transitions.
        readings: N d, its readings.
    """

    def __init__(self, predictor: Predictor, recording: Trajectories) -> None:
        self.predictor, self.recording = predictor, recording
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
            errors = np.square((reading[chosen] - expected.reading) / width).sum(axis=2)
            square.append(np.where(np.isnan(errors), np.inf, errors))
            if rows is None:
                starts = np.flatnonzero(np.diff(episode, prepend=-1))
                density.append(np.add.reduceat(log_densities(part, expected, atoms=atoms), starts, axis=1))
            if steps is not None:
                weights = None if tolerated is None else 1.0 / (1.0 + square[-1][0] / tolerated)
                information += _information(expected.reading, width, steps, weights)
        by_episode = np.concatenate(density, axis=1) if density else np.zeros((len(worlds), 0))
        return Score(by_episode, np.concatenate(square, axis=1)), information

    def by_sensor(self, worlds: Ensemble) -> Floats:
        """Compute (n, episodes, d) the sum of each sensor's squared errors in an episode, in units of its noise."""
        found = []
        for part, expected, _ in self._expected(worlds, None):
            episode, reading = _readings(part)
            starts = np.flatnonzero(np.diff(episode, prepend=-1))
            errors = np.square((reading - expected.reading) / _whole_width(expected))
            found.append(np.add.reduceat(np.where(np.isnan(errors), np.inf, errors), starts, axis=1))
        return np.concatenate(found, axis=1)

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


def _information(reading: Floats, width: Floats, steps: Floats, weights: Floats | None) -> Floats:
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
        flat = (slope if weights is None else slope * np.sqrt(weights)[:, None]).reshape(k, -1)
        found += factor * flat @ flat.T
    return found


def _whole_width(expected: Expectation) -> Floats:
    """Return (n, 1 or N, d) the deviation of each reading: of its noise, and of the error of the recorded state."""
    width = widths(expected)[:, None]
    if expected.spread is None:
        return width
    return np.asarray(np.sqrt(np.square(width) + np.einsum("...ii->...i", expected.spread)))
