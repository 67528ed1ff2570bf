"""What a sensor does to the truth: noise models, each one effect, to be put one after the other.

A model is a value. It says which random numbers it needs (`source`: standard normals or uniforms for every
frame, or one standard normal for an episode), makes of them what an episode needs (`prepare`), and turns
a value into a reading (`read`). Where the numbers come from is not its business: `worlds.sensing` draws
those of every episode from the episode's own generators.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import WorldError

Array = NDArray[np.float64]

Source = Literal["normal", "uniform", "constant", "none"]
"""Random numbers of an episode: standard normals or uniforms in [0, 1) for every frame, one standard normal, none."""


class NoiseModel(ABC):
    """One effect of a sensor.

    Attributes:
        source: the random numbers that it needs.
        additive: whether it adds a signal that does not depend on what is measured.
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

    def prepare(self, draws: Array, period: float) -> NDArray[Any]:
        """What the readings of episodes need, made of the random numbers of its `source`.

        Args:
            draws: (n, frames, c) numbers for c sensors, (n, 1, c) where the source is one number an episode, and
                empty, (n, 0, c), where it is none.
            period: seconds from frame to frame.

        Returns:
            Something that broadcasts to (n, frames, c); the signal itself where the model is additive.
        """
        return draws

    def log_density(self, reading: Array, clean: Array, period: float = 1.0) -> Array:
        """Log-density of readings where this model acts alone: `NoiseChain.log_density` of a chain of one."""
        from sim2real_cat.worlds.noise_chain import NoiseChain  # a chain is made of models

        return NoiseChain((self,)).log_density(reading, clean, period)

    @abstractmethod
    def read(self, values: Array, prepared: NDArray[Any], last: Array) -> Array:
        """Readings of one frame.

        Args:
            values: (m, c) what is measured.
            prepared: (m, c) this frame of what `prepare` made.
            last: (m, c) the model's readings of the frame before; NaN in the first.
        """


class _Additive(NoiseModel):
    """Adds a signal to the value."""

    additive = True

    def read(self, values: Array, prepared: NDArray[Any], last: Array) -> Array:
        return np.asarray(values + prepared)


@dataclass(frozen=True)
class GaussianNoise(_Additive):
    """White noise, normal with standard deviation `deviation` in the sensor's unit."""

    deviation: float
    source = "normal"

    def prepare(self, draws: Array, period: float) -> Array:
        return self.deviation * draws


@dataclass(frozen=True)
class UniformNoise(_Additive):
    """White noise, uniform between ``-half_width`` and ``half_width`` in the sensor's unit."""

    half_width: float
    source = "uniform"

    def prepare(self, draws: Array, period: float) -> Array:
        return self.half_width * (2.0 * draws - 1.0)


@dataclass(frozen=True)
class EpisodeBias(_Additive):
    """An offset that stays for an episode: normal with standard deviation `deviation`, drawn at its start."""

    deviation: float
    source = "constant"

    def prepare(self, draws: Array, period: float) -> Array:
        return self.deviation * draws


@dataclass(frozen=True)
class Drift(_Additive):
    """An offset that wanders: a stationary Ornstein-Uhlenbeck process.

    Its values t seconds apart have the covariance ``deviation² exp(-t / time_constant)``. From frame to frame it
    is drawn from the exact transition, ``x' ~ N(a x, deviation² (1 - a²))`` with ``a = exp(-period / time_constant)``
    (Gillespie 1996, "Exact numerical simulation of the Ornstein-Uhlenbeck process and its integral").

    Attributes:
        deviation: standard deviation of the offset at any time, in the sensor's unit.
        time_constant: seconds in which it forgets; > 0.
    """

    deviation: float
    time_constant: float
    source = "normal"

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.time_constant > 0:
            raise WorldError(f"time_constant of Drift: needs to be > 0 seconds, got {self.time_constant!r}")

    def prepare(self, draws: Array, period: float) -> Array:
        decay = math.exp(-period / self.time_constant)
        signal = self.deviation * draws
        # sqrt(1 - a²) without cancellation where the drift is slow
        signal[:, 1:] *= math.sqrt(-math.expm1(-2.0 * period / self.time_constant))
        for frame in range(1, signal.shape[1]):
            signal[:, frame] += decay * signal[:, frame - 1]
        return signal


@dataclass(frozen=True)
class Quantisation(NoiseModel):
    """The reading is the multiple of `step` (in the sensor's unit, > 0) nearest to the value."""

    step: float

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.step > 0:
            raise WorldError(f"step of Quantisation: needs to be > 0, got {self.step!r}")

    def read(self, values: Array, prepared: NDArray[Any], last: Array) -> Array:
        return np.asarray(self.step * np.rint(values / self.step))


@dataclass(frozen=True)
class Dropout(NoiseModel):
    """With a `probability` in [0, 1] nothing new arrives and the last reading holds; the first always arrives."""

    probability: float
    source = "uniform"
    holds = True

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.probability > 1:
            raise WorldError(f"probability of Dropout: needs to be <= 1, got {self.probability!r}")

    def prepare(self, draws: Array, period: float) -> NDArray[np.bool_]:
        lost = draws < self.probability
        lost[:, :1] = False
        return lost

    def read(self, values: Array, prepared: NDArray[Any], last: Array) -> Array:
        return np.where(prepared, last, values)
