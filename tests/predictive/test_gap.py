"""The predictive gap of worlds whose divergence is known: in closed form, by construction, or by another road."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from sim2real_cat.errors import GapError, WorldError
from sim2real_cat.policies.files import ActionTable
from sim2real_cat.predictive.gap import predictive_gap
from sim2real_cat.recordings.trajectories import Trajectories, concatenate
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.randomization.randomization import Randomization
from sim2real_cat.worlds.sensors.noise import Dropout, EpisodeBias, GaussianNoise, Quantisation, UniformNoise
from sim2real_cat.worlds.sensors.sensing import sensed
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay
from sim2real_cat.worlds.simulation.rollout import rollout
from sim2real_cat.worlds.tasks.quadratic import QuadraticTask
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
    spread, world, rng = np.array([0.02, 0.04]), spring(noise), np.random.default_rng(3)
    starts = started(spread, 50, 200, rng)
    happened = sensed(world, replay(world, starts, fibre=stiffer(real), threads=1), rng=rng)
    unknown = replace(happened, qpos=np.full_like(happened.qpos, START[0]), qvel=np.full_like(happened.qvel, START[1]))
    found = predictive_gap(
        world, unknown, reality=stiffer(real), states="hidden", state_deviation=spread.tolist(), threads=1
    )
    truth = divergence(real, 1.0, spread, noise, 200)
    assert found.estimate.value == pytest.approx(truth, rel=0.03)
    assert found.estimate.low < truth < found.estimate.high
    assert found.trajectory.value == pytest.approx(200 * found.estimate.value)
    assert found.trajectory.units == "nats per episode"


@pytest.fixture(scope="module")
def driven(spring):
    """Episodes of a stiffer spring under random forces, by how many times as stiff it is."""

    def run(world: World, fibre: Ensemble, episodes: int = 12, steps: int = 60) -> Trajectories:
        forces = np.random.default_rng(5).uniform(-3, 3, (episodes, steps, 1))
        return rollout(world, ActionTable(forces), rng=6, fibre=fibre, episodes=episodes, steps=steps, threads=1)

    return run


BOTH = ("qpos[x]", "qvel[x]")


def test_known_states_give_the_closed_form(spring, driven):
    """σ⁻² |Δ|² / 2 with Δ what the two springs make of a recorded state, whatever the noise happened to be."""
    world = spring(0.03, BOTH)
    real = driven(world, stiffer(1.4))
    found = predictive_gap(world, real, reality=stiffer(1.4), threads=1)
    state = np.concatenate([real.qpos, real.qvel], axis=2)[:, :-1]
    gains = []
    for factor in (1.4, 1.0):
        velocity = np.array([-STEP * factor * STIFFNESS, MASS]) / (MASS + STEP * DAMPING)
        gains.append(np.linalg.matrix_power(np.array([[1.0, 0.0] + STEP * velocity, velocity]), SUBSTEPS))
    apart = state @ (gains[0] - gains[1]).T
    # the forces act alike through both springs up to a part that is of higher order in the step
    expected = (np.square(apart).sum(axis=2) / (2 * 0.03**2)).ravel()
    np.testing.assert_allclose(found.terms, expected, rtol=0.02, atol=0.02 * expected.max())
    assert found.estimate.raw == pytest.approx(found.terms.mean())
    assert found.estimate.reliable
    assert found.estimate.plug_in != found.estimate.raw
    assert list(found.by_sensor) == list(BOTH)
    assert sum(found.by_sensor.values()) == pytest.approx(found.estimate.plug_in)
    assert found.noise_sensitivity[0.5] == pytest.approx(4 * found.estimate.raw)
    assert found.noise_sensitivity[2.0] == pytest.approx(found.estimate.raw / 4)
    assert "noise as given; with 0.5 of its deviation the gap would be" in found.estimate.why[0]


def test_the_true_member_is_found(spring, driven):
    """T times the gap is at most the logarithm of the number of members, and the posterior names the one."""
    world = spring(0.01, BOTH)
    factors = np.geomspace(0.3, 3.0, 32)
    fibre = stiffer(*factors)
    real = driven(world, stiffer(factors[20]))
    found = predictive_gap(world, real, fibre=fibre, reality=stiffer(factors[20]), threads=1)
    assert found.members.best == 20
    assert found.members.chances[20] > 0.99
    assert found.members.chances.sum() == pytest.approx(1.0)
    assert 0 < found.estimate.value < np.log(32) / 60
    alone = predictive_gap(world, real, fibre=stiffer(factors[20]), reality=stiffer(factors[20]), threads=1)
    np.testing.assert_allclose(alone.terms, 0.0, atol=1e-9)
    outside = predictive_gap(world, real, fibre=stiffer(0.3, 0.4), reality=stiffer(factors[20]), threads=1)
    assert outside.estimate.low > found.estimate.high


def test_a_fitted_reality_is_no_better_than_the_true_one(spring, driven):
    world = spring(0.03, BOTH)
    real = driven(world, stiffer(3.0), episodes=20)
    exact = predictive_gap(world, real, reality=stiffer(3.0), threads=1).estimate
    fitted = predictive_gap(world, real, threads=1).estimate
    assert fitted.value == pytest.approx(exact.value, rel=0.15)
    assert any("fitted to episodes left out in 10 turns" in note for note in fitted.why)
    same = predictive_gap(world, driven(world, stiffer(1.0), episodes=20), threads=1).estimate
    assert same.value < 0.02


def test_noise_can_be_fitted(spring, driven):
    real = driven(spring(0.03, BOTH), stiffer(3.0), episodes=20)
    given = predictive_gap(spring(0.03, BOTH), real, threads=1)
    fitted = predictive_gap(spring(0.0, BOTH), real, noise="fitted", threads=1)
    assert fitted.estimate.value == pytest.approx(given.estimate.value, rel=0.15)
    assert fitted.noise.startswith("fitted to what predictions leave over: qpos[x] 0.03")
    partly = predictive_gap(spring({"qpos[x]": 0.5, "qvel[x]": 0.0}, BOTH), real, noise="fitted", threads=1)
    assert "qpos[x]" not in partly.noise


def test_noisy_states_do_not_look_like_wrong_dynamics(spring, driven):
    """A state estimate with errors ten times the sensor's; the dynamics are right."""
    world = spring(0.002, BOTH)
    real = driven(world, stiffer(1.0), episodes=40)
    noise = np.random.default_rng(9).normal(0, 0.02, (2, *real.qpos.shape))
    seen = replace(real, qpos=real.qpos + noise[0], qvel=real.qvel + noise[1])
    ignored = predictive_gap(world, seen, threads=1).estimate
    carried = predictive_gap(world, seen, state_deviation=0.02, threads=1).estimate
    assert ignored.value > 20
    assert carried.value < 0.05
    assert "the error of the recorded states goes through the dynamics" in carried.why[-1]


def test_bias_and_lateness_are_expected(spring, driven):
    """A sensor that is late or biased is no surprise to the member that has it so, and one to the others."""
    world = spring(0.05, BOTH)
    for parameter, value in (("observation_delay[qpos[x]]", 2 * SUBSTEPS * STEP), ("observation_bias[qvel[x]]", 0.2)):
        real_world = Ensemble.single({parameter: {"set": value}})
        fibre = Ensemble((parameter,), ("set",), np.array([[0.0], [value]]), np.full(2, 0.5))
        real = driven(world, real_world)
        found = predictive_gap(world, real, fibre=fibre, reality=real_world, threads=1)
        assert found.members.best == 1
        assert found.estimate.value < 1.01 * np.log(2) / 60
        none = predictive_gap(world, real, reality=real_world, threads=1)
        assert none.estimate.low > 0.05


@pytest.mark.parametrize(
    "noise",
    [
        [GaussianNoise(0.03), EpisodeBias(0.05)],
        [UniformNoise(0.05), GaussianNoise(0.01)],
        [GaussianNoise(0.05), Quantisation(0.02)],
    ],
)
def test_other_noise_has_its_own_density(spring, driven, noise):
    """Zero against itself; against a wrong world the mean log ratio is what single readings say."""
    world = spring({"qpos[x]": noise, "qvel[x]": 0.1}, BOTH)
    real = driven(world, stiffer(1.4))
    same = predictive_gap(world, real, fibre=stiffer(1.4), reality=stiffer(1.4), threads=1)
    np.testing.assert_allclose(same.terms, 0.0, atol=1e-9)
    found = predictive_gap(world, real, fibre=stiffer(2.5), reality=stiffer(1.4), threads=1)
    played = [replay_expectation(world, real, factor) for factor in (1.4, 2.5)]
    chain = world.noise_chains()[0]
    logs = [chain.log_density(real.observations[..., 0], clean, SUBSTEPS * STEP)[:, 1:] for clean in played]
    assert found.by_sensor["qpos[x]"] == pytest.approx((logs[0] - logs[1]).mean(), rel=1e-6)
    assert found.estimate.value > 0


def replay_expectation(world: World, real: Trajectories, factor: float) -> np.ndarray:
    """(episodes, T + 1) the position each recorded state leads to, one step at a time."""
    ahead = predict_steps(world, real, fibre=stiffer(factor), threads=1).observation[:, 0]
    return np.concatenate([real.qpos[:, :1, 0], ahead.reshape(len(real), -1)], axis=1)


def test_reality_may_be_several_worlds(spring, driven):
    world = spring(0.03, BOTH)
    real_worlds = stiffer(1.4, 0.7)
    forces = np.random.default_rng(5).uniform(-3, 3, (12, 60, 1))
    real = rollout(world, ActionTable(forces), rng=6, fibre=real_worlds, episodes=6, steps=60, threads=1)
    assert sorted(set(real.member_index)) == [0, 1]
    found = predictive_gap(world, real, reality=real_worlds, threads=1)
    parts = [
        predictive_gap(
            world, replace(some, member_index=np.zeros_like(some.member_index)), reality=one, threads=1
        ).terms
        for row, one in enumerate((stiffer(1.4), stiffer(0.7)))
        for some in [real.select(np.flatnonzero(real.member_index == row))]
    ]
    np.testing.assert_allclose(np.sort(found.terms), np.sort(np.concatenate(parts)))
    with pytest.raises(WorldError, match="ran in member 1 of reality, which has 1"):
        predictive_gap(world, real, reality=stiffer(1.4), threads=1)


@pytest.mark.parametrize(
    ("options", "noise", "message"),
    [
        ({}, 0.0, r"sensors without noise have no density: qpos\[x\], qvel\[x\]; give world 'spring' the noise"),
        ({}, {"qpos[x]": 0.1}, r"have no density: qvel\[x\]; "),
        ({}, [GaussianNoise(0.1), Dropout(0.5)], r"sensor 'qpos\[x\]': the noise .* has no density"),
        ({"noise": "guessed"}, 0.1, "noise is 'guessed': give 'given' or 'fitted'"),
        (
            {"noise": "fitted", "reality": Ensemble.nominal()},
            0.1,
            "the noise of a given one is known: leave noise=",
        ),
        ({"states": "seen"}, 0.1, "states is 'seen': give 'recorded' or 'hidden'"),
        ({"state_deviation": [0.1, 0.1, 0.1]}, 0.1, "3 state deviations for 1 positions and 1 velocities"),
        ({"state_deviation": -0.1}, 0.1, "state deviations must be finite and not negative"),
        ({"state_deviation": 0.1}, UniformNoise(0.1), r"for Gaussian noise only, not for: qpos\[x\], qvel\[x\]"),
        ({"states": "hidden"}, UniformNoise(0.1), r"Gaussian noise only, not that of: qpos\[x\], qvel\[x\]"),
        ({"confidence": 2}, 0.1, "confidence is 2"),
    ],
)
def test_refused(spring, driven, options, noise, message):
    real = driven(spring(0.1, BOTH), stiffer(1.0), episodes=3, steps=20)
    with pytest.raises(GapError, match=message) as caught:
        predictive_gap(spring(noise, BOTH), real, threads=1, **options)
    assert "\n" not in str(caught.value)


def test_arguments_of_other_types_are_refused(spring, driven):
    world = spring(0.1, BOTH)
    real = driven(world, stiffer(1.0), episodes=2, steps=3)
    with pytest.raises(WorldError, match="fibre is a Randomization, from which worlds are drawn first"):
        predictive_gap(world, real, fibre=Randomization(), threads=1)
    with pytest.raises(GapError, match=r"the real side is Trajectories, got World; World\.read_log reads a log"):
        predictive_gap(world, world, threads=1)


def test_nothing_happened(spring, driven):
    world = spring(0.1, BOTH)
    real = driven(world, stiffer(1.0), episodes=3, steps=20)
    with pytest.raises(GapError, match="has no transition"):
        predictive_gap(world, replace(real, diverged=np.ones(3, dtype=bool)), threads=1)


def test_against_itself_the_fibre_costs_what_a_mixture_costs(spring, driven):
    """The A/A value is that of a robot that is one of the worlds; the p-value finds one that is not."""
    world, fibre = spring(0.03, BOTH), stiffer(*np.geomspace(0.5, 2.0, 24))
    table = ActionTable(np.ones((60, 1)))
    sim = rollout(world, table, rng=1, fibre=fibre, episodes=1, steps=60, threads=1)
    real = rollout(world, table, rng=2, fibre=stiffer(5.0), episodes=8, steps=60, threads=1)
    null = predictive_gap(world, real, fibre=fibre, reality=stiffer(5.0), sim=sim, threads=1).episode.null
    assert len(null.simulated) == 1
    assert 0 <= null.simulated[0] <= 1.5 * np.log(24) / 60
    assert null.p_value == pytest.approx(1 / 25)
    assert null.real == ()
    at_home = rollout(world, table, rng=3, fibre=stiffer(1.0), episodes=8, steps=60, threads=1)
    inside = predictive_gap(world, at_home, fibre=fibre, reality=stiffer(1.0), sim=sim, threads=1).episode.null
    assert inside.p_value > 0.05
    two = sim.select([0, 1])
    few = predictive_gap(world, real, fibre=fibre, sim=two, reality=stiffer(5.0), threads=1).episode.null
    assert few.why[-1] == "with 2 worlds the p-value is at least 0.33"


def test_false_alarms_of_the_null_are_rare(spring):
    """Robots that are worlds drawn as the members were: p-values of at most 5 % in at most so many of 30."""
    world, table, alarms = spring(0.03, BOTH), ActionTable(np.ones((20, 1))), 0
    for seed in range(30):
        rng = np.random.default_rng(seed)
        fibre, robot = stiffer(*rng.uniform(0.5, 2.0, 20)), stiffer(rng.uniform(0.5, 2.0))
        sim = rollout(world, table, rng=rng, fibre=fibre, episodes=1, steps=20, threads=1)
        real = rollout(world, table, rng=rng, fibre=robot, episodes=6, steps=20, threads=1)
        found = predictive_gap(world, real, fibre=fibre, reality=robot, sim=sim, threads=1)
        alarms += found.episode.null.p_value <= 0.05
    assert alarms <= stats.binom.ppf(0.999, 30, 0.05)


def test_a_null_that_cannot_be_had_says_why(spring, driven):
    world, fibre = spring(0.03, BOTH), stiffer(0.5, 2.0)
    real = driven(world, stiffer(1.0))
    sim = rollout(world, ActionTable(np.ones((60, 1))), rng=1, fibre=fibre, episodes=3, steps=60, threads=1)
    for options in ({"noise": "fitted"}, {"state_deviation": 0.001}):
        null = predictive_gap(world, real, fibre=fibre, sim=sim, threads=1, **options).episode.null
        assert (null.simulated, null.p_value) == ((), None)
        assert "have other noise, or states without errors" in null.why[-1]
    with pytest.raises(WorldError, match="simulated episodes ran in member 1, the fibre has 1"):
        predictive_gap(world, real, sim=sim, threads=1)
    weightless = replace(fibre, weights=np.array([1.0, 0.0]))
    only_other = sim.select(np.flatnonzero(sim.member_index == 1))
    null = predictive_gap(world, real, fibre=weightless, sim=only_other, threads=1).episode.null
    assert "no episode of a member with a weight went on" in null.why[-1]


def test_a_fitted_reality_of_quantised_readings_has_probabilities_too(spring, driven):
    """Densities on the one side and probabilities of cells on the other would be ln(1/step) apart."""
    world = spring([GaussianNoise(0.03), Quantisation(0.001)], BOTH)
    real = driven(world, stiffer(1.0), episodes=20)
    assert predictive_gap(world, real, threads=1).estimate.value < 0.05


def test_uniform_noise_is_not_asked_what_less_of_it_would_do(spring, driven):
    world = spring(UniformNoise(0.05), BOTH)
    found = predictive_gap(world, driven(world, stiffer(1.0)), reality=stiffer(1.0), threads=1)
    assert found.estimate.value == pytest.approx(0.0, abs=1e-9)
    assert found.noise_sensitivity == {}
    assert "told for recorded states and Gaussian noise only" in found.estimate.why[-1]


def test_all_noise_wider_changes_nothing_where_only_noise_differs(spring, driven):
    world = spring(0.03, BOTH)
    fibre = Ensemble(("observation_noise",), ("scale",), np.array([[0.5], [1.0], [2.0]]), np.full(3, 1 / 3))
    found = predictive_gap(world, driven(world, Ensemble.nominal()), fibre=fibre, reality=Ensemble.nominal(), threads=1)
    for gap in found.noise_sensitivity.values():
        assert gap == pytest.approx(found.estimate.raw, rel=1e-6)


def test_episodes_of_different_lengths_have_different_sums(spring):
    world = spring(0.03, BOTH)
    parts = [
        rollout(world, ActionTable(np.ones((n, 1))), rng=n, fibre=stiffer(2.0), episodes=5, steps=n, threads=1)
        for n in (10, 150)
    ]
    found = predictive_gap(world, concatenate(parts), reality=stiffer(2.0), threads=1)
    sums = [found.terms[found.episode_index == i].sum() for i in range(10)]
    half = stats.t.ppf(0.975, 9) * np.std(sums, ddof=1) / np.sqrt(10)
    assert found.trajectory.raw == pytest.approx(np.mean(sums))
    assert found.trajectory.high == pytest.approx(np.mean(sums) + half)
    assert found.trajectory.units == "nats per episode"


def test_errors_of_states_that_are_large_are_doubted(spring, driven):
    world = spring(0.03, BOTH)
    real = driven(world, stiffer(1.0))
    found = predictive_gap(world, real, state_deviation=0.5, threads=1).estimate
    assert not found.reliable
    assert "of how far they spread" in found.why[0]


def test_a_member_that_diverges_is_out_of_the_mixture(spring, driven):
    world = spring(0.03, BOTH)
    real = driven(world, stiffer(1.0))
    fibre = stiffer(1.0, 1e12)
    for options in ({}, {"state_deviation": 0.001}, {"states": "hidden", "state_deviation": 0.1}):
        found = predictive_gap(world, real, fibre=fibre, threads=1, **options)
        assert found.members.chances[0] == 1.0


def test_recordings_of_something_else(spring, driven):
    world = spring(0.03, BOTH)
    real = driven(world, stiffer(1.0))
    with pytest.raises(WorldError, match="unknown sensor 'y'"):
        predictive_gap(world, replace(real, sensors=("y", "qvel[x]")), threads=1)
    holes = real.observations.copy()
    holes[2, 7, 1] = np.nan
    with pytest.raises(
        GapError, match=r"1 readings that are NaN or infinite, the first in episode 2, frame 7, sensor 'qv"
    ):
        predictive_gap(world, replace(real, observations=holes), threads=1)
    with pytest.raises(GapError, match="0 state deviations for 1 positions"):
        predictive_gap(world, real, state_deviation=[], threads=1)
    silent = Ensemble.single({"observation_noise": {"set": 0.0}})
    with pytest.raises(GapError, match="sensors without noise have no density"):
        predictive_gap(world, real, reality=silent, threads=1)
    for noise in ("given", "fitted"):
        with pytest.raises(GapError, match="noise"):
            predictive_gap(spring(0.0, BOTH), real, states="hidden", state_deviation=0.1, noise=noise, threads=1)
