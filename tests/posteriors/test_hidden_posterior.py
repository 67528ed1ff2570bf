"""The posterior of recordings whose states have errors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import sim2real_cat as s2r
from sim2real_cat.errors import GapError, WorldError
from sim2real_cat.posteriors.expectation import HiddenPredictor, first_states
from sim2real_cat.posteriors.likelihood import FilteredLikelihood

NOISE = 0.05


def noisy_world(robot):
    """Return a robot all of whose sensors have noise."""
    return s2r.World.gymnasium(robot, noise=dict.fromkeys(s2r.World.gymnasium(robot).sensors, NOISE))


def recorded(world, reality=None, episodes=4, steps=30, seed=1, states=NOISE):
    """Play a random policy in one world, or one for each episode, and record its states with errors."""
    noise = np.random.default_rng(100 + seed)
    nu = world.compile().nu
    policy = s2r.policies.CallablePolicy(lambda seen: noise.uniform(-1, 1, (*np.shape(seen)[:-1], nu)), "random")
    fibre = s2r.Ensemble.nominal() if reality is None else reality
    real = s2r.rollout(world, policy, rng=seed, fibre=fibre, episodes=episodes, steps=steps, until_terminated=False)
    parts = {name: getattr(real, name) for name in ("qpos", "qvel")}
    return replace(real, **{name: of + states * noise.standard_normal(of.shape) for name, of in parts.items()})


def rate(world, real, found, reality):
    """Return how much better reality explains the readings than the mode does, per step, less what the fit took."""
    predictor = HiddenPredictor(world, s2r.Ensemble.nominal(), NOISE, 0).with_process(found.process)
    truth = FilteredLikelihood(predictor, real, reality).filtered()
    return (truth.total[0] - found.mode.log_likelihood + found.freedom / 2) / found.steps


def scales(**ranges):
    """Return a randomization of factors, each between two ends."""
    names = {"mass": "body_inertial[*]", "damping": "dof_damping", "gear": "actuator_gear"}
    return s2r.Randomization(
        {
            names[name]: s2r.Change("scale", low, high, "loguniform" if name == "damping" else "uniform", each=False)
            for name, (low, high) in ranges.items()
        }
    )


RANDOMIZATION = scales(damping=(0.4, 2.5), gear=(0.7, 1.4))


@pytest.fixture(scope="module")
def pendulum():
    return noisy_world("InvertedPendulum")


@pytest.mark.parametrize("factors", [(1.0, 1.0), (2.0, 0.8)])
def test_a_pendulum_of_the_randomization_is_found_through_errors_of_the_states(pendulum, factors):
    reality = s2r.Ensemble.single({"dof_damping": {"scale": factors[0]}, "actuator_gear": {"scale": factors[1]}})
    real = recorded(pendulum, reality, episodes=6, steps=50)
    found = s2r.posterior(pendulum, real, randomization=RANDOMIZATION, states="hidden", state_deviation=NOISE, draws=64)
    assert found.reliable, found.reasons
    assert abs(rate(pendulum, real, found, reality)) < 0.02
    draws = found.ensemble()
    mean = draws.weights @ draws.values
    deviation = np.sqrt(draws.weights @ np.square(draws.values - mean))
    assert (np.abs(mean - factors) < 4 * deviation).all()
    assert (deviation < 0.2).all()
    n = found.steps * len(real.sensors)
    assert stats.chi2(n).sf(found.mode.square) > 0.01
    assert found.drift.p_value > 0.01
    assert "states are hidden: every world follows the readings by a Kalman filter" in found.notes


def test_a_wrong_model_costs_a_finite_number_that_grows_with_the_fault(pendulum):
    """Friction that no world of the randomization has is taken for process noise, and more of it for more."""
    randomization = scales(gear=(0.9, 1.1))
    costs, noises = [], []
    for friction in (0.0, 2.0, 5.0):
        reality = s2r.Ensemble.single({"dof_frictionloss": {"shift": friction}})
        real = recorded(pendulum, reality)
        found = s2r.posterior(pendulum, real, randomization=randomization, states="hidden", state_deviation=NOISE)
        costs.append(-found.mode.log_likelihood / found.steps)
        noises.append(found.process)
    assert np.isfinite(costs).all()
    assert costs == sorted(costs)
    assert costs[1] > costs[0] + 0.05
    assert noises == sorted(noises)
    assert noises[2] > noises[0]


@pytest.mark.parametrize("states", ["recorded", "hidden"])
def test_a_world_that_changes_between_episodes_is_said_to_drift(pendulum, states):
    """The p-value is small where one parameter moves, that parameter is named, and else it is not."""
    damping = np.array([[0.6], [0.8], [1.3], [2.0]])
    changing = s2r.Ensemble(("dof_damping",), ("scale",), damping, np.full(4, 0.25))
    deviation = NOISE if states == "hidden" else 0.0
    arguments = {"randomization": RANDOMIZATION, "draws": 8, "states": states, "state_deviation": deviation}
    real = recorded(pendulum, changing, states=deviation)
    assert len(set(real.member_index.tolist())) > 1
    drift = s2r.posterior(pendulum, real, **arguments).drift
    assert drift.p_value < 0.01
    assert drift.parameter == "dof_damping"
    assert drift.parameter_p_value < 0.01
    same = recorded(pendulum, states=deviation)
    assert s2r.posterior(pendulum, same, **arguments).drift.p_value > 0.01


def test_a_single_episode_does_not_tell_if_the_world_drifts(pendulum):
    single = recorded(pendulum, episodes=1, states=0.0)
    assert s2r.posterior(pendulum, single, randomization=RANDOMIZATION, draws=8).drift is None


def test_what_a_filter_cannot_follow_is_refused_by_name(pendulum):
    real = recorded(pendulum, episodes=2, steps=10)
    hidden = {"randomization": RANDOMIZATION, "states": "hidden", "state_deviation": NOISE}
    with pytest.raises(GapError, match=r"states is .seen.: give 'recorded' or 'hidden'"):
        s2r.posterior(pendulum, real, randomization=RANDOMIZATION, states="seen")
    with pytest.raises(GapError, match=r"the first state has no error.*give state_deviation"):
        s2r.posterior(pendulum, real, randomization=RANDOMIZATION, states="hidden")
    late = {"observation_delay[cart position]": s2r.Change.discrete("set", (0.04, 0.08))}
    with pytest.raises(WorldError, match="in time, these are not: cart position"):
        s2r.posterior(
            pendulum, real, **{**hidden, "randomization": s2r.Randomization({**late, **RANDOMIZATION.changes})}
        )
    odd = s2r.World.gymnasium("InvertedPendulum", noise={**pendulum.noise, "pole angle": s2r.noise.UniformNoise(0.1)})
    with pytest.raises(GapError, match=r"Gaussian noise only, not that of: .*pole angle"):
        s2r.posterior(odd, real, **hidden)


def without_states(real):
    """Return a recording of readings alone."""
    return replace(real, qpos=real.qpos[:, :, :0], qvel=real.qvel[:, :, :0])


@pytest.mark.parametrize("robot", ["InvertedPendulum", "Hopper"])
def test_first_states_are_what_the_first_readings_tell(robot):
    """Least squares on sensors that see every coordinate: each error is of the deviation that is said."""
    world = noisy_world(robot)
    real = recorded(world, episodes=40, steps=1, states=0.0)
    found = first_states(world, without_states(real), 0.0, 0)
    nq = real.qpos.shape[2]
    errors = np.concatenate([found.recording.qpos - real.qpos, found.recording.qvel - real.qvel], axis=2)[:, 0]
    seen = found.deviation > 0
    assert seen.sum() >= 4
    assert (np.abs(errors[:, seen]) < 5 * found.deviation[seen]).all()
    assert np.square(errors[:, seen] / found.deviation[seen]).mean() == pytest.approx(1, abs=0.4)
    assert nq + found.recording.qvel.shape[2] == errors.shape[1]
    assert "the first state of an episode is what its first reading tells" in found.notes


def test_a_recording_of_readings_alone_has_nearly_the_posterior_of_one_with_states(pendulum):
    real = recorded(pendulum)
    arguments = {"randomization": RANDOMIZATION, "states": "hidden", "draws": 64}
    found = s2r.posterior(pendulum, without_states(real), **arguments)
    known = s2r.posterior(pendulum, real, state_deviation=NOISE, **arguments)
    off = found.mode.z - known.mode.z
    assert off @ known.mode.precision @ off < 9
    assert found.reliable, found.reasons
    with pytest.raises(GapError, match="no states: leave state_deviation out"):
        s2r.posterior(pendulum, without_states(real), state_deviation=NOISE, **arguments)


def test_a_coordinate_that_first_readings_leave_open_is_named(pendulum):
    real = recorded(pendulum)
    chosen = [0, 1]
    positions = replace(without_states(real), sensors=real.sensors[:2], observations=real.observations[:, :, chosen])
    with pytest.raises(GapError, match=r"leave open: .*the velocity of slider.*the velocity of hinge"):
        s2r.posterior(pendulum, positions, randomization=RANDOMIZATION, states="hidden")


def test_a_coordinate_that_no_sensor_sees_is_a_note_and_clipped_readings_are_no_first_state():
    """A Hopper's sensors do not see how far it is, and clip velocities at 10."""
    world = noisy_world("Hopper")
    real = recorded(world, episodes=3, steps=2)
    found = first_states(world, without_states(real), 0.0, 0)
    assert any("no sensor sees the position of rootx" in note.replace("'", "") for note in found.notes)
    assert len(found.recording) == 3
    fast = real.qvel.copy()
    fast[1, 0, 2] = 10.02
    found = first_states(world, replace(real, qvel=fast), NOISE, 0)
    assert (
        found.notes == ("episodes that begin with a clipped reading are left out: 1",) or "left out" in found.notes[0]
    )
    assert len(found.recording) == 2
    fast[:, 0, 2] = 10.02
    with pytest.raises(GapError, match="every episode begins with a clipped reading"):
        first_states(world, replace(real, qvel=fast), NOISE, 0)


ALL = scales(mass=(0.6, 1.6), damping=(0.4, 2.5), gear=(0.7, 1.4))
FAULTS = ({}, {"dof_damping": {"scale": 2.0}}, {"body_inertial[*]": {"scale": 1.5}}, {"actuator_gear": {"scale": 0.8}})


@pytest.mark.nightly
@pytest.mark.parametrize("fault", FAULTS, ids=["none", "damping", "mass", "gear"])
@pytest.mark.parametrize(("robot", "least"), [("InvertedPendulum", 0.02), ("Reacher", 0.02), ("Hopper", 0.05)])
def test_faults_inside_the_randomization_have_no_rate_and_are_recovered(robot, least, fault):
    """Three seeds each. The two robots that hang free tell factors apart only up to a common one: it is divided out."""
    world = noisy_world(robot)
    reality = s2r.Ensemble.single(fault) if fault else s2r.Ensemble.nominal()
    for seed in (1, 2, 3):
        real = recorded(world, reality, episodes=6, steps=50, seed=seed)
        found = s2r.posterior(
            world, real, randomization=ALL, states="hidden", state_deviation=NOISE, draws=64, rng=seed
        )
        rated = rate(world, real, found, reality)
        print(f"{robot} {list(fault)} seed {seed}: rate {rated:.4f}, process {found.process:.2g}, {found.reasons}")
        assert abs(rated) < least or not found.reliable
        values = dict(zip(found.prior.parameters, found.best.values[0], strict=True))
        whole = {name: fault.get(name, {"scale": 1.0})["scale"] for name in values}
        found_ratio = values["dof_damping"] / values["actuator_gear"]
        assert found_ratio == pytest.approx(whole["dof_damping"] / whole["actuator_gear"], rel=0.1)


@pytest.mark.nightly
def test_motion_that_is_chaotic_against_the_noise_comes_out_right_or_is_undecided():
    world = noisy_world("HalfCheetah")
    for seed in (1, 2, 3):
        real = recorded(world, episodes=6, steps=50, seed=seed)
        found = s2r.posterior(world, real, randomization=ALL, states="hidden", state_deviation=NOISE, draws=128)
        rated = rate(world, real, found, s2r.Ensemble.nominal())
        print(f"HalfCheetah seed {seed}: rate {rated:.3f}, at {found.best.values[0].round(3)}, {found.reasons}")
        assert not found.reliable or (abs(rated) < 0.1 and np.abs(found.best.values - 1).max() < 0.05)
