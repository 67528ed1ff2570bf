"""The folder of a study: its files are written whole or not at all, and its gaps are measured again from them.

To measure a gap again, the readings come from the recordings that the instance names, whose digests must be those it
holds; the fibre comes from the instance's draws; and the simulated world, reality, the method and the seed come from
the study's description.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, cast

import numpy as np
import tomli_w

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import LawError, Sim2RealError, StudyError, unknown_name
from sim2real_cat.evidence.events import write_events
from sim2real_cat.files import write_bytes, write_text
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.recordings.trajectories import Trajectories, concatenate
from sim2real_cat.study.description import Candidate, Description, generator, read_description
from sim2real_cat.study.result import StudyResult
from sim2real_cat.transfer.build import RecordingFile
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws.measured_laws import Recompute, Recomputed
from sim2real_cat.transfer.measurement import measure_again
from sim2real_cat.worlds.randomization.ensemble import Ensemble

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
"""The files and folders of a study; ``study.toml`` is written last."""


def check_folder(out: Path) -> None:
    """Refuse a place where something else would be overwritten, or where nothing can be written.

    The files of a run that was interrupted may be overwritten.

    Raises:
        StudyError: `out` is a file or lies in one, cannot be written to, or holds files that no study wrote.
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


def write_recordings(out: Path, deployments: Sequence[Deployment]) -> dict[str, RecordingFile]:
    """Write all episodes: a file for the fibre of every policy, and one for every robot."""
    recordings = {}
    for deployment in deployments:
        path = f"trajectories/sim_{deployment.policy}.parquet"
        recordings[deployment.policy] = RecordingFile(path, write_log(out / path, deployment.sim))
    for robot in dict.fromkeys(deployment.robot for deployment in deployments):
        path = f"trajectories/real_{robot}.parquet"
        seen = concatenate([deployment.real for deployment in deployments if deployment.robot == robot])
        recordings[robot] = RecordingFile(path, write_log(out / path, seen))
    return recordings


def write_folder(out: Path, result: StudyResult) -> None:
    """Write everything but the recordings, which have to be there already, as the instance refers to them."""
    for candidate in result.description.candidates:
        path = out / _saved(candidate)
        if candidate.weights is not None:
            write_bytes(path, candidate.weights.content)
        else:  # what a study trains is linear
            cast(LinearPolicy, result.policies[candidate.name]).save(path)
    write_events(out / "events.parquet", result.events)
    _write_json(out / "laws.json", result.report.to_table())
    _write_json(out / "proof.json", {name: proof.to_dict() for name, proof in result.proofs.items()})
    write_text(out / "schema.json", result.instance.acset.schema.to_json())
    result.instance.write(out / "instance.json")
    write_text(out / "study.toml", tomli_w.dumps(_resolved(result.description, out)))


def _resolved(description: Description, out: Path) -> dict[str, Any]:
    """Return the study's document as it can be run again from the folder `out`.

    The defaults of its head are filled in, and the versions that it ran with are added. The path of a model leads from
    `out` to the model, which is not copied, as it may include other files. The weights are those in the folder.
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
    """Return the place of a policy in the folder."""
    suffix = ".npz" if candidate.weights is None else candidate.weights.suffix
    return Path("policies") / f"{candidate.name}{suffix}"


def _from(out: Path, path: Path) -> str:
    """Return a path as it is written in the folder."""
    return Path(os.path.relpath(path.resolve(), out.resolve())).as_posix()


def _write_json(path: Path, content: object) -> None:
    """Write plain values as indented JSON, whole or not at all."""
    write_text(path, json.dumps(content, indent=2, allow_nan=False) + "\n")


def recompute_gaps(folder: str | Path, threads: int = 0) -> Recompute:
    """Return a function that measures the gaps of a study again, from the folder that `Study.run` wrote.

    The law `gap-recomputes` calls it. A missing file or a description that cannot be read leaves a gap unmeasured, with
    the reason, and is not an error. A recording with another digest than the instance holds breaks the law.

    Args:
        folder: the folder with ``study.toml`` and the recordings.
        threads: physics threads; 0 means one per core.
    """
    return _Remeasurement(Path(folder), threads)


class _ChangedError(Exception):
    """A recording other than the one that the instance refers to."""


class _Remeasurement:
    """The function that `recompute_gaps` returns; it reads description and recordings when they are first needed."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self._description: Description | None = None
        self._robot: tuple[str, Trajectories] | None = None

    def __call__(self, instance: ACSet, policy: int) -> Recomputed:
        try:
            found, fibre, note = measure_again(
                self._deployment(TransferInstance(instance), policy),
                method=self._described.method,
                gap_of=self._described.gap_of,
                confidence=self._described.confidence,
                rng=generator(self._described.seed, "gap", str(instance.subpart("policy_name", policy))),
                threads=self.threads,
            )
        except _ChangedError as changed:
            return Recomputed(broken=str(changed))
        except Sim2RealError as error:
            return Recomputed(reason=f"cannot be measured again: {error}")
        if found is None:
            return Recomputed(note=note)
        fibre_gap = None if fibre is None else fibre.value
        return Recomputed(found.value, found.low, found.high, fibre_gap, note=_versions(self._described.source))

    @property
    def _described(self) -> Description:
        if self._description is None:
            self._description = read_description(self.folder / "study.toml")
        return self._description

    def _deployment(self, instance: TransferInstance, policy: int) -> Deployment:
        """Return the deployment of a policy, from the instance and its recordings."""
        acset, name = instance.acset, instance.name("Policy", policy)
        known = {candidate.name: candidate for candidate in self._described.candidates}
        if name not in known:
            raise LawError(f"{self.folder / 'study.toml'}: " + unknown_name("policy", name, known))
        worlds = instance.fibre(policy).tolist()
        paths = {str(acset.subpart("observe_sim.recording", world)) for world in worlds}
        if len(paths) != 1:
            raise LawError(f"the worlds of its fibre name {len(paths)} recordings, but a study writes one of them")
        sim = read_log(self._verified(acset, int(acset.subpart("observe_sim", worlds[0]))))
        robot = known[name].robot
        return Deployment(
            name,
            robot.name,
            "",
            None,
            _fibre(acset, worlds),
            sim,
            self._of_robot(self._verified(acset, int(acset.subpart("deploy.observe_real", policy)))).of_policy(name),
            world=robot.world,
            reality=robot.reality,
            randomization=known[name].varying,
        )

    def _verified(self, acset: ACSet, observation: int) -> Path:
        """Return the file of an observation, whose digest must be the one in the instance."""
        name, digest = (acset.subpart(arrow, observation) for arrow in ("recording", "recording_digest"))
        if not isinstance(name, str) or not isinstance(digest, str):
            raise LawError(f"Observation {observation} names no recording with a digest")
        path = self.folder / name
        try:
            with path.open("rb") as file:
                found = hashlib.file_digest(file, "sha256").hexdigest()
        except OSError as error:
            raise LawError(f"{path}: {error.strerror or error}") from None
        if found != digest:
            raise _ChangedError(
                f"{name} is not the recording that was measured: its SHA-256 is {found[:12]}…, not {digest[:12]}…"
            )
        return path

    def _of_robot(self, path: Path) -> Trajectories:
        """Return the recording of a robot, which its policies share."""
        if self._robot is None or self._robot[0] != str(path):
            self._robot = (str(path), read_log(path))
        return self._robot[1]


def _fibre(acset: ACSet, worlds: list[int]) -> Ensemble:
    """Return the simulated worlds of a policy, from the numbers that were drawn for them."""
    drawn = acset.incident(worlds, "drawn_in")
    members = [member for member, ids in enumerate(drawn) for _ in ids]
    parameters, changes, values = (
        [acset.subpart(attribute, draw) for ids in drawn for draw in ids.tolist()]
        for attribute in ("parameter", "change", "drawn_value")
    )
    weights = [float(weight) for weight in np.ma.filled(acset.subpart("sim_weight", worlds), np.nan)]
    return Ensemble.from_draws(members, parameters, changes, values, weights)


def _versions(source: Mapping[str, object]) -> str:
    """Return a note of the packages whose versions are not those that the study ran with, '' where all are."""
    then = source.get("versions")
    if not isinstance(then, dict):
        return ""
    other = []
    for package, used in then.items():
        try:
            here = version(package) if package != "python" else None
        except PackageNotFoundError:
            here = "missing"
        if here is not None and here != used:
            other.append(f"{package} {used}, here {here}")
    return f"measured with {'; '.join(other)}" if other else ""
