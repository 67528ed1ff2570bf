"""Weights in an ``.npz`` file beside their digest, read without opening pickles."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from sim2real_cat.errors import PolicyError
from sim2real_cat.files import replacing

if TYPE_CHECKING:
    from sim2real_cat.worlds.policy import Policy

P = TypeVar("P", bound="Policy")


def digest_of(*arrays: NDArray[Any]) -> str:
    """SHA-256 of the shapes and numbers of some arrays, whatever their layout in memory."""
    parts = (np.ascontiguousarray(array, dtype="<f8").reshape(array.shape) for array in arrays)
    return hashlib.sha256(b"".join(str(part.shape).encode() + part.tobytes() for part in parts)).hexdigest()


def write_archive(path: str | Path, digest: str, **arrays: NDArray[Any]) -> None:
    """Write arrays and the digest of the policy they make, whole or not at all; same content, same bytes."""
    with replacing(Path(path)) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, **arrays, digest=np.array(digest))


def from_archive(path: str | Path, build: Callable[[Mapping[str, NDArray[Any]]], P], *, signed: bool = True) -> P:
    """Build a policy from the arrays of an ``.npz`` file and check it against the digest in there.

    Args:
        path: the file.
        build: makes the policy out of the arrays by name.
        signed: whether a digest has to be there; otherwise it is checked only where there is one.

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
        reason = " ".join(str(error).split())
        raise PolicyError(f"{path}: not a policy written by sim2real_cat ({reason}); save it again") from None
    if policy.digest != digest:
        raise PolicyError(f"{path}: the weights do not match their digest; the file was changed, save it again")
    return policy
