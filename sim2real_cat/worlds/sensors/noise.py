"""Noise of sensors: models of one effect each, chains of them, the densities of their readings, and TOML tables.

A model is a value. It names the random numbers that it needs (`source`: standard normals or uniforms for every frame,
or one standard normal for an episode), turns them into the noise of an episode (`prepare`), and a value into a reading
(`read`). The module `sensing` draws the numbers from the generators of every episode.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats
from sim2real_cat.errors import WorldError, listed, unknown_name
from sim2real_cat.toml_table import TomlTable, is_number

__all__ = [
    "Drift",
    "Dropout",
    "EpisodeBias",
    "GaussianNoise",
    "NoiseChain",
    "NoiseModel",
    "Quantisation",
    "UniformNoise",
    "noise_from_table",
]

Source = Literal["normal", "uniform", "constant", "none"]
"""Random numbers of an episode: standard normals or uniforms in [0, 1) for every frame, one standard normal, none."""


def __dir__() -> list[str]:
    return __all__


class NoiseModel(ABC):
    """One effect of a sensor on the true value.

    Attributes:
        source: the random numbers that it needs.
        additive: whether it adds a signal that does not depend on the measured value.
        holds: whether a reading depends on the one before.
    """

    source: ClassVar[Source] = "none"
    additive: ClassVar[bool] = False
    holds: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for entry in fields(self):  # type: ignore[arg-type]  # every model is a dataclass
            value = getattr(self, entry.name)
            if not (isinstance(value, int | float | np.number) and math.isfinite(value) and value >= 0):
                raise WorldError(f"{entry.name} of {type(self).__name__}: needs to be >= 0, got {value!r}")

    def prepare(self, draws: Floats, period: float) -> NDArray[Any]:
        """Turn the random numbers of its `source` into the noise of episodes.

        Args:
            draws: (n, frames, c) numbers for c sensors, (n, 1, c) where the source is one number an episode, and
                empty, (n, 0, c), where the source is none.
            period: seconds from frame to frame.

        Returns:
            An array that broadcasts to (n, frames, c); the signal itself where the model is additive.
        """
        return draws

    def log_density(self, reading: Floats, clean: Floats, period: float = 1.0) -> Floats:
        """Return the log-density of the readings of this model alone, see `NoiseChain.log_density`."""
        return NoiseChain((self,)).log_density(reading, clean, period)

    @abstractmethod
    def read(self, values: Floats, prepared: NDArray[Any], last: Floats) -> Floats:
        """Return the readings of one frame.

        Args:
            values: (m, c) the measured values.
            prepared: (m, c) this frame of the result of `prepare`.
            last: (m, c) the model's readings of the frame before; NaN in the first.
        """


class _Additive(NoiseModel):
    """A model that adds a signal to the value."""

    additive = True

    def read(self, values: Floats, prepared: NDArray[Any], last: Floats) -> Floats:
        return np.asarray(values + prepared)


@dataclass(frozen=True)
class GaussianNoise(_Additive):
    """White noise, normal with standard deviation `deviation` in the sensor's unit."""

    deviation: float
    source = "normal"

    def prepare(self, draws: Floats, period: float) -> Floats:
        return self.deviation * draws


@dataclass(frozen=True)
class UniformNoise(_Additive):
    """White noise, uniform between ``-half_width`` and ``half_width`` in the sensor's unit."""

    half_width: float
    source = "uniform"

    def prepare(self, draws: Floats, period: float) -> Floats:
        return self.half_width * (2.0 * draws - 1.0)


@dataclass(frozen=True)
class EpisodeBias(_Additive):
    """An offset that stays for an episode: normal with standard deviation `deviation`, drawn at its start."""

    deviation: float
    source = "constant"

    def prepare(self, draws: Floats, period: float) -> Floats:
        return self.deviation * draws


@dataclass(frozen=True)
class Drift(_Additive):
    """An offset that wanders: a stationary Ornstein-Uhlenbeck process.

    Its values t seconds apart have the covariance ``deviation² exp(-t / time_constant)``. From frame to frame it
    is drawn from the exact transition, ``x' ~ N(a x, deviation² (1 - a²))`` with ``a = exp(-period / time_constant)``
    (Gillespie 1996, "Exact numerical simulation of the Ornstein-Uhlenbeck process and its integral").

    Attributes:
        deviation: standard deviation of the offset at any time, in the sensor's unit.
        time_constant: seconds after which the covariance has fallen by the factor e; > 0.
    """

    deviation: float
    time_constant: float
    source = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.time_constant > 0:
            raise WorldError(f"time_constant of Drift: needs to be > 0 seconds, got {self.time_constant!r}")

    def prepare(self, draws: Floats, period: float) -> Floats:
        decay = math.exp(-period / self.time_constant)
        signal = self.deviation * draws
        # sqrt(1 - a²) without cancellation where the drift is slow
        signal[:, 1:] *= math.sqrt(-math.expm1(-2.0 * period / self.time_constant))
        for frame in range(1, signal.shape[1]):
            signal[:, frame] += decay * signal[:, frame - 1]
        return signal


@dataclass(frozen=True)
class Quantisation(NoiseModel):
    """Rounding to the nearest multiple of `step` (in the sensor's unit, > 0)."""

    step: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.step > 0:
            raise WorldError(f"step of Quantisation: needs to be > 0, got {self.step!r}")

    def read(self, values: Floats, prepared: NDArray[Any], last: Floats) -> Floats:
        return np.asarray(self.step * np.rint(values / self.step))


@dataclass(frozen=True)
class Dropout(NoiseModel):
    """Loss of readings, each with a `probability` in [0, 1]: the last one then holds; the first always arrives."""

    probability: float
    source = "uniform"
    holds = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probability > 1:
            raise WorldError(f"probability of Dropout: needs to be <= 1, got {self.probability!r}")

    def prepare(self, draws: Floats, period: float) -> NDArray[np.bool_]:
        lost = draws < self.probability
        lost[:, :1] = False
        return lost

    def read(self, values: Floats, prepared: NDArray[Any], last: Floats) -> Floats:
        return np.where(prepared, last, values)


@dataclass(frozen=True)
class NoiseChain:
    """Noise models that act on a value in the order given; the empty chain reads the truth."""

    models: tuple[NoiseModel, ...] = ()

    @classmethod
    def of(cls, noise: object) -> NoiseChain:
        """Make a chain of a number (a Gaussian deviation), a model, a sequence of both, or a chain.

        Raises:
            WorldError: it is something else, or a number is out of its range.
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

    def with_deviation(self, deviation: float) -> NoiseChain:
        """Return the chain with another deviation of its first Gaussian noise.

        A chain without Gaussian noise begins with one where the deviation is not 0.
        """
        first = next((at for at, model in enumerate(self.models) if isinstance(model, GaussianNoise)), None)
        if first is not None:
            return NoiseChain((*self.models[:first], GaussianNoise(deviation), *self.models[first + 1 :]))
        return NoiseChain((GaussianNoise(deviation), *self.models)) if deviation > 0 else self

    @property
    def plain(self) -> bool:
        """Return whether the chain is white Gaussian noise, once or not at all."""
        return len(self.models) < 2 and all(isinstance(model, GaussianNoise) for model in self.models)

    def log_density(self, reading: Floats, clean: Floats, period: float = 1.0) -> Floats:
        """Return the log-density of every reading, given the readings before it in its episode.

        The sum over the frames is the joint log-density of an episode's readings. Where the chain ends in a
        `Quantisation` readings are discrete, and it is the log-probability of the reading.

        Args:
            reading: (..., frames) readings of the sensor; NaN past the end of an episode.
            clean: (..., frames) readings of the same sensor without noise.
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
            return _uniform_and_gaussian(residual, half_width, deviation)
        if not self._correlated():
            if deviation == 0:
                raise self._no_density("without noise a reading is certain; give it a GaussianNoise")
            return _gaussian(residual, deviation)
        if residual.shape[-1] > 1 and deviation == 0 and not any(model.deviation for model in self._drifts()):
            raise self._no_density("its readings differ by nothing random; add a GaussianNoise")
        return _gaussian_process(residual, self._covariance(residual.shape[-1], period))

    def _log_probability(self, reading: Floats, clean: Floats) -> Floats:
        """Return the log-probability of quantised readings: that of all values that are rounded to them."""
        last = self.models[-1]
        if not isinstance(last, Quantisation) or len(self._of(Quantisation)) > 1 or self._correlated():
            raise self._no_density("with a Quantisation there is one only for white noise before it and none after")
        half_width, deviation = self._white()
        low, high = (reading - clean + side * 0.5 * last.step for side in (-1.0, 1.0))
        if half_width > 0 and deviation > 0:
            raise self._no_density("a Quantisation of UniformNoise and GaussianNoise together has none in closed form")
        if half_width > 0:
            inside = _uniform_between(low, high, half_width)
        elif deviation > 0:
            inside = log_normal_between(low, high, deviation)
        else:
            raise self._no_density("without noise a reading is certain; give it a GaussianNoise before")
        cells = reading / last.step
        between = np.abs(cells - np.rint(cells)) > 1e-6
        return np.where(between, -np.inf, inside)

    def _white(self) -> tuple[float, float]:
        """Return the half-width of the uniform and the deviation of the Gaussian noise, 0 where there is none."""
        uniform = [model.half_width for model in self.models if isinstance(model, UniformNoise) and model.half_width]
        if len(uniform) > 1:
            raise self._no_density("several UniformNoise have none in closed form; use one, or a GaussianNoise")
        gaussians = [model.deviation for model in self.models if isinstance(model, GaussianNoise)]
        return sum(uniform), math.hypot(*gaussians)

    def _correlated(self) -> bool:
        """Return whether the noise of one frame depends on that of another."""
        parts = (model for model in self.models if isinstance(model, EpisodeBias | Drift))
        return any(model.deviation > 0 for model in parts)

    def _drifts(self) -> list[Drift]:
        return [model for model in self.models if isinstance(model, Drift)]

    def _covariance(self, frames: int, period: float) -> Floats:
        """Return the covariance of the noise between the frames of an episode, (frames, frames)."""
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
    """Return one part of a chain as a model."""
    if isinstance(part, NoiseModel):
        return part
    if isinstance(part, int | float | np.number) and not isinstance(part, bool):
        if not (math.isfinite(part) and part >= 0):
            raise WorldError(f"needs to be >= 0, got {part}")
        return GaussianNoise(float(part))
    raise WorldError(f"noise is a number, a noise model or a list of them, got {part!r}")


def _gaussian(residual: Floats, deviation: float) -> Floats:
    """Return the log-density of independent normal residuals, elementwise."""
    return np.asarray(-0.5 * np.square(residual / deviation) - np.log(deviation) - 0.5 * np.log(2 * np.pi))


def _gaussian_process(residual: Floats, covariance: Floats) -> Floats:
    """Return the log-density of each residual given those before it in its episode, under a Gaussian process.

    With the Cholesky factor L of the covariance the innovations are ``z = L⁻¹ r``, and the k-th residual has the
    conditional log-density ``-z_k²/2 - ln L_kk - ln(2π)/2``; their sum is the joint log-density.

    Args:
        residual: (..., T), NaN past the end of an episode.
        covariance: (T, T), positive definite.

    Raises:
        numpy.linalg.LinAlgError: the covariance is singular.
    """
    from scipy.linalg import solve_triangular

    factor = np.linalg.cholesky(covariance)
    flat = residual.reshape(-1, residual.shape[-1])
    innovations = solve_triangular(factor, flat.T, lower=True, check_finite=False).T
    return _gaussian(innovations.reshape(residual.shape), 1.0) - np.log(np.diagonal(factor))


def log_normal_between(low: Floats, high: Floats, deviation: float) -> Floats:
    """Return the log-probability that a centred normal variable lies between `low` and `high`, in far tails too."""
    from scipy.special import log_ndtr

    a, b = low / deviation, high / deviation
    mirrored = a > 0  # in the upper tail both cumulative probabilities are 1; in the lower they differ
    a, b = np.where(mirrored, -b, a), np.where(mirrored, -a, b)
    upper = log_ndtr(b)
    with np.errstate(invalid="ignore", divide="ignore"):
        between = upper + np.log1p(-np.exp(log_ndtr(a) - upper))
    return np.where(np.isneginf(upper), -np.inf, between)


def _uniform_and_gaussian(residual: Floats, half_width: float, deviation: float) -> Floats:
    """Return the log-density of a uniform plus a normal variable; of the uniform alone at deviation 0."""
    if deviation == 0:
        outside = np.where(np.isnan(residual), np.nan, -np.inf)
        return np.where(np.abs(residual) <= half_width, -np.log(2 * half_width), outside)
    between = log_normal_between(residual - half_width, residual + half_width, deviation)
    return np.asarray(between - np.log(2 * half_width))


def _uniform_between(low: Floats, high: Floats, half_width: float) -> Floats:
    """Return the log-probability that a uniform variable on ±half_width lies between `low` and `high`."""
    covered = np.clip(high, -half_width, half_width) - np.clip(low, -half_width, half_width)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(covered / (2 * half_width)))


NOISE_MODELS: dict[str, type[NoiseModel]] = {
    "gaussian": GaussianNoise,
    "uniform": UniformNoise,
    "bias": EpisodeBias,
    "drift": Drift,
    "quantisation": Quantisation,
    "dropout": Dropout,
}
"""The noise models by their names in a TOML table."""


def noise_from_table(entry: object, place: str = "noise") -> dict[str, float | NoiseChain]:
    """Read noise by sensor from an entry such as ``{"*" = 0.01, hinge = [{gaussian = 0.02}, {quantisation = 0.001}]}``.

    A sensor has a number (the deviation of Gaussian noise), a model (``{uniform = 0.1}``; one of several numbers is
    ``{drift = {deviation = 0.1, time_constant = 5.0}}``) or a list of them, which act in that order. Instead of a
    table by sensor the entry may be a number or a list, for all sensors.

    Raises:
        WorldError: an unknown model or key, or a number that is missing or out of its range.
    """
    if not isinstance(entry, Mapping):
        return {"*": _chain_of_entry(entry, place)}
    table = TomlTable(entry, place, WorldError)
    return {str(sensor): _chain_of_entry(value, table.beside(str(sensor))) for sensor, value in entry.items()}


def _chain_of_entry(entry: object, place: str) -> float | NoiseChain:
    """Return the noise of one sensor; a number stays one."""
    if not isinstance(entry, list | tuple):
        model = _model_of_entry(entry, place)
        return NoiseChain((model,)) if isinstance(model, NoiseModel) else model
    models = [_model_of_entry(part, place) for part in entry]
    try:
        return NoiseChain.of(models)
    except WorldError as error:
        raise WorldError(f"{place}: {error}") from None


def _model_of_entry(part: object, place: str) -> float | NoiseModel:
    """Return one model, or the deviation of a Gaussian one."""
    if is_number(part):
        return float(part)
    if not isinstance(part, Mapping):
        wanted = "a finite number, or a model such as { gaussian = 0.1 }, or a list of them"
        raise WorldError(f"{place}: needs to be {wanted}, got {part!r}")
    table = TomlTable(part, place, WorldError)
    if len(part) != 1:
        raise table.refusal(
            f"needs to be one model, one of {listed(NOISE_MODELS)}, got {dict(part)!r}; several make a list"
        )
    (name,) = part
    if name not in NOISE_MODELS:
        raise table.refusal(unknown_name("noise model", str(name), NOISE_MODELS))
    settings = table.raw(name)
    keys = [field.name for field in fields(NOISE_MODELS[name])]  # type: ignore[arg-type]  # every model is a dataclass
    if not isinstance(settings, Mapping):
        if len(keys) > 1:
            raise table.refusal(f"needs to be {{ {name} = {{ {' = ..., '.join(keys)} = ... }} }}, got {dict(part)!r}")
        settings = {keys[0]: settings}
    return TomlTable(settings, table.beside(name), WorldError).fill(NOISE_MODELS[name])
