"""Measure the gaps of a study's folder again, for the law `gap-recomputes`.

What was seen comes from the recordings that the instance names, whose digests must be those it holds; the fibre from
its draws. The study's description says what an instance cannot: which world was simulated, how reality differs, by
which method gaps are measured and from which seed.
"""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sim2real_cat.acsets.acset import ACSet
from sim2real_cat.errors import LawError, Sim2RealError, unknown_name
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.study.description import Description, generator, read_description
from sim2real_cat.transfer.deployment import Deployment, measure_again
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.laws import Recompute, Recomputed
from sim2real_cat.worlds.randomization.randomization import Ensemble

if TYPE_CHECKING:
    from collections.abc import Mapping


def recompute_gaps(folder: str | Path, threads: int = 0) -> Recompute:
    """What measures the gaps of a study again, from the folder that `Study.run` wrote.

    Whatever stands in the way, a file that is missing or a description that cannot be read, is the reason why a gap
    was not measured again, and no error. A recording whose digest is another one breaks the law.

    Args:
        folder: it holds ``study.toml`` and the recordings.
        threads: physics threads; 0 means one per core.
    """
    return _FolderAgain(Path(folder), threads)


class _ChangedError(Exception):
    """A recording is not the one that the instance refers to."""


class _FolderAgain:
    """A study's folder, whose description and recordings are read when they are first needed."""

    def __init__(self, folder: Path, threads: int) -> None:
        self.folder, self.threads = folder, threads
        self._description: Description | None = None
        self._robot: tuple[str, Trajectories] | None = None

    def __call__(self, instance: ACSet, policy: int) -> Recomputed:
        try:
            found, note = measure_again(
                self._deployment(TransferInstance(instance), policy),
                method=self._described.method,
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
        return Recomputed(found.value, found.low, found.high, note=_versions(self._described.source))

    @property
    def _described(self) -> Description:
        if self._description is None:
            self._description = read_description(self.folder / "study.toml")
        return self._description

    def _deployment(self, instance: TransferInstance, policy: int) -> Deployment:
        """The policy on its robot, as the instance and its recordings say."""
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
        )

    def _verified(self, acset: ACSet, observation: int) -> Path:
        """The file of an observation, if it is the one that was written."""
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
        """The recording of a robot, which its policies share."""
        if self._robot is None or self._robot[0] != str(path):
            self._robot = (str(path), read_log(path))
        return self._robot[1]


def _fibre(acset: ACSet, worlds: list[int]) -> Ensemble:
    """The simulated worlds of a policy, from the numbers that were drawn for them."""
    drawn = acset.incident(worlds, "drawn_in")
    members = [member for member, ids in enumerate(drawn) for _ in ids]
    parameters, changes, values = (
        [acset.subpart(attribute, draw) for ids in drawn for draw in ids.tolist()]
        for attribute in ("parameter", "change", "drawn_value")
    )
    weights = [float(weight) for weight in np.ma.filled(acset.subpart("sim_weight", worlds), np.nan)]
    return Ensemble.from_draws(members, parameters, changes, values, weights)


def _versions(source: Mapping[str, object]) -> str:
    """Which packages are not those that the study ran with, '' where they are."""
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
