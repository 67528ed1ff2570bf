"""An instance of robots that MuJoCo does not simulate: two of Gymnasium's classic controls, with other masses."""

from __future__ import annotations

import numpy as np
import pytest

from sim2real_cat.gaps.kl_gap import gap
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.recordings.logs.reader import read_log
from sim2real_cat.recordings.parquet import write_log
from sim2real_cat.transfer.build import RecordingFile, build_instance
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.instance import TransferInstance
from sim2real_cat.transfer.measurement import measure
from sim2real_cat.worlds.external.gymnasium import GymnasiumWorld
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout

SAME, HEAVIER = Ensemble.nominal(), Ensemble.single({"pole mass": {"scale": 4.0}})


def set_pole(environment, row):
    cartpole = environment.unwrapped
    cartpole.masspole = row["pole mass"]
    cartpole.total_mass = cartpole.masspole + cartpole.masscart
    cartpole.polemass_length = cartpole.masspole * cartpole.length


def set_mass(environment, row):
    environment.unwrapped.m = row["pole mass"]


CARTPOLE = GymnasiumWorld(
    "CartPole-v1",
    sensors=["cart position", "cart velocity", "pole angle", "pole angular velocity"],
    noise=0.02,
    configure=set_pole,
    parameters={"pole mass": 0.1},
)
PENDULUM = GymnasiumWorld(
    "Pendulum-v1",
    sensors=["cos angle", "sin angle", "angular velocity"],
    noise=0.02,
    configure=set_mass,
    parameters={"pole mass": 1.0},
)
BALANCE = LinearPolicy(np.array([[0.0] * 4, [0.1, 0.5, 5.0, 1.0]]), np.zeros(4), np.ones(4))
HOLD = LinearPolicy(np.array([[0.0, -8.0, -2.0]]), np.zeros(3), np.ones(3))


@pytest.fixture(scope="module")
def deployed():
    """A policy on a CartPole like the simulated ones, and one on a Pendulum four times as heavy."""
    found = []
    for world, policy, name, reality in ((CARTPOLE, BALANCE, "balance", SAME), (PENDULUM, HOLD, "hold", HEAVIER)):
        rng = np.random.default_rng(1)
        fibre = Randomization.from_table({"pole mass": {"scale": [0.9, 1.1]}}).draw(3, rng=rng)
        sim = rollout(world, policy, rng=rng, fibre=fibre, episodes=4, steps=60, name=name)
        real = rollout(world, policy, rng=rng, fibre=reality, episodes=12, steps=60, name=name)
        found.append(Deployment(name, world.name, policy.digest, None, fibre, sim, real))
    return found


def test_the_instance_holds_and_only_the_same_robot_transfers(deployed, tmp_path):
    rng = np.random.default_rng(2)
    gaps = [measure(deployment, method="gaussian", confidence=0.95, rng=rng) for deployment in deployed]
    recordings = {}
    for deployment in deployed:
        for name, side in ((deployment.policy, deployment.sim), (deployment.robot, deployment.real)):
            digest = write_log(tmp_path / f"{name}.parquet", side)
            recordings[name] = RecordingFile(f"{name}.parquet", digest)
    instance = build_instance(deployed, gaps, 0.5, recordings)
    report = instance.check(0.5)
    assert report["functor"].verdict == "holds"
    assert report["gap-valid"].verdict == "holds"
    balance, hold = (measured.transition.value for measured in gaps)
    assert 0 <= balance < 0.1
    assert hold > 0.5
    assert instance.along(["sim_name", "train.deploy.real_name"])["train.deploy.real_name"] == [
        *["CartPole-v1"] * 3,
        *["Pendulum-v1"] * 3,
    ]
    assert instance.acset.column("transfer").tolist()[0] == 0
    path = tmp_path / "instance.json"
    instance.write(path)
    assert TransferInstance.read(path).check(0.5)["functor"].verdict == "holds"


def test_the_gap_of_the_logs_is_the_gap_of_the_rollouts(deployed, tmp_path):
    hold = deployed[1]
    write_log(tmp_path / "sim.parquet", hold.sim)
    write_log(tmp_path / "real.parquet", hold.real)
    logged = [read_log(tmp_path / f"{side}.parquet") for side in ("real", "sim")]
    settings = {"level": "transition", "rng": 0}
    assert gap(*logged, method="gaussian", **settings) == gap(hold.real, hold.sim, method="gaussian", **settings)
