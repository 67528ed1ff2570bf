"""The gap of a randomization, integrated over its worlds: a spring whose divergences are known in closed form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sim2real_cat.errors import GapError
from sim2real_cat.policies.files import ActionTable
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.worlds.randomization.change import Change
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
from sim2real_cat.worlds.world import World

SPRING = """
<mujoco>
  <option timestep="0.01" gravity="0 0 0"/>
  <worldbody>
    <body><joint name="x" type="slide" axis="1 0 0" stiffness="8" damping="0.4"/><geom size="0.1" mass="2"/></body>
  </worldbody>
  <actuator><motor name="push" joint="x"/></actuator>
</mujoco>
"""
EPISODES, STEPS, K = 6, 40, 2
WIDE = Randomization(
    {
        "jnt_stiffness[x]": Change("scale", 0.3, 3.0, "loguniform"),
        "dof_damping[x]": Change("scale", 0.2, 5.0, "loguniform"),
    }
)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A mass on a damped spring, with noise on both of its sensors."""
    path = tmp_path_factory.mktemp("spring") / "spring.xml"
    path.write_text(SPRING, encoding="utf-8")
    task = QuadraticTask(observe=["qpos[x]", "qvel[x]"], steps=STEPS, start_noise=0.5)
    return World.from_xml(path, task, 0.04, noise=0.003)


@pytest.fixture(scope="module")
def recorded(world):
    """Episodes of random pushes in a world."""

    def play(reality, seed=0, episodes=EPISODES):
        actions = np.random.default_rng(seed).uniform(-3, 3, (episodes, STEPS, 1))
        return rollout(world, ActionTable(actions), rng=seed, fibre=reality, episodes=episodes, steps=STEPS, threads=1)

    return play


def integrated(world, real, reality=None, **options):
    return predictive_gap(world, real, randomization=WIDE, reality=reality, threads=1, **options)


def test_a_robot_inside_has_no_rate_and_its_complexity_is_what_one_episode_tells(world, recorded):
    robot = WIDE.draw(1, rng=4)
    found = integrated(world, recorded(robot), robot)
    assert (found.gap_of, found.members) == ("randomization", None)
    assert abs(found.estimate.raw) < 0.002
    assert found.estimate.low == 0 < found.estimate.high < 0.02
    assert found.estimate.reliable
    assert found.estimate.null.p_value > 0.05
    assert found.complexity.raw == pytest.approx(found.information_gain, rel=0.1)
    assert 0.1 < found.complexity.low < found.complexity.value < found.complexity.high
    values = dict(zip(robot.parameters, robot.values[0], strict=True))
    for name, value in values.items():
        _, low, high = found.posterior.interval(name, 0.999)
        assert low < value < high


def test_the_three_numbers_add_up(world, recorded):
    robot = Ensemble.single({"jnt_stiffness[x]": {"scale": 5.0}})
    real = recorded(robot)
    found = integrated(world, real, robot)
    assert found.episode.raw == pytest.approx(found.estimate.raw + found.complexity.raw, abs=1e-12)
    assert found.trajectory.raw == pytest.approx(STEPS * found.episode.raw, rel=1e-9)
    assert found.episode_index.tolist() == np.repeat(np.arange(EPISODES), STEPS).tolist()
    assert sum(found.by_sensor.values()) == pytest.approx(found.estimate.plug_in)
    ends = [
        found.terms.mean(),
        *(predictive_gap(world, real, fibre=found.posterior.best, reality=robot, threads=1).estimate.raw,),
    ]
    half = found.posterior.freedom / (2 * EPISODES * STEPS)
    assert ends[0] - half < found.estimate.raw < ends[0] + half
    assert ends[0] == pytest.approx(ends[1], rel=0.05)


def test_the_rate_of_a_robot_outside_is_the_divergence_from_the_nearest_world(world, recorded):
    """On a fine grid of worlds, the least mean divergence over the recorded states."""
    robot = Ensemble.single({"jnt_stiffness[x]": {"scale": 5.0}})
    real = recorded(robot)
    found = integrated(world, real, robot)
    dampings = np.geomspace(0.2, 5.0, 41)
    values = np.column_stack([np.full(41, 3.0), dampings])
    edge = Ensemble(("jnt_stiffness[x]", "dof_damping[x]"), ("scale", "scale"), values, np.full(41, 1 / 41))
    nearest = predictive_gap(world, real, fibre=edge, reality=robot, threads=1).members.gaps[:, 0].min()
    assert found.estimate.raw == pytest.approx(nearest, rel=0.1)
    assert found.estimate.low <= nearest <= found.estimate.high
    assert found.estimate.null.p_value == pytest.approx(1 / 1000)


def test_a_growing_fault_grows(world, recorded):
    rates = []
    for scale in (3.3, 5.0, 16.0):
        robot = Ensemble.single({"jnt_stiffness[x]": {"scale": scale}})
        rates.append(integrated(world, recorded(robot, episodes=3), robot).estimate.value)
    assert (np.diff(rates) > 0).all()


def test_false_alarms_are_rare_and_intervals_cover(world, recorded):
    """Robots drawn from the randomization: p-values are no smaller than they should be, and the rate is 0."""
    p_values, covered = [], 0
    for seed in range(8):
        robot = WIDE.draw(1, rng=100 + seed)
        found = integrated(world, recorded(robot, seed, episodes=3), robot, draws=199)
        p_values.append(found.estimate.null.p_value)
        covered += found.estimate.low <= 0
        assert found.estimate.value < 0.02
    assert covered >= stats.binom.ppf(0.001, 8, 0.95)
    assert sum(p <= 0.05 for p in p_values) <= stats.binom.ppf(0.999, 8, 0.05)
    assert stats.kstest(p_values, "uniform", alternative="greater").pvalue > 0.001


def test_a_log_alone_tells_the_same(world, recorded):
    """Where reality is known from the recording only, its density is fitted, and the error of the fit is taken out."""
    for robot, true in ((WIDE.draw(1, rng=4), 0.0), (Ensemble.single({"jnt_stiffness[x]": {"scale": 5.0}}), None)):
        real = recorded(robot)
        known = integrated(world, real, robot).estimate
        found = integrated(world, real).estimate
        assert found.raw == pytest.approx(known.raw if true is None else true, abs=0.02, rel=0.1)
        assert found.low <= known.value <= found.high
        assert any("fitted to episodes left out" in note for note in found.why)


def test_what_a_fit_cannot_explain_is_said(world, recorded):
    """A push in every other step, of which no feature knows."""
    real = recorded(Ensemble.nominal(), episodes=6)
    kicked = real.observations.copy()
    kicked[:, 1::2, 0] += 0.02
    found = integrated(world, replace(real, observations=kicked)).estimate
    assert not found.reliable
    assert "times where the robot is one of the worlds: the gap is larger than this, or the noise is" in found.why[1]


def test_a_world_that_knows_nothing_of_the_readings_is_not_relied_on(world, recorded):
    robot = Ensemble.single({"observation_bias[qpos[x]]": {"set": 5.0}})
    found = integrated(world, recorded(robot), robot).estimate
    assert found.value > 1000
    assert not found.reliable
    assert "even the best world explains the readings less than noise around the last ones does" in found.why[0]
    assert "excluded by qpos[x]" in found.why[0]


def test_discrete_values_are_summed_over(world, recorded):
    """Two values, each with its own worlds: the one that was played costs ln 2 an episode, the other is excluded."""
    flagged = Randomization({"jnt_stiffness[x]": Change("scale", 1.0, 2.0, "discrete", values=(1.0, 2.0))})
    robot = Ensemble.single({"jnt_stiffness[x]": {"scale": 2.0}})
    found = predictive_gap(world, recorded(robot), randomization=flagged, reality=robot, threads=1)
    assert found.estimate.raw == pytest.approx(0.0, abs=1e-9)
    assert found.complexity.raw == pytest.approx(np.log(2) / STEPS, rel=1e-6)
    assert found.information_gain == pytest.approx(np.log(2) / STEPS, rel=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fibre": Ensemble.nominal()}, "both a randomization and a fibre"),
        ({"states": "hidden"}, "needs recorded states"),
        ({"noise": "fitted"}, "needs the sensors' noise"),
        ({"draws": 0}, "the null needs draws"),
        ({"randomization": Ensemble.nominal()}, "randomization is a Randomization, got Ensemble"),
        ({"randomization": Randomization()}, "nothing varies in this randomization"),
    ],
)
def test_refused(world, recorded, options, message):
    given = {"randomization": WIDE, "threads": 1} | options
    with pytest.raises(GapError, match=message):
        predictive_gap(world, recorded(Ensemble.nominal()), **given)


def test_simulated_episodes_are_of_a_fibre(world, recorded):
    real = recorded(Ensemble.nominal())
    with pytest.raises(GapError, match="sim is of a fibre"):
        integrated(world, real, sim=real)


@pytest.mark.nightly
@pytest.mark.parametrize("name", ["InvertedPendulum", "Reacher", "Hopper", "Walker2d", "HalfCheetah"])
def test_gymnasiums_robots_inside_have_no_rate(name):
    """Masses, damping and gear of every element, drawn anew: rates below .02, whose intervals cover 0."""
    robot_world = World.gymnasium(name, noise=0.05)
    varying = Randomization(
        {
            "body_inertial[*]": Change("scale", 0.6, 1.6, each=True),
            "dof_damping": Change("scale", 0.4, 2.5, "loguniform", each=True),
            "actuator_gear": Change("scale", 0.7, 1.4, each=True),
        }
    ).bind(robot_world)
    covered = 0
    for seed in range(3):
        robot = varying.draw(1, rng=100 + seed)
        actions = np.random.default_rng(seed).uniform(-0.8, 0.8, (6, 50, robot_world.compile().nu))
        real = rollout(
            robot_world, ActionTable(actions), rng=seed, fibre=robot, episodes=6, steps=50, until_terminated=False
        )
        found = predictive_gap(robot_world, real, randomization=varying, reality=robot).estimate
        assert found.value < 0.02
        covered += found.low <= 0
    assert covered >= 2
