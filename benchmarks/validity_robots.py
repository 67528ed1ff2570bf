"""The six robots of the validity experiment: their sensors, their policies, and the worlds that stand for reality."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sim2real_cat.arrays import Floats
from sim2real_cat.policies.function import CallablePolicy
from sim2real_cat.policies.policy import LinearPolicy, Policy
from sim2real_cat.training.random_search import RandomSearch, train
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.world import World

DATA = Path(__file__).resolve().parent / "data"
MEMBERS = 8
"""Worlds in every fibre."""

NONE, DYNAMICS, SENSING, TIMING, SEVERAL = KINDS = ("none", "dynamics", "sensing", "timing", "several")
"""Kinds of differences between a real-like world and the simulation."""

Table = dict[str, dict[str, float]]


@dataclass(frozen=True)
class Robot:
    """A world with noisy sensors, and the training of its policy.

    Attributes:
        name: of Gymnasium's environment.
        steps: control steps of an episode.
        noise: deviation of the sensors' noise: of velocities, and of the others.
        stiction: the largest dry friction in a joint [N or N m] where no foot touches the ground; 0 where one does.
        late: the longest delay of sensors and actuators, in control periods.
        search: the settings of the policy's training; None where it is written by hand.
    """

    name: str
    steps: int
    noise: tuple[float, float]
    stiction: float
    late: float
    search: RandomSearch | None

    @property
    def world(self) -> World:
        """The simulation, with its noise."""
        sensors = World.gymnasium(self.name).sensors
        fast, slow = self.noise
        return World.gymnasium(self.name, noise={s: fast if "velocity" in s else slow for s in sensors})

    def fibre(self) -> Ensemble:
        """Draw the randomized worlds in which the policy was trained, and with which reality is compared."""
        changes = {
            "body_inertial[*]": Change("scale", 0.9, 1.1),
            "dof_damping": Change("scale", 0.75, 1.33, "loguniform"),
            "actuator_gear": Change("scale", 0.9, 1.1),
        }
        if not self.stiction:
            changes["geom_friction"] = Change("scale", 0.8, 1.25, "loguniform")
        return Randomization(changes).draw(MEMBERS, rng=0)

    @property
    def weights(self) -> Path:
        """The file of the trained policy."""
        return DATA / f"validity_{self.name}.npz"

    def policy(self) -> Policy:
        """Return the policy that is deployed."""
        return LinearPolicy.load(self.weights) if self.search else CallablePolicy(reach, "Jacobian transpose, 20, 0.06")

    def train(self, seed: int) -> None:
        """Train the policy in the fibre and save it."""
        if self.search:
            trained = train(self.world, self.search, rng=seed, fibre=self.fibre())
            trained.policy.save(self.weights)

    def at_rest(self) -> Policy:
        """Return the policy that does nothing."""
        world = self.world
        d, nu = len(world.sensors), int(world.compile().nu)
        return LinearPolicy(np.zeros((nu, d)), np.zeros(d), np.ones(d))


def reach(observed: Floats) -> Floats:
    """Act as Reacher's policy, (n, 10) to (n, 2): a damped spring from fingertip to target, by the transposed Jacobian.

    No linear policy reaches the target, as the direction of a torque depends on where the arm is. Links are 0.1 and
    0.11 m long. The gains are the best of a grid of six by four in simulation.
    """
    (cos_0, cos_1, sin_0, sin_1), (x, y) = observed[:, :4].T, observed[:, 8:10].T
    cos_sum, sin_sum = cos_0 * cos_1 - sin_0 * sin_1, sin_0 * cos_1 + cos_0 * sin_1
    second = 0.11 * (cos_sum * y - sin_sum * x)
    first = 0.1 * (cos_0 * y - sin_0 * x) + second
    return np.asarray(-20.0 * np.stack([first, second], axis=1) - 0.06 * observed[:, 6:8])


ROBOTS = (
    Robot("InvertedPendulum", 250, (0.02, 0.002), 20.0, 1.0, RandomSearch(30, 16, 8, 0.1, 0.1, 250)),
    Robot("InvertedDoublePendulum", 250, (0.02, 0.002), 5.0, 1.0, RandomSearch(200, 16, 8, 0.02, 0.03, 250)),
    Robot("Reacher", 50, (0.05, 0.01), 60.0, 4.0, None),
    Robot("Hopper", 250, (0.05, 0.01), 0.0, 4.0, RandomSearch(300, 8, 4, 0.01, 0.025, 400, 1.0)),
    Robot("HalfCheetah", 250, (0.05, 0.01), 0.0, 4.0, RandomSearch(120, 24, 8, 0.02, 0.03, 250)),
    Robot("Walker2d", 250, (0.05, 0.01), 0.0, 4.0, RandomSearch(300, 24, 16, 0.03, 0.025, 300, 1.0)),
)


@dataclass(frozen=True)
class RealWorld:
    """A simulated world that stands for reality.

    Attributes:
        kind: one of `KINDS`.
        differences: what differs, in words.
        severity: from 0 to 1, the largest of the differences' own.
        table: the changed parameters, as `Ensemble.single` takes them.
    """

    kind: str
    differences: tuple[str, ...]
    severity: float
    table: Table

    @property
    def ensemble(self) -> Ensemble:
        """The world as an ensemble of one."""
        return Ensemble.single(self.table) if self.table else Ensemble.nominal()


SAME = RealWorld(NONE, (), 0.0, {})
"""Reality equal to the simulation in the middle of its fibre."""

DIFFERENCES: Mapping[str, str] = {
    "inertia": DYNAMICS,
    "friction": DYNAMICS,
    "damping": DYNAMICS,
    "strength": DYNAMICS,
    "gravity": DYNAMICS,
    "sensor noise": SENSING,
    "sensor bias": SENSING,
    "sensor delay": SENSING,
    "actuator delay": TIMING,
    "jitter": TIMING,
    "lost actions": TIMING,
}
"""The kind of everything that can differ."""


def real_worlds(robot: Robot, spread: Floats, rng: np.random.Generator) -> list[RealWorld]:
    """Draw two worlds equal to the simulation, a mild and a severe one for each difference, four with several.

    Args:
        robot: the robot.
        spread: (d,) deviation of each sensor in simulation, the unit of a bias.
        rng: draws severities, signs, and the differences that come together.
    """
    possible = [name for name in DIFFERENCES if not (name == "gravity" and robot.name == "Reacher")]
    worlds = [SAME, SAME]
    for name in possible:
        for low, high in ((0.1, 0.5), (0.5, 1.0)):
            severity = rng.uniform(low, high)
            worlds.append(RealWorld(DIFFERENCES[name], (name,), severity, _change(robot, name, severity, spread, rng)))
    for severity in rng.uniform(0.2, 0.8, size=4):
        chosen = [possible[i] for i in sorted(rng.choice(len(possible), size=3, replace=False))]
        table: Table = {}
        for name in chosen:
            table |= _change(robot, name, severity, spread, rng)
        worlds.append(RealWorld(SEVERAL, tuple(chosen), severity, table))
    return worlds


def _change(robot: Robot, name: str, severity: float, spread: Floats, rng: np.random.Generator) -> Table:
    """Draw the parameters of one difference, with a random sign and a size that grows with the severity."""
    world = robot.world
    sign = rng.choice([-1.0, 1.0])
    period = world.substeps * float(world.compile().opt.timestep)
    if name == "inertia":  # Reacher's links weigh next to nothing, its motors' rotors are its inertia
        return {"dof_armature" if robot.name == "Reacher" else "body_inertial[*]": {"scale": 3.0 ** (sign * severity)}}
    if name == "friction" and robot.stiction:
        return {f"dof_frictionloss[{joint}]": {"set": severity * robot.stiction} for joint in _driven(robot)}
    if name == "friction":
        return {"geom_friction": {"scale": 4.0 ** (sign * severity)}}
    if name == "damping":
        return {"dof_damping": {"scale": 8.0 ** (sign * severity)}}
    if name == "strength":
        return {"actuator_gear": {"scale": 2.5 ** (sign * severity)}}
    if name == "gravity":
        return {"opt.gravity[2]": {"scale": 1.0 + 0.4 * sign * severity}}
    if name == "sensor noise":
        return {"observation_noise": {"scale": 10.0**severity}}
    if name == "sensor bias":
        signs = rng.choice([-1.0, 1.0], size=len(spread))
        shifts = dict(zip(world.sensors, 0.5 * severity * signs * spread, strict=True))
        return {f"observation_bias[{sensor}]": {"shift": float(shift)} for sensor, shift in shifts.items()}
    if name == "lost actions":
        return {"action_drop": {"set": 0.6 * severity}}
    late = {"sensor delay": "observation_delay", "actuator delay": "actuator_delay", "jitter": "action_jitter"}[name]
    return {late: {"set": robot.late * severity * period}}


def _driven(robot: Robot) -> list[str]:
    """Return the joints that actuators drive."""
    model = robot.world.compile()
    return [model.joint(int(joint)).name for joint in model.actuator_trnid[:, 0]]
