"""Noise models of one sensor, one after the other, and how probable its readings are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from sim2real_cat.errors import WorldError, listed
from sim2real_cat.worlds.noise import (
    Array,
    Drift,
    Dropout,
    EpisodeBias,
    GaussianNoise,
    NoiseModel,
    Quantisation,
    UniformNoise,
)
from sim2real_cat.worlds.noise_density import (
    gaussian,
    gaussian_process,
    log_normal_between,
    uniform_and_gaussian,
    uniform_between,
)


@dataclass(frozen=True)
class NoiseChain:
    """Noise models that act on a value in the order given; the empty chain reads the truth."""

    models: tuple[NoiseModel, ...] = ()

    @classmethod
    def of(cls, noise: object) -> NoiseChain:
        """The chain that is meant by a number (a Gaussian deviation), a model, a sequence of both, or a chain.

        Raises:
            WorldError: it is none of these, or a number is out of its range.
        """
        if isinstance(noise, NoiseChain):
            return noise
        if isinstance(noise, Sequence) and not isinstance(noise, str):
            return cls(tuple(_model(part) for part in noise))
        return cls((_model(noise),))

    @property
    def deviation(self) -> float:
        """Standard deviation of the first Gaussian noise in the chain; 0 where there is none."""
        return next((model.deviation for model in self.models if isinstance(model, GaussianNoise)), 0.0)

    def with_deviation(self, deviation: float, scale: float = 1.0) -> NoiseChain:
        """The chain with another deviation of its first Gaussian noise, and all its noise wider by a factor.

        A chain without Gaussian noise begins with one where the deviation is not 0. Steps of a quantisation and
        probabilities stay as they are.
        """
        models: list[NoiseModel] = []
        first = next((at for at, model in enumerate(self.models) if isinstance(model, GaussianNoise)), None)
        if first is None and deviation > 0:
            models.append(GaussianNoise(scale * deviation))
        for at, model in enumerate(self.models):
            if at == first:
                model = GaussianNoise(deviation)
            widths = {
                name: scale * getattr(model, name) for name in ("deviation", "half_width") if hasattr(model, name)
            }
            models.append(replace(cast("Any", model), **widths))  # every model is a dataclass
        return NoiseChain(tuple(models))

    @property
    def plain(self) -> bool:
        """Whether the chain is white Gaussian noise, once or not at all."""
        return len(self.models) < 2 and all(isinstance(model, GaussianNoise) for model in self.models)

    def log_density(self, reading: Array, clean: Array, period: float = 1.0) -> Array:
        """Log-density of every reading, given the readings before it in its episode.

        The sum over the frames is the joint log-density of an episode's readings. Where the chain ends in a
        `Quantisation` readings are discrete, and it is the log-probability of the reading.

        Args:
            reading: (..., frames) what the sensor read; NaN past the end of an episode.
            clean: (..., frames) what a sensor without noise would have read.
            period: seconds from frame to frame; only `Drift` asks for it.

        Returns:
            (..., frames) in nats.

        Raises:
            WorldError: the readings of this chain have no density, or none in closed form.
        """
        reading, clean = np.broadcast_arrays(np.asarray(reading, dtype=float), np.asarray(clean, dtype=float))
        if self._of(Dropout):
            raise self._no_density("a held reading repeats the last one exactly; leave Dropout out")
        if self._of(Quantisation):
            return self._log_probability(reading, clean)
        half_width, deviation = self._white()
        residual = reading - clean
        if half_width > 0:
            if self._of(EpisodeBias, Drift):
                raise self._no_density("UniformNoise with EpisodeBias or Drift has none in closed form")
            return uniform_and_gaussian(residual, half_width, deviation)
        if not self._correlated():
            if deviation == 0:
                raise self._no_density("without noise a reading is certain; give it a GaussianNoise")
            return gaussian(residual, deviation)
        if residual.shape[-1] > 1 and deviation == 0 and not any(model.deviation for model in self._drifts()):
            raise self._no_density("its readings differ by nothing random; add a GaussianNoise")
        return gaussian_process(residual, self._covariance(residual.shape[-1], period))

    def _log_probability(self, reading: Array, clean: Array) -> Array:
        """Log-probability of quantised readings: that of the cell of values that are read so."""
        last = self.models[-1]
        if not isinstance(last, Quantisation) or len(self._of(Quantisation)) > 1 or self._correlated():
            raise self._no_density("with a Quantisation there is one only for white noise before it and none after")
        half_width, deviation = self._white()
        low, high = (reading - clean + side * 0.5 * last.step for side in (-1.0, 1.0))
        if half_width > 0 and deviation > 0:
            raise self._no_density("a Quantisation of UniformNoise and GaussianNoise together has none in closed form")
        if half_width > 0:
            inside = uniform_between(low, high, half_width)
        elif deviation > 0:
            inside = log_normal_between(low, high, deviation)
        else:
            raise self._no_density("without noise a reading is certain; give it a GaussianNoise before")
        cells = reading / last.step
        between = np.abs(cells - np.rint(cells)) > 1e-6
        return np.where(between, -np.inf, inside)

    def _white(self) -> tuple[float, float]:
        """Half-width of the uniform noise and deviation of the Gaussian noise, 0 where there is none."""
        uniform = [model.half_width for model in self.models if isinstance(model, UniformNoise) and model.half_width]
        if len(uniform) > 1:
            raise self._no_density("several UniformNoise have none in closed form; use one, or a GaussianNoise")
        gaussians = [model.deviation for model in self.models if isinstance(model, GaussianNoise)]
        return sum(uniform), math.hypot(*gaussians)

    def _correlated(self) -> bool:
        """Whether the noise of one frame says something about that of another."""
        parts = (model for model in self.models if isinstance(model, EpisodeBias | Drift))
        return any(model.deviation > 0 for model in parts)

    def _drifts(self) -> list[Drift]:
        return [model for model in self.models if isinstance(model, Drift)]

    def _covariance(self, frames: int, period: float) -> Array:
        """Covariance of the noise in the frames of an episode, (frames, frames)."""
        time = period * np.arange(frames)
        lag = np.abs(time[:, None] - time)
        covariance = np.zeros((frames, frames))
        for model in self.models:
            if isinstance(model, GaussianNoise):
                covariance += model.deviation**2 * np.eye(frames)
            elif isinstance(model, EpisodeBias):
                covariance += model.deviation**2
            elif isinstance(model, Drift):
                covariance += model.deviation**2 * np.exp(-lag / model.time_constant)
        return covariance

    def _of(self, *kinds: type[NoiseModel]) -> list[NoiseModel]:
        return [model for model in self.models if isinstance(model, kinds)]

    def _no_density(self, reason: str) -> WorldError:
        names = listed(type(model).__name__ for model in self.models)
        return WorldError(f"the noise [{names}] has no density: {reason}")


def _model(part: object) -> NoiseModel:
    """One model of a chain."""
    if isinstance(part, NoiseModel):
        return part
    if isinstance(part, int | float | np.number) and not isinstance(part, bool):
        if not (math.isfinite(part) and part >= 0):
            raise WorldError(f"needs to be >= 0, got {part}")
        return GaussianNoise(float(part))
    raise WorldError(f"noise is a number, a noise model or a list of them, got {part!r}")
