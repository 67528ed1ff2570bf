"""Policies: from what the sensors read to what the actuators do."""

from __future__ import annotations

import hashlib
import zipfile
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import PolicyError
from sim2real_cat.files import replacing

Array = NDArray[np.float64]


class Policy(ABC):
    """A batched policy: observations of many episodes in, their actions out."""

    def start(self, n: int) -> Policy:
        """What acts in one rollout of `n` episodes: the policy itself where it keeps no state.

        A policy with memory (a recurrent network, a filter, a table of actions) returns one that has forgotten
        everything and has room for `n` episodes; `act` tells by its `episodes` whose memory each row is. Called once
        at the start of every rollout, so that the policy a user holds never changes.
        """
        return self

    @abstractmethod
    def act(self, observations: Array, episodes: NDArray[np.intp], step: int) -> Array:
        """Actions for one control step.

        Args:
            observations: (n, d) what the sensors read in n episodes.
            episodes: (n,) which episodes of the rollout these are.
            step: control steps since the start of the episodes.

        Returns:
            (n, nu) actions in the units of the model's controls.
        """

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the weights as hexadecimal text: the same policy has the same digest."""

    @staticmethod
    def load(path: str | Path) -> LinearPolicy:
        """Read a policy that `LinearPolicy.save` wrote.

        Raises:
            PolicyError: the file is missing, truncated or holds something else.
        """
        return LinearPolicy.load(Path(path))


@dataclass(frozen=True, eq=False)
class LinearPolicy(Policy):
    """``action = gain · (observation - mean) / scale``: linear, with normalised observations.

    The policy class of augmented random search (Mania, Guy and Recht 2018, version V2).

    Attributes:
        gain: (nu, d) weights.
        mean: (d,) mean of the observations seen in training.
        scale: (d,) standard deviation of the observations seen in training.
    """

    gain: Array
    mean: Array
    scale: Array

    def __post_init__(self) -> None:
        d = self.gain.shape[-1:]
        if self.gain.ndim != 2 or self.mean.shape != d or self.scale.shape != d:
            shapes = f"{self.gain.shape}, {self.mean.shape} and {self.scale.shape}"
            raise PolicyError(f"a linear policy needs gain (nu, d), mean (d,) and scale (d,), got {shapes}")
        if not all(np.isfinite(part).all() for part in (self.gain, self.mean, self.scale)):
            raise PolicyError("a linear policy needs finite weights, got NaN or infinity")
        if not (self.scale > 0).all():
            raise PolicyError(f"a linear policy needs scale > 0, got {self.scale.min()}")

    def act(self, observations: Array, episodes: NDArray[np.intp], step: int) -> Array:
        # not a matrix product: BLAS rounds a row differently when other rows stand beside it
        return np.asarray(np.einsum("nd,ad->na", (observations - self.mean) / self.scale, self.gain))

    @property
    def digest(self) -> str:
        parts = (np.ascontiguousarray(part, dtype="<f8") for part in (self.gain, self.mean, self.scale))
        content = b"".join(str(part.shape).encode() + part.tobytes() for part in parts)
        return hashlib.sha256(content).hexdigest()

    def save(self, path: str | Path) -> None:
        """Write the weights to an ``.npz`` file, whole or not at all."""
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, gain=self.gain, mean=self.mean, scale=self.scale, digest=np.array(self.digest))

    @staticmethod
    def load(path: str | Path) -> LinearPolicy:
        """Read weights that `save` wrote, and check them against their digest.

        Raises:
            PolicyError: the file is missing, truncated, holds something else, or was changed.
        """
        try:
            with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
                gain, mean, scale = (np.asarray(content[name], dtype=np.float64) for name in ("gain", "mean", "scale"))
                digest = str(content["digest"])
            policy = LinearPolicy(gain, mean, scale)
        except FileNotFoundError:
            raise PolicyError(f"{path}: no such policy file") from None
        except (PolicyError, KeyError, TypeError, ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            reason = " ".join(str(error).split())
            raise PolicyError(f"{path}: not a policy written by sim2real_cat ({reason}); save it again") from None
        if policy.digest != digest:
            raise PolicyError(f"{path}: the weights do not match their digest; the file was changed, save it again")
        return policy
