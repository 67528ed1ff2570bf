"""Instances from rollouts: every arrow says what ran where, and `transfer` follows from the gaps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from transfer_strategies import FIXED

from sim2real_cat.errors import InstanceError
from sim2real_cat.policies.policy import LinearPolicy
from sim2real_cat.transfer.build import RecordingFile, build_instance, takeovers
from sim2real_cat.transfer.deployment import Deployment
from sim2real_cat.transfer.measurement import measure
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.world import World

GAINS = {"upright": [0.5, 15.0, 1.0, 2.0], "weak": [0.1, 4.0, 0.2, 0.5], "idle": [0.0, 0.0, 0.0, 0.0]}
HEAVIER = Ensemble.single({"body_inertial[pole]": {"scale": 1.3}})
VARIED = Randomization.from_table(
    {"body_inertial[pole]": {"scale": [0.8, 1.2]}, "opt.gravity[2]": {"shift": [-0.5, 0.5]}}
)


@pytest.fixture(scope="module")
def deployed():
    """Three hand-made policies on an inverted pendulum: two on a heavier robot, one on the nominal one."""
    world = World.gymnasium("InvertedPendulum", 0.01)
    found = []
    for seed, (name, gain) in enumerate(GAINS.items()):
        rng = np.random.default_rng(seed)
        policy = LinearPolicy(np.array([gain]), np.zeros(4), np.ones(4))
        fibre = VARIED.draw(3, rng=rng) if name == "upright" else Ensemble.nominal()
        robot, reality = ("nominal", Ensemble.nominal()) if name == "idle" else ("heavy", HEAVIER)
        sim = rollout(world, policy, rng=rng, fibre=fibre, episodes=2, steps=15, name=name, threads=1)
        real = rollout(world, policy, rng=rng, fibre=reality, episodes=4, steps=15, name=name, threads=1)
        entropy = 0.01 * len(found)
        found.append(Deployment(name, robot, policy.digest, f"birth of {name}", fibre, sim, real, "PPO", entropy))
    return found


@pytest.fixture(scope="module")
def built(deployed):
    rng = np.random.default_rng(7)
    gaps = [measure(d, method="gaussian", confidence=0.95, rng=rng) for d in deployed]
    recordings = {
        "upright": RecordingFile("trajectories/sim_upright.parquet", "1f"),
        "heavy": RecordingFile("trajectories/real_heavy.parquet", "2e"),
    }
    return gaps, build_instance(deployed, gaps, 0.1, recordings)


def test_the_arrows_say_what_ran_where(built):
    _, instance = built
    assert instance.along(["sim_name", "train.policy_name", "train.deploy.real_name", "sim_weight"]) == {
        "id": [0, 1, 2, 3, 4],
        "sim_name": ["upright/0", "upright/1", "upright/2", "weak/0", "idle/0"],
        "train.policy_name": ["upright", "upright", "upright", "weak", "idle"],
        "train.deploy.real_name": ["heavy", "heavy", "heavy", "heavy", "nominal"],
        "sim_weight": [1 / 3, 1 / 3, 1 / 3, 1.0, 1.0],
    }
    seen = instance.along(["observe_sim.observation_name", "observe_sim.recording_digest"])
    assert seen["observe_sim.observation_name"] == ["upright/0", "upright/1", "upright/2", "weak/0", "idle/0"]
    assert seen["observe_sim.recording_digest"] == ["1f", "1f", "1f", None, None]
    real = instance.along(["real_name", "observe_real.observation_name", "observe_real.recording"])
    assert real["observe_real.observation_name"] == ["heavy (real)", "nominal (real)"]
    assert real["observe_real.recording"] == ["trajectories/real_heavy.parquet", None]


def test_observations_count_what_was_seen(built, deployed):
    _, instance = built
    counts = instance.along(["observe_real.episodes", "observe_real.frames", "observe_real.diverged"])
    frames = [int((d.real.lengths + 1).sum()) for d in deployed]
    assert counts["observe_real.episodes"] == [8, 4]
    assert counts["observe_real.frames"] == [frames[0] + frames[1], frames[2]]
    assert counts["observe_real.diverged"] == [0, 0]
    worlds = instance.along(["observe_sim.episodes", "observe_sim.frames"])
    assert worlds["observe_sim.episodes"] == [2, 2, 2, 2, 2]
    assert sum(worlds["observe_sim.frames"]) == sum(int((d.sim.lengths + 1).sum()) for d in deployed)


def test_every_draw_is_recorded(built, deployed):
    _, instance = built
    draws = instance.along(["drawn_in.sim_name", "parameter", "change", "drawn_value"])
    assert draws["drawn_in.sim_name"] == [f"upright/{i}" for i in (0, 0, 1, 1, 2, 2)]
    assert draws["parameter"] == ["body_inertial[pole]", "opt.gravity[2]"] * 3
    assert draws["change"] == ["scale", "shift"] * 3
    assert draws["drawn_value"] == deployed[0].fibre.values.ravel().tolist()


def test_policies_keep_what_was_measured(built, deployed):
    gaps, instance = built
    acset = instance.acset
    assert acset.column("weights_digest").tolist() == [d.weights_digest for d in deployed]
    assert acset.column("birth_digest").tolist() == [f"birth of {name}" for name in GAINS]
    assert acset.column("trainer").tolist() == ["PPO"] * len(GAINS)
    assert acset.column("entropy_coefficient").tolist() == [0.01 * i for i in range(len(GAINS))]
    for policy, (gap, deployment) in enumerate(zip(gaps, deployed, strict=True)):
        estimate, occupancy = gap.transition, gap.occupancy
        assert acset.subpart("kl_gap", policy) == (None if estimate is None else estimate.value)
        assert acset.subpart("gap_low", policy) == (None if estimate is None else estimate.low)
        assert acset.subpart("gap_method", policy) == (None if estimate is None else "gaussian")
        assert acset.subpart("gap_level", policy) == (None if estimate is None else "transition")
        assert acset.subpart("gap_reliable", policy) == (None if estimate is None else estimate.reliable)
        assert acset.subpart("occupancy_gap", policy) == (None if occupancy is None else occupancy.value)
        assert acset.subpart("gap_note", policy) == (gap.note or None)
        assert acset.subpart("return_real", policy) == deployment.real.returns.mean()
        assert acset.subpart("return_sim", policy) == deployment.sim.returns.mean()
    assert any(gap.transition is not None for gap in gaps)


def test_an_interval_without_an_upper_end_leaves_it_undefined(make_deployment, make_gap):
    instance = build_instance([make_deployment("p")], [make_gap(0.3, 0.0, np.inf)], 0.1)
    assert instance.along(["kl_gap", "gap_low", "gap_high"]) == {
        "id": [0],
        "kl_gap": [0.3],
        "gap_low": [0.0],
        "gap_high": [None],
    }
    assert instance.check(0.1)["transfer-identity"].verdict == "undecided"


def test_diverged_episodes_are_counted_and_left_out_of_the_return(make_deployment, make_gap):
    deployments = [
        make_deployment("some", returns=(1.0, 99.0, 3.0), diverged=[1]),
        make_deployment("all", returns=(5.0, 5.0), diverged=[0, 1]),
    ]
    instance = build_instance(deployments, [make_gap(0.0), make_gap(None)], 0.1)
    assert instance.along(["return_real", "return_sim"]) == {
        "id": [0, 1],
        "return_real": [2.0, None],
        "return_sim": [10.0, 10.0],
    }
    assert instance.along(["episodes", "diverged"])["diverged"][0] == 3


def test_what_gave_no_rewards_has_no_return(make_deployment, make_gap):
    """Real logs have none; the policy that comes first takes over then. No step at all is a return of zero."""
    silent = [make_deployment(name) for name in ("bad", "first", "second")]
    for deployment in silent:
        deployment.real.rewards[:] = np.nan
    empty = make_deployment("empty")
    empty.real.rewards[:], empty.real.lengths[:] = np.nan, 0
    instance = build_instance([*silent, empty], [make_gap(9.0), make_gap(0.0), make_gap(0.0), make_gap(9.0)], 0.1)
    assert instance.along(["return_real", "return_sim", "transfer"]) == {
        "id": [0, 1, 2, 3],
        "return_real": [None, None, None, 0.0],
        "return_sim": [10.0] * 4,
        "transfer": [1, 1, 2, 1],
    }


def test_the_level_of_the_curriculum_is_kept(make_deployment, make_gap):
    fibre = VARIED.at(0.25).draw(2, rng=np.random.default_rng(0))
    instance = build_instance([make_deployment("p", fibre=fibre)], [make_gap(0.0)], 0.1)
    assert instance.along(["sim_name", "sim_level"]) == {
        "id": [0, 1],
        "sim_name": ["p/0", "p/1"],
        "sim_level": [0.25, 0.25],
    }


@pytest.mark.parametrize(
    ("names", "clash"),
    [((("a", "r"), ("a", "s")), "a"), ((("a", "b"), ("b", "r")), "b"), ((("a", "a"),), "a")],
)
def test_a_name_is_taken_once(make_deployment, make_gap, refused, names, clash):
    deployments = [make_deployment(policy, robot) for policy, robot in names]
    with refused(InstanceError, f"the name '{clash}' is taken twice"):
        build_instance(deployments, [make_gap(0.0)] * len(names), 0.1)


@pytest.mark.parametrize("epsilon", [0.0, -1.0, float("nan"), float("inf")])
def test_epsilon_is_a_positive_number(make_deployment, make_gap, refused, epsilon):
    with refused(InstanceError, f"epsilon must be a positive number of nats, got {epsilon}"):
        build_instance([make_deployment("a")], [make_gap(0.0)], epsilon)


def test_every_deployment_has_a_gap(make_deployment, make_gap, refused):
    with refused(InstanceError, "1 deployments need as many gaps, got 2"):
        build_instance([make_deployment("a")], [make_gap(0.0)] * 2, 0.1)


def test_gaps_that_are_not_given_are_measured(deployed):
    generator = np.random.default_rng(3)
    gaps = [measure(each, rng=generator, threads=1) for each in deployed]
    assert build_instance(deployed, rng=3, threads=1) == build_instance(deployed, gaps)


def test_nothing_deployed_is_an_empty_instance():
    assert build_instance([], [], 0.1).acset.nparts("Policy") == 0


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        # (robot, gap, real return)
        ([("r", 0.0, 1.0)], [0]),
        ([("r", 0.1, 1.0)], [None]),
        ([("r", None, 1.0)], [None]),
        ([("r", 0.01, 1.0), ("r", 0.01, 9.0)], [0, 1]),
        ([("r", 0.7, 9.0), ("r", 0.05, 1.0), ("r", 0.01, 2.0)], [2, 1, 2]),
        ([("r", 0.7, 9.0), ("r", 0.05, 2.0), ("r", 0.01, 2.0)], [1, 1, 2]),
        ([("r", 0.7, 9.0), ("s", 0.01, 1.0)], [None, 1]),
        ([("r", 0.7, 9.0), ("r", 0.8, 1.0)], [None, None]),
        ([("r", None, 9.0), ("r", 0.01, 1.0)], [None, 1]),
        ([("r", 0.7, 1.0), ("r", 0.01, None), ("r", 0.02, -5.0)], [2, 1, 2]),
        ([("r", 0.7, 1.0), ("r", 0.01, None)], [1, 1]),
    ],
)
def test_who_takes_over(make_deployment, make_gap, rows, expected):
    deployments = [
        make_deployment(f"p{i}", robot, (value or 0.0,), [] if value is not None else [0])
        for i, (robot, _, value) in enumerate(rows)
    ]
    gaps = [make_gap(gap) for _, gap, _ in rows]
    assert takeovers(deployments, gaps, 0.1).tolist() == [-1 if target is None else target for target in expected]
    assert build_instance(deployments, gaps, 0.1).along(["transfer"])["transfer"] == expected


@FIXED
@given(st.data())
def test_what_is_built_violates_no_law(make_deployment, make_gap, data):
    epsilon = data.draw(st.sampled_from([0.1, 0.5, 5e-324]))
    number = st.sampled_from([0.0, epsilon, float(np.nextafter(epsilon, 0))]) | st.floats(0, 10)
    deployments, gaps = [], []
    for i in range(data.draw(st.integers(0, 5))):
        robot = data.draw(st.sampled_from("rs"))
        returns = data.draw(st.lists(st.floats(-10, 10), min_size=1, max_size=2))
        diverged = data.draw(st.sampled_from([[], [0], [0, 1]]))
        deployments.append(make_deployment(f"p{i}", robot, returns, diverged))
        low, value, high = sorted(data.draw(st.tuples(number, number, number)))
        high = data.draw(st.sampled_from([high, np.inf]))
        reliable = data.draw(st.booleans())
        gaps.append(make_gap(data.draw(st.sampled_from([None, value])), low, high, reliable))
    report = build_instance(deployments, gaps, epsilon).check(epsilon)
    assert not [w for result in report.results for w in result.witnesses if w.verdict == "violated"]
    doubtful = {
        i
        for i, gap in enumerate(gaps)
        if (e := gap.transition) is not None and (not e.reliable or e.low < epsilon <= e.high)
    }
    assert {w.id for w in report["transfer-identity"].witnesses} == doubtful
