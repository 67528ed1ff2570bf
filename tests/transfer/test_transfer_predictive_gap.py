"""The predictive gap of worlds whose divergence is known: in closed form, by construction, or by another road."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from sim2real_cat.transfer.predictive_gap import predictive_gap
from sim2real_cat.worlds.quadratic_task import QuadraticTask
from sim2real_cat.worlds.randomization import Ensemble
from sim2real_cat.worlds.replay import replay
from sim2real_cat.worlds.sensed import sensed
from sim2real_cat.worlds.trajectories import Trajectories
from sim2real_cat.worlds.world import World

STEP, SUBSTEPS, MASS, STIFFNESS, DAMPING = 0.01, 4, 2.0, 8.0, 0.4

SPRING = f"""
<mujoco>
  <option timestep="{STEP}" gravity="0 0 0"/>
  <worldbody>
    <body><joint name="x" type="slide" axis="1 0 0" stiffness="{STIFFNESS}" damping="{DAMPING}"/>
      <geom size="0.1" mass="{MASS}"/></body>
  </worldbody>
  <actuator><motor name="push" joint="x"/></actuator>
</mujoco>
"""


@pytest.fixture(scope="module")
def spring(tmp_path_factory):
    """A mass on a damped spring, with noise on its sensors."""
    path = tmp_path_factory.mktemp("spring") / "spring.xml"
    path.write_text(SPRING, encoding="utf-8")

    def world(noise=0.05, observe=("qpos[x]",)) -> World:
        task = QuadraticTask(observe=list(observe), steps=200, start_noise=0.3)
        return World.from_xml(path, task, SUBSTEPS * STEP, noise=noise)

    return world


def stiffer(*factors: float) -> Ensemble:
    """The spring, so many times as stiff."""
    n = len(factors)
    return Ensemble(("jnt_stiffness[x]",), ("scale",), np.array(factors)[:, None], np.full(n, 1 / n))


START = np.array([0.6, -0.3])
"""Mean of position and velocity at the start."""


def started(spread: np.ndarray, episodes: int, steps: int, rng: np.random.Generator) -> Trajectories:
    """Episodes of no action that start at random, N(START, diag(spread²))."""
    start = START + rng.normal(size=(episodes, 2)) * spread
    frames = np.zeros((episodes, steps + 1, 1))
    return Trajectories(
        observations=frames,
        actions=np.zeros((episodes, steps, 1)),
        rewards=np.zeros((episodes, steps)),
        qpos=frames + start[:, :1, None],
        qvel=frames + start[:, 1:, None],
        lengths=np.full(episodes, steps),
        terminated=np.zeros(episodes, dtype=bool),
        diverged=np.zeros(episodes, dtype=bool),
        member_index=np.zeros(episodes, dtype=np.int64),
        policies=("none",) * episodes,
        sensors=("qpos[x]",),
        actuators=("push",),
        control_period=SUBSTEPS * STEP,
    )


def readings(factor: float, steps: int) -> np.ndarray:
    """(steps, 2) what the positions after each control step are of the first state: MuJoCo's Euler step, damping
    implicit, (m + h c) v' = m v - h k x and x' = x + h v'."""
    gain = MASS + STEP * DAMPING
    velocity = np.array([-STEP * factor * STIFFNESS, MASS]) / gain
    once = np.array([[1.0, 0.0] + STEP * velocity, velocity])
    control = np.linalg.matrix_power(once, SUBSTEPS)
    return np.stack([np.linalg.matrix_power(control, t + 1)[0] for t in range(steps)])


def divergence(real: float, sim: float, spread: np.ndarray, noise: float, steps: int) -> float:
    """KL of the joint normal distributions of all readings of an episode, per control step."""
    seen = readings(real, steps), readings(sim, steps)
    covariances = [of @ np.diag(spread**2) @ of.T + noise**2 * np.eye(steps) for of in seen]
    apart = (seen[0] - seen[1]) @ START
    volumes = [np.linalg.slogdet(covariance)[1] for covariance in covariances]
    trace = np.trace(np.linalg.solve(covariances[1], covariances[0]))
    shift = apart @ np.linalg.solve(covariances[1], apart)
    return float(0.5 * (trace + shift - steps + volumes[1] - volumes[0]) / steps)


@pytest.mark.parametrize(("real", "noise"), [(1.3, 0.05), (0.8, 0.02)])
def test_hidden_states_give_the_divergence_of_trajectories(spring, real, noise):
    spread, world, rng = np.array([0.05, 0.1]), spring(noise), np.random.default_rng(3)
    starts = started(spread, 50, 200, rng)
    happened = sensed(world, replay(world, starts, members=stiffer(real), threads=1), rng=rng)
    unknown = replace(
        happened, qpos=np.full_like(happened.qpos, START[0]), qvel=np.full_like(happened.qvel, START[1])
    )
    found = predictive_gap(
        world, unknown, reality=stiffer(real), states="hidden", state_deviation=spread.tolist(), threads=1
    )
    truth = divergence(real, 1.0, spread, noise, 200)
    assert found.estimate.value == pytest.approx(truth, rel=0.03)
    assert found.estimate.low < truth < found.estimate.high
    assert found.trajectory.value == pytest.approx(200 * found.estimate.value)
    assert found.trajectory.units == "nats per episode"
