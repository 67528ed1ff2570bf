"""Deployments of recorded policies; those of the real pendulum are skipped where its recordings are not at hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from places import SHARED

from benchmarks.machines.pendulum import AROUND, CONTROLLERS, NOISE, pendulum, read_swing_up
from sim2real_cat.errors import InstanceError
from sim2real_cat.recordings.trajectories import segments
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.deployment import deploy_recording
from sim2real_cat.transfer.laws import LawReport
from sim2real_cat.transfer.measurement import measure

PENDULUM = SHARED / "data" / "dfki_simple_pendulum"

MEMBERS = 4


def deployed(name):
    """One controller's recording in pieces of half a second, played in a fibre around the authors' parameters."""
    if not PENDULUM.is_dir():
        pytest.skip(f"the recordings of the pendulum are not at {PENDULUM}")
    period = CONTROLLERS[name].period
    pieces = segments(read_swing_up(PENDULUM, name), round(0.5 / period))
    fibre = AROUND.draw(MEMBERS, rng=0)
    return deploy_recording(pendulum(period, noise=NOISE), pieces, robot="DFKI pendulum", fibre=fibre, rng=1)


@pytest.fixture(scope="module")
def instance():
    """The five controllers as five policies on one robot."""
    deployments = [deployed(name) for name in CONTROLLERS]
    gaps = [measure(each, method="gaussian", confidence=0.95, rng=np.random.default_rng(2)) for each in deployments]
    return build_instance(deployments, gaps, epsilon=0.1)


def test_five_controllers_are_five_policies_on_one_robot(instance):
    acset = instance.acset
    assert acset.nparts("RealEnv") == 1
    assert acset.column("policy_name").tolist() == list(CONTROLLERS)
    assert acset.column("deploy").tolist() == [0] * 5
    assert np.bincount(acset.column("train")).tolist() == [MEMBERS] * 5
    assert len(set(acset.column("weights_digest").tolist())) == 5
    assert acset.nparts("Draw") == 5 * MEMBERS * len(AROUND.changes)


def test_the_laws_hold_of_the_real_machine(instance):
    report = instance.check(0.1)
    assert isinstance(report, LawReport)
    verdicts = {result.law.name: result.verdict for result in report.results}
    assert verdicts["functor"] == "holds"
    assert verdicts["gap-valid"] == "holds"


def test_the_gaps_are_measured_and_the_shaking_controller_has_the_largest(instance):
    gaps = dict(zip(CONTROLLERS, instance.acset.column("kl_gap").tolist(), strict=True))
    assert all(0 <= gap < 100 for gap in gaps.values())
    assert max(gaps, key=gaps.__getitem__) == "PD"
    assert gaps["direct collocation"] < 0.1 < gaps["energy shaping"]


def test_a_deployment_is_as_recorded():
    one = deployed("direct collocation")
    assert (one.policy, one.robot, one.birth_digest) == ("direct collocation", "DFKI pendulum", None)
    pieces, fibre = len(one.real), len(one.fibre)
    assert one.sim.member_index.tolist() == np.repeat(np.arange(fibre), pieces).tolist()
    np.testing.assert_array_equal(one.sim.actions, np.tile(one.real.actions, (fibre, 1, 1)))
    np.testing.assert_array_equal(one.sim.qpos[:, 0], np.tile(one.real.qpos[:, 0], (fibre, 1)))


def test_the_digest_is_that_of_all_actions():
    one = deployed("direct collocation")
    world = pendulum(0.003, noise=NOISE)
    last = one.real.actions.copy()
    last[-1, -1] += 1e-6
    others = (one.real.select(np.array([0, 1])), replace(one.real, actions=last), one.real)
    digests = [deploy_recording(world, each, robot="it", fibre=one.fibre, rng=1).weights_digest for each in others]
    assert digests[2] == one.weights_digest
    assert len(set(digests)) == 3


def test_a_recording_is_of_one_named_policy():
    one = deployed("direct collocation")
    for policies in (("",) * len(one.real), ("PD", *one.real.policies[1:])):
        with pytest.raises(InstanceError, match="a deployment is of one named policy, the recording is of '"):
            deploy_recording(pendulum(0.003), replace(one.real, policies=policies), robot="it", fibre=one.fibre, rng=1)
