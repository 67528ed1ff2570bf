"""Small worlds with a known answer, and policies that do as they are told, for the tests of worlds."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real_cat.policies.policy import Policy
from sim2real_cat.recordings.trajectories import Trajectories
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

TIMESTEP = 0.01
MASS, STIFFNESS, GRAVITY = 2.0, 8.0, -10.0

RIG = f"""
<mujoco model="rig">
  <option timestep="{TIMESTEP}" gravity="0 0 {GRAVITY}"/>
  <default><geom type="sphere" size="0.1" mass="{MASS}" contype="0" conaffinity="0"/></default>
  <worldbody>
    <body name="faller"><joint name="drop" type="slide" axis="0 0 1"/><geom name="ball"/></body>
    <body name="cart"><joint name="rail" type="slide" axis="1 0 0"/><geom name="box"/></body>
    <body name="bob"><joint name="coil" type="slide" axis="0 1 0" stiffness="{STIFFNESS}"/><geom name="weight"/></body>
    <body name="arm"><joint name="turn" axis="0 0 1"/><geom name="rod" pos="0.5 0 0"/></body>
  </worldbody>
  <actuator><motor name="push" joint="rail"/><motor name="twist" joint="turn"/></actuator>
  <sensor><jointpos name="encoder" joint="rail"/><subtreecom name="centre" body="faller"/></sensor>
</mujoco>
"""
"""Four bodies that do not touch: one falls, one is pushed along a rail, one hangs on a spring, one is turned."""

JOINTS = ("drop", "rail", "coil", "turn")
SENSORS = tuple(f"qpos[{joint}]" for joint in JOINTS)


@dataclass(frozen=True, eq=False)
class Scripted(Policy):
    """Plays given actions, (episodes, steps, nu), whatever the sensors read."""

    actions: np.ndarray

    def act(self, observations, episodes, step):
        return self.actions[episodes, step]

    @property
    def digest(self):
        return "scripted"


@dataclass(frozen=True, eq=False)
class Constant(Policy):
    """Gives the same action always."""

    action: np.ndarray

    def act(self, observations, episodes, step):
        return np.tile(self.action, (len(observations), 1))

    @property
    def digest(self):
        return "constant"


def write_model(folder: Path, text: str = RIG, name: str = "rig.xml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def rig_world(folder: Path, *, text: str = RIG, substeps: int = 1, noise=None, **task) -> World:
    """A world of the rig that starts exactly at rest and observes the four positions unless told otherwise."""
    settings = {"observe": SENSORS, "steps": 20, "start_noise": 0.0} | task
    return World.from_xml(
        write_model(folder, text), QuadraticTask(**settings), substeps * TIMESTEP, name="rig", noise=noise
    )


def members(parameter: str, mode: str, values) -> Ensemble:
    """An ensemble with a world for each value."""
    return Ensemble(
        (parameter,), (mode,), np.array(values, dtype=float)[:, None], np.full(len(values), 1 / len(values))
    )


def equal(one, other) -> bool:
    """Whether two trajectories are the same in every field, NaN equal to NaN."""
    return all(np.array_equal(a, b, equal_nan=a.dtype.kind == "f") for a, b in _arrays(one, other)) and all(
        getattr(one, name) == getattr(other, name)
        for name in ("policies", "sensors", "actuators", "control_period", "notes", "reasons")
    )


def _arrays(one, other):
    names = ("observations", "actions", "rewards", "qpos", "qvel", "lengths", "terminated", "diverged", "member_index")
    for name in names:
        first, second = getattr(one, name), getattr(other, name)
        assert first.dtype == second.dtype, name
        yield first, second


def made(
    lengths, *, d=2, nu=1, nq=3, nv=3, diverged=None, members=None, policies=None, number=None, seed=0
) -> Trajectories:
    """Trajectories of the given lengths out of random numbers, with `number` as the first of every array."""
    rng, n = np.random.default_rng(seed), len(lengths)
    longest = max(lengths, default=0)

    def padded(frames: int, ends, *width: int) -> np.ndarray:
        values = rng.standard_normal((n, frames, *width))
        if number is not None and values.size:
            values.flat[0] = number
        values[np.arange(frames) >= np.asarray(ends, dtype=int)[:, None]] = np.nan
        return values

    after = [length + 1 for length in lengths]
    return Trajectories(
        observations=padded(longest + 1, after, d),
        actions=padded(longest, lengths, nu),
        rewards=padded(longest, lengths),
        qpos=padded(longest + 1, after, nq),
        qvel=padded(longest + 1, after, nv),
        lengths=np.array(lengths, dtype=np.int64),
        terminated=np.array([length > 0 for length in lengths], dtype=bool),
        diverged=np.array(diverged if diverged is not None else [False] * n, dtype=bool),
        member_index=np.array(members if members is not None else [0] * n, dtype=np.int64),
        policies=tuple(policies if policies is not None else ["policy"] * n),
        sensors=("x", "y", "z")[:d],
        actuators=("a", "b", "c")[:nu],
        control_period=0.1,
    )
