"""A study on disk: one folder whose files are each written whole or not at all."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import tomli_w

from sim2real_cat.errors import StudyError
from sim2real_cat.evidence.events import write_events
from sim2real_cat.files import write_text
from sim2real_cat.study.description import Description
from sim2real_cat.study.result import StudyResult
from sim2real_cat.transfer.build import Recording
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.worlds.recordings import write_log
from sim2real_cat.worlds.trajectories import concatenate

_PACKAGES = ("sim2real-cat", "gymnasium", "mujoco", "numpy", "pyarrow", "scipy")


def check_folder(out: Path) -> None:
    """Refuse a place where something else would be overwritten.

    Raises:
        StudyError: `out` is a file, or a folder that holds files but no study.
    """
    if out.exists() and not out.is_dir():
        raise StudyError(f"{out}: is a file; name a folder for the study")
    if out.is_dir() and any(out.iterdir()) and not (out / "study.toml").is_file():
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
    for name, policy in result.policies.items():
        policy.save(out / "policies" / f"{name}.npz")
    write_events(out / "events.parquet", result.events)
    write_json(out / "laws.json", result.report.to_table())
    write_json(out / "proof.json", {name: proof.to_dict() for name, proof in result.proofs.items()})
    write_text(out / "schema.json", result.instance.acset.schema.to_json())
    result.instance.write(out / "instance.json")
    write_text(out / "study.toml", tomli_w.dumps(resolved(result.description)))


def resolved(description: Description) -> dict[str, Any]:
    """The study's document with all defaults of its head filled in and the versions it ran with."""
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
    return {**description.source, "study": head, "versions": versions}


def write_json(path: Path, content: object) -> None:
    """Write plain values as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")
