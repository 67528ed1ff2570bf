"""Policies: functions from readings of the sensors to commands of the actuators, and the linear one.

The weights of a policy are saved in an ``.npz`` file beside their digest, and read without opening pickles.
"""

from __future__ import annotations

import hashlib
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import PolicyError, listed, one_line
from sim2real_cat.files import replacing


class Policy(ABC):
    """A batched policy: observations of many episodes in, their actions out."""

    def start(self, n: int) -> Policy:
        """Return the policy that acts in one rollout of `n` episodes: itself where it keeps no state.

        A policy with memory (a recurrent network, a filter, a table of actions) returns one that remembers nothing yet
        and has room for `n` episodes; the `episodes` given to `act` say whose memory each row needs. A rollout calls
        it once when it starts, so that the policy of the user never changes.
        """
        return self

    @abstractmethod
    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        """Return the actions of one control step.

        Args:
            observations: (n, d) readings of the sensors in n episodes.
            episodes: (n,) index of each episode in the rollout.
            step: control steps since the start of the episodes.

        Returns:
            (n, nu) actions in the units of the model's controls.
        """

    @property
    @abstractmethod
    def digest(self) -> str:
        """SHA-256 of the weights as hexadecimal text; the same policy has the same digest."""

    @property
    def widths(self) -> tuple[int | None, int | None]:
        """Numbers of observations read and of actions answered, None where the policy does not say."""
        return None, None

    def check_fit(
        self, sensors: Sequence[str], actuators: Sequence[str], world: str, answers: Sequence[int] = ()
    ) -> None:
        """Refuse a policy that does not fit a world.

        Args:
            sensors: names of the world's sensors.
            actuators: names of its actuators.
            world: its name, for messages.
            answers: numbers of columns that an answer may have, where that is not one for each actuator: see
                `ExternalWorld.answers`.

        Raises:
            PolicyError: the policy reads or answers another number of channels.
        """
        taken = tuple(answers) or (len(actuators),)
        reads, answered = self.widths
        if reads not in (None, len(sensors)) or answered not in (None, *taken):
            first, second = ("any number of" if width is None else width for width in self.widths)
            drives = f"{len(actuators)} actuators ({listed(actuators)})"
            drives += "".join(f", for which it takes {count} scores too" for count in taken if count != len(actuators))
            raise PolicyError(
                f"the policy reads {first} observations and answers {second} actions, but world '{world}' has "
                f"{len(sensors)} sensors ({listed(sensors)}) and {drives}"
            )


def as_numbers(values: object, what: str) -> Floats:
    """Return lists or an array as an array of floats; `what` names them in the message.

    Raises:
        PolicyError: something else than numbers, or lists of several lengths.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind in "OSUTMmc":  # a list of what is refused: numpy does not know bfloat16, which is a number
            raise PolicyError(f"{what} needs numbers, got {_kind(values, array)}")
        return np.asarray(array, dtype=np.float64)
    except (TypeError, ValueError, RuntimeError) as error:  # RuntimeError: a tensor of torch with gradients
        raise PolicyError(f"{what} needs numbers in an array ({one_line(error)})") from None


def _kind(values: object, array: NDArray[Any]) -> str:
    """Return words for values that are not numbers."""
    if array.ndim == 0:
        return type(values).__name__
    return f"{'text' if array.dtype.kind in 'US' else array.dtype.name} of shape {array.shape}"


@dataclass(frozen=True, eq=False)
class LinearPolicy(Policy):
    """A linear policy ``action = gain · (observation - mean) / scale``.

    The policy class of augmented random search (Mania, Guy and Recht 2018, version V2).

    Attributes:
        gain: (nu, d) weights.
        mean: (d,) mean of the observations seen in training.
        scale: (d,) standard deviation of the observations seen in training.
    """

    gain: Floats
    mean: Floats
    scale: Floats

    def __post_init__(self) -> None:
        for name in ("gain", "mean", "scale"):
            object.__setattr__(self, name, as_numbers(getattr(self, name), f"the {name} of a linear policy"))
        d = self.gain.shape[-1:]
        if self.gain.ndim != 2 or self.mean.shape != d or self.scale.shape != d:
            shapes = f"{self.gain.shape}, {self.mean.shape} and {self.scale.shape}"
            raise PolicyError(f"a linear policy needs gain (nu, d), mean (d,) and scale (d,), got {shapes}")
        if not all(np.isfinite(part).all() for part in (self.gain, self.mean, self.scale)):
            raise PolicyError("a linear policy needs finite weights, got NaN or infinity")
        if not (self.scale > 0).all():
            raise PolicyError(f"a linear policy needs scale > 0, got {self.scale.min()}")

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        # einsum, as BLAS rounds a row of a matrix product differently when other rows stand beside it
        return np.asarray(np.einsum("nd,ad->na", (observations - self.mean) / self.scale, self.gain))

    @property
    def widths(self) -> tuple[int, int]:
        return self.gain.shape[1], self.gain.shape[0]

    @property
    def digest(self) -> str:
        return digest_of(self.gain, self.mean, self.scale)

    def save(self, path: str | Path) -> None:
        """Write the weights to an ``.npz`` file, whole or not at all."""
        write_archive(path, self.digest, gain=self.gain, mean=self.mean, scale=self.scale)

    @staticmethod
    def load(path: str | Path) -> LinearPolicy:
        """Read weights that `save` wrote, and check them against their digest.

        Raises:
            PolicyError: the file is missing, truncated, holds something else, or was changed.
        """
        return read_archive(path, LinearPolicy.of_arrays)

    @staticmethod
    def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> LinearPolicy:
        """Return the policy whose ``gain``, ``mean`` and ``scale`` are given by name."""
        gain, mean, scale = (np.asarray(arrays[name], dtype=np.float64) for name in ("gain", "mean", "scale"))
        return LinearPolicy(gain, mean, scale)


AnyPolicy = TypeVar("AnyPolicy", bound=Policy)


def digest_of(*arrays: NDArray[Any]) -> str:
    """Return the SHA-256 of the shapes and numbers of some arrays; their layout in memory does not count."""
    parts = (np.ascontiguousarray(array, dtype="<f8").reshape(array.shape) for array in arrays)
    return hashlib.sha256(b"".join(str(part.shape).encode() + part.tobytes() for part in parts)).hexdigest()


def write_archive(path: str | Path, digest: str, **arrays: NDArray[Any]) -> None:
    """Write the arrays of a policy and its digest, whole or not at all; same content, same bytes."""
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, digest=np.array(digest))


def read_archive(
    path: str | Path, build: Callable[[Mapping[str, NDArray[Any]]], AnyPolicy], *, signed: bool = True
) -> AnyPolicy:
    """Build a policy from the arrays of an ``.npz`` file and check it against the digest in the file.

    Args:
        path: the file.
        build: a function that makes the policy from the arrays by name.
        signed: whether the file must hold a digest; otherwise a digest is checked only where there is one.

    Raises:
        PolicyError: the file is missing, truncated, holds something else, or was changed.
    """
    try:
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = {name: content[name] for name in content.files}
        policy = build(arrays)
        digest = str(arrays["digest"]) if signed or "digest" in arrays else policy.digest
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such policy file") from None
    except KeyError as error:
        raise PolicyError(f"{path}: not a policy written by sim2real_cat, {error} is missing; save it again") from None
    except (PolicyError, TypeError, ValueError, AttributeError, EOFError, OSError, zipfile.BadZipFile) as error:
        reason = one_line(error)
        raise PolicyError(f"{path}: not a policy written by sim2real_cat ({reason}); save it again") from None
    if policy.digest != digest:
        raise PolicyError(f"{path}: the weights do not match their digest; the file was changed, save it again")
    return policy
