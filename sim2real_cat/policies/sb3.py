"""Policies that Stable-Baselines3 saved (extra ``rl``)."""

from __future__ import annotations

import hashlib
import pickle
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.arrays import Floats, Ints
from sim2real_cat.errors import PolicyError, with_kind
from sim2real_cat.policies.policy import ROWS, Policy, in_blocks

_MEMBERS = ("data", "policy.pth")
"""Files that Stable-Baselines3 writes into the zip of every algorithm."""


class Sb3Policy(Policy):
    """A policy of the deterministic actions of a model of Stable-Baselines3, whatever its algorithm, on the CPU.

    Evaluated in blocks of one size, so that the answers do not depend on how many episodes run together. Actions are
    clipped to the action space the model was trained in.

    Attributes:
        model: a ``stable_baselines3.common.policies.BasePolicy`` with continuous actions.
        normalisation: the ``VecNormalize`` whose statistics of observations the model was trained with, or None.
    """

    def __init__(self, model: Any, normalisation: Any, digest: str) -> None:
        spaces = (model.observation_space, model.action_space)
        if any(type(space).__name__ != "Box" or len(space.shape) != 1 for space in spaces):
            raise PolicyError(f"a policy maps a vector to a vector, this model maps {spaces[0]} to {spaces[1]}")
        if normalisation is not None and normalisation.observation_space.shape != spaces[0].shape:
            seen = normalisation.observation_space.shape
            raise PolicyError(
                f"the statistics of VecNormalize are of observations {seen}, this model reads {spaces[0].shape}; "
                "give the file that VecNormalize.save wrote beside it"
            )
        self.model, self.normalisation, self._digest = model, normalisation, digest
        self._widths: tuple[int, int] = (spaces[0].shape[0], spaces[1].shape[0])

    @staticmethod
    def load(path: str | Path, *, allow_pickle: bool = False, vecnormalize: str | Path | None = None) -> Sb3Policy:
        """Read a zip that ``model.save`` wrote.

        Args:
            path: the zip.
            allow_pickle: that you trust the files: they hold pickles, which can run any code when they are opened.
            vecnormalize: the file that ``VecNormalize.save`` wrote beside the model, if it was trained with one.

        Raises:
            PolicyError: a file is missing, truncated or something else, pickles are not allowed, the model is not of
                continuous vectors, the statistics are of other observations, or stable-baselines3 is not installed.
        """
        content = _checked(Path(path))
        if not allow_pickle:
            raise PolicyError(
                f"{path}: a zip of Stable-Baselines3 holds pickles, which can run any code when they are opened; "
                f"if you trust it, say allow_pickle=True"
            )
        model = _model(Path(path))
        digest, normalisation = hashlib.sha256(content), None
        if vecnormalize is not None:
            normalisation = _normalisation(Path(vecnormalize))
            digest.update(Path(vecnormalize).read_bytes())
        try:
            return Sb3Policy(model, normalisation, digest.hexdigest())
        except PolicyError as error:
            raise PolicyError(f"{path}: {error}") from None

    @property
    def widths(self) -> tuple[int, int]:
        return self._widths

    @property
    def digest(self) -> str:
        """SHA-256 of the bytes of the zip, followed by those of the statistics where there are some."""
        return self._digest

    def act(self, observations: Floats, episodes: Ints, step: int) -> Floats:
        if observations.shape[1] != self._widths[0]:
            raise PolicyError(f"the policy reads {self._widths[0]} observations, it was given {observations.shape[1]}")
        return np.asarray(in_blocks(self._block, [observations], ROWS)[0], dtype=np.float64)

    def _block(self, arrays: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
        rows = arrays[0] if self.normalisation is None else self.normalisation.normalize_obs(arrays[0])
        return [self.model.predict(rows, deterministic=True)[0]]


def _checked(path: Path) -> bytes:
    """Return the bytes of a zip of Stable-Baselines3, checked to be whole; nothing in it is opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            names, broken = archive.namelist(), archive.testzip()
    except FileNotFoundError:
        raise PolicyError(f"{path}: no such policy file") from None
    except (zipfile.BadZipFile, OSError, EOFError, ValueError) as error:
        raise PolicyError(f"{path}: not a whole zip file ({error}); copy it again") from None
    if broken is not None:
        raise PolicyError(f"{path}: '{broken}' in this zip is damaged; copy it again")
    missing = [name for name in _MEMBERS if name not in names]
    if missing:
        raise PolicyError(f"{path}: no policy of Stable-Baselines3 is in this zip, it has no '{missing[0]}'")
    return path.read_bytes()


def _model(path: Path) -> Any:
    """Return the policy network in a zip, without the algorithm that trained it."""
    try:
        from stable_baselines3.common.save_util import load_from_zip_file
    except ImportError:
        raise PolicyError(f"{path}: needs stable-baselines3: pip install 'sim2real-cat[rl]'") from None
    try:
        data, parameters, _ = load_from_zip_file(path, device="cpu")
        settings = data["policy_kwargs"] | ({"use_sde": data["use_sde"]} if data.get("use_sde") else {})
        model = data["policy_class"](data["observation_space"], data["action_space"], lambda _: 0.0, **settings)
        model.load_state_dict(parameters["policy"])
    except Exception as error:  # a pickle can raise anything
        raise PolicyError(f"{path}: Stable-Baselines3 cannot read its policy ({with_kind(error)})") from None
    if getattr(model, "lstm_actor", None) is not None:
        raise PolicyError(
            f"{path}: a recurrent policy of sb3-contrib; export it to ONNX with its state as input and output"
        )
    model.set_training_mode(False)
    return model


def _normalisation(path: Path) -> Any:
    """Return the statistics that VecNormalize saved."""
    from stable_baselines3.common.vec_env import VecNormalize

    if not path.is_file():
        raise PolicyError(f"{path}: no such file of VecNormalize")
    try:
        loaded = pickle.loads(path.read_bytes())
    except Exception as error:  # a pickle can raise anything
        raise PolicyError(f"{path}: not a whole file of VecNormalize ({with_kind(error)})") from None
    if not isinstance(loaded, VecNormalize):
        raise PolicyError(f"{path}: holds {type(loaded).__name__}, not VecNormalize")
    return loaded
