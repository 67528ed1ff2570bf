"""The likelihood of a recording in many worlds at once, and how it changes with their coordinates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.posteriors.expectation import Expectation, Predictor
from sim2real_cat.posteriors.readings import log_densities, widths
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble


@dataclass(frozen=True, eq=False)
class Score:
    """The likelihood of a recording of N transitions in n worlds.

    Attributes:
        by_episode: (n, episodes) log-likelihood [nats]; -inf where a world cannot have produced a reading.
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
    """

    def __init__(self, predictor: Predictor, recording: Trajectories) -> None:
        self._predictor, self.recording = predictor, recording
        self.steps = int(recording.lengths.sum())
        self.readings = self.steps * len(recording.sensors)

    def score(self, worlds: Ensemble) -> Score:
        """Compute the likelihood in every world."""
        return self._follow(worlds, None, None)[0]

    def linearised(self, worlds: Ensemble, steps: Floats, weights: Floats | None = None) -> tuple[Score, Floats]:
        """Compute the likelihood, and the Fisher information of the coordinates from differences.

        The information of independent normal readings with mean μ and deviation σ is
        Σ ∂μ∂μᵀ/σ² + 2 Σ ∂ln σ ∂ln σᵀ.

        Args:
            worlds: 1 + k worlds, the centre and one step along each coordinate; or 1 + 2k, with the steps back after.
            steps: (k,) how long each step is, both ways together for steps forth and back.
            weights: (N,) weight of each transition.

        Returns:
            The likelihoods in all worlds, and (k, k) the information at the centre.
        """
        score, information = self._follow(worlds, steps, weights)
        assert information is not None
        return score, information

    def _follow(self, worlds: Ensemble, steps: Floats | None, weights: Floats | None) -> tuple[Score, Floats | None]:
        predictor = self._predictor.of(worlds)
        density, square = [], []
        information = None if steps is None else np.zeros((len(steps), len(steps)))
        for part, rows in predictor.batches(self.recording):
            expected = predictor.expect(part)
            episode, step = part.transitions()
            reading = part.observations[episode, step + 1]
            starts = np.flatnonzero(np.diff(episode, prepend=-1))
            density.append(np.add.reduceat(log_densities(part, expected), starts, axis=1))
            width = widths(expected)
            errors = np.square((reading - expected.reading) / width[:, None]).sum(axis=2)
            square.append(np.where(np.isnan(errors), np.inf, errors))
            if steps is not None and information is not None:
                information += _information(expected, width, steps, None if weights is None else weights[rows])
        return Score(np.concatenate(density, axis=1), np.concatenate(square, axis=1)), information


def _information(expected: Expectation, width: Floats, steps: Floats, weights: Floats | None) -> Floats:
    """Compute (k, k) the Fisher information of some transitions."""
    k = len(steps)
    reading = expected.reading
    base = reading[k + 1 :] if len(reading) > k + 1 else reading[:1]
    slope = (reading[1 : k + 1] - base) / (steps[:, None, None] * width[0])
    slope = np.where(np.isfinite(slope), slope, 0.0)
    if weights is not None:
        slope = slope * np.sqrt(weights)[:, None]
    flat = slope.reshape(k, -1)
    log_width = np.log(width)
    wider = (log_width[1 : k + 1] - (log_width[k + 1 :] if len(reading) > k + 1 else log_width[:1])) / steps[:, None]
    count = reading.shape[1] if weights is None else float(weights.sum())
    return np.asarray(flat @ flat.T + 2.0 * count * wider @ wider.T)
