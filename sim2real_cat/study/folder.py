"""A study on disk: one folder whose files are each written whole or not at all."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, cast

import tomli_w

from sim2real_cat.errors import StudyError
from sim2real_cat.evidence.events import write_events
from sim2real_cat.files import write_bytes, write_text
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.recordings.trajectories import concatenate
from sim2real_cat.study.description import Candidate, Description
from sim2real_cat.study.result import StudyResult
from sim2real_cat.transfer.build import Recording
from sim2real_cat.transfer.deployment import Deployment

_PACKAGES = ("sim2real-cat", "gymnasium", "mujoco", "numpy", "pyarrow", "scipy")


_ENTRIES = (
    "events.parquet",
    "instance.json",
    "laws.json",
    "policies",
    "proof.json",
    "report.html",
    "schema.json",
    "study.toml",
    "trajectories",
)
"""What lies in a study's folder; ``study.toml`` is written last."""


def check_folder(out: Path) -> None:
    """Refuse a place where something else would be overwritten, or where nothing can be written.

    What a run that was interrupted left behind may be overwritten.

    Raises:
        StudyError: `out` is a file or lies in one, cannot be written to, or holds files that are no study's.
    """
    standing = next(place for place in (out, *out.absolute().parents) if place.exists())
    if not standing.is_dir():
        raise StudyError(f"{standing}: is a file; name a folder for the study")
    if not os.access(standing, os.W_OK | os.X_OK):
        raise StudyError(f"{standing}: cannot be written to; name another folder")
    if standing != out:
        return
    held = {entry.name for entry in out.iterdir()}
    if "study.toml" in held and "instance.json" not in held:
        raise StudyError(f"{out}: holds a study.toml that was not written by a run; name another folder")
    if "study.toml" not in held and not held <= set(_ENTRIES):
        raise StudyError(f"{out}: holds files but no study, which would be mixed up; name another folder")


def write_recordings(out: Path, deployments: Sequence[Deployment]) -> dict[str, Recording]:
    """Write all episodes: a file for the fibre of every policy, and one for every robot."""
    recordings = {}
    for deployment in deployments:
        path = f"trajectories/sim_{deployment.policy}.parquet"
        recordings[deployment.policy] = Recording(path, write_log(out / path, deployment.sim))
    for robot in dict.fromkeys(deployment.robot for deployment in deployments):
        path = f"trajectories/real_{robot}.parquet"
        seen = concatenate([deployment.real for deployment in deployments if deployment.robot == robot])
        recordings[robot] = Recording(path, write_log(out / path, seen))
    return recordings


def write_folder(out: Path, result: StudyResult) -> None:
    """Write everything but the recordings, which are there before the instance that refers to them."""
    for candidate in result.description.candidates:
        path = out / _saved(candidate)
        if candidate.weights is not None:
            write_bytes(path, candidate.weights.content)
        else:  # what a study trains is linear
            cast(LinearPolicy, result.policies[candidate.name]).save(path)
    write_events(out / "events.parquet", result.events)
    write_json(out / "laws.json", result.report.to_table())
    write_json(out / "proof.json", {name: proof.to_dict() for name, proof in result.proofs.items()})
    write_text(out / "schema.json", result.instance.acset.schema.to_json())
    result.instance.write(out / "instance.json")
    write_text(out / "study.toml", tomli_w.dumps(resolved(result.description, out)))


def resolved(description: Description, out: Path) -> dict[str, Any]:
    """The study's document as it can be run again from the folder `out`.

    The defaults of its head are filled in and the versions it ran with added. A model's path leads from `out` to
    the model, which is not copied, as it may include other files; weights are those in the folder.
    """
    head = {
        "name": description.name,
        "seed": description.seed,
        "epsilon": description.epsilon,
        "method": description.method,
        "confidence": description.confidence,
        "real_episodes": description.real_episodes,
        "sim_episodes": description.sim_episodes,
    }
    versions = {package: version(package) for package in _PACKAGES} | {"python": platform.python_version()}
    robots = {
        name: {**robot, "xml": _from(out, description.folder / robot["xml"])} if "xml" in robot else robot
        for name, robot in description.source["robots"].items()
    }
    policies = dict(description.source["policies"])
    for candidate in description.candidates:
        if candidate.weights is not None:
            policies[candidate.name] = {**policies[candidate.name], "weights": _saved(candidate).as_posix()}
    tables = {"study": head, "robots": robots, "policies": policies, "versions": versions}
    return {**description.source, **tables}


def _saved(candidate: Candidate) -> Path:
    """Where a policy lies in the folder."""
    suffix = ".npz" if candidate.weights is None else candidate.weights.suffix
    return Path("policies") / f"{candidate.name}{suffix}"


def _from(out: Path, path: Path) -> str:
    """A path as it is written in the folder."""
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()


def write_json(path: Path, content: object) -> None:
    """Write plain values as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
