"""Neural networks of tanh layers, evaluated with numpy alone, so that a trained one needs no library to act."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import PolicyError
from sim2real_cat.policies.policy import Policy, digest_of, read_archive, write_archive


@dataclass(frozen=True, eq=False)
class MlpPolicy(Policy):
    """A multilayer perceptron with normalised observations and clipped actions.

    ``h_0 = clip((observation - mean) / scale, ±clip)``, ``h_k = tanh(W_k h_{k-1} + b_k)`` for every layer but the
    last, and ``action = clip(W_K h_{K-1} + b_K, low, high)``, all in double precision.

    Attributes:
        weights: K matrices W_k, (width of layer k, width of layer k - 1).
        biases: K vectors b_k.
        mean: (d,) mean of the observations.
        scale: (d,) standard deviation of the observations.
        low: (nu,) smallest actions.
        high: (nu,) largest actions.
        clip: magnitude at which normalised observations are cut.
    """

    weights: tuple[Floats, ...]
    biases: tuple[Floats, ...]
    mean: Floats
    scale: Floats
    low: Floats
    high: Floats
    clip: float = np.inf

    def __post_init__(self) -> None:
        widths = [self.mean.shape, *(bias.shape for bias in self.biases)]
        fits = len(self.weights) == len(self.biases) >= 1 and all(len(width) == 1 for width in widths)
        fits = fits and all(
            weight.shape == (*after, *before)
            for weight, before, after in zip(self.weights, widths, widths[1:], strict=False)
        )
        if not fits or self.scale.shape != widths[0] or {self.low.shape, self.high.shape} != {widths[-1]}:
            shapes = " ".join(str(part.shape) for part in self._parts())
            raise PolicyError(f"the layers of this network do not fit together: weights, biases, ... have {shapes}")
        if not all(np.isfinite(part).all() for part in (*self.weights, *self.biases, self.mean, self.scale)):
            raise PolicyError("a network needs finite weights, got NaN or infinity")
        if not ((self.scale > 0).all() and self.clip > 0 and (self.low <= self.high).all()):
            raise PolicyError("a network needs scale > 0, clip > 0 and low <= high")

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        hidden = np.clip((observations - self.mean) / self.scale, -self.clip, self.clip)
        for weight, bias in zip(self.weights[:-1], self.biases[:-1], strict=True):
            hidden = np.tanh(_by_row(hidden, weight) + bias)
        return np.clip(_by_row(hidden, self.weights[-1]) + self.biases[-1], self.low, self.high)

    @property
    def widths(self) -> tuple[int, int]:
        return len(self.mean), len(self.low)

    @property
    def digest(self) -> str:
        return digest_of(*self._parts())

    def save(self, path: str | Path) -> None:
        """Write the network to an ``.npz`` file, whole or not at all."""
        layers = {f"weight_{i}": weight for i, weight in enumerate(self.weights)}
        layers |= {f"bias_{i}": bias for i, bias in enumerate(self.biases)}
        rest = {name: getattr(self, name) for name in ("mean", "scale", "low", "high")}
        write_archive(path, self.digest, **layers, **rest, clip=np.array(self.clip))

    @staticmethod
    def load(path: str | Path) -> MlpPolicy:
        """Read a network that `save` wrote, and check it against its digest.

        Raises:
            PolicyError: the file is missing, truncated, holds something else, or was changed.
        """
        return read_archive(path, MlpPolicy.of_arrays)

    @staticmethod
    def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> MlpPolicy:
        """Return the network of the arrays ``weight_0``, ``bias_0``, ... and the other fields, given by name."""
        numbers = {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items() if name != "digest"}
        layers = range(max(sum(name.startswith("weight_") for name in numbers), 1))
        mean, scale, low, high = (numbers[name] for name in ("mean", "scale", "low", "high"))
        weights = tuple(numbers[f"weight_{i}"] for i in layers)
        biases = tuple(numbers[f"bias_{i}"] for i in layers)
        return MlpPolicy(weights, biases, mean, scale, low, high, clip=float(numbers["clip"]))

    def _parts(self) -> tuple[Floats, ...]:
        return (*self.weights, *self.biases, self.mean, self.scale, self.low, self.high, np.array(self.clip))


def _by_row(rows: Floats, weight: Floats) -> Floats:
    """Return ``rows @ weight.T``, (n, out), where no row depends on the others.

    In a matrix product of BLAS it would: a row is rounded differently when other rows stand beside it.
    """
    return np.asarray(np.einsum("ni,oi->no", rows, weight))
