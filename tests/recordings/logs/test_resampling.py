from __future__ import annotations

import numpy as np
import pytest
from arm import MAPPING, arm_world, columns, recorded, write_csv
from hypothesis import given
from hypothesis import strategies as st
from scipy.interpolate import interp1d
from scipy.spatial.transform import Rotation

from sim2real_cat.errors import WorldError
from sim2real_cat.recordings.logs.episode import Series, grid, held, linear, on_grid
from sim2real_cat.recordings.logs.mapping import LogMapping
from sim2real_cat.recordings.logs.reader import read_log


@st.composite
def series(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = draw(st.integers(2, 40))
    return Series(np.cumsum(rng.uniform(1e-3, 1, rows)), rng.standard_normal((rows, draw(st.integers(1, 3))))), rng


@given(series())
def test_both_ways_are_those_of_scipy(drawn):
    one, rng = drawn
    at = np.sort(rng.uniform(one.times[0], one.times[-1], 20))
    expected = interp1d(one.times, one.values, axis=0)(at)
    np.testing.assert_allclose(linear(one, at), expected, rtol=0, atol=1e-9)
    expected = interp1d(one.times, one.values, kind="previous", axis=0)(at)
    np.testing.assert_array_equal(held(one, at, 1e-6), expected)


@given(series())
def test_rows_are_given_back_at_their_own_times(drawn):
    one, _ = drawn
    np.testing.assert_array_equal(linear(one, one.times), one.values)
    np.testing.assert_array_equal(held(one, one.times, 1e-3), one.values)
    # a command that comes a rounding error after its control step belongs to that step
    np.testing.assert_array_equal(held(one, one.times - 1e-10, 1e-3), one.values)


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=4), st.floats(0.01, 20), st.floats(1e-3, 1))
def test_the_grid_fills_the_time_when_all_series_run(starts, seconds, period):
    ends = [max(starts) + seconds + extra for extra in range(len(starts))]
    steps = grid(starts, ends, period)
    assert steps[0] == max(starts)
    np.testing.assert_allclose(np.diff(steps), period)
    assert steps[-1] <= min(ends) + 1e-6 * period
    assert steps[-1] + period > min(ends) - 1e-6 * period


def test_series_that_never_run_together_have_no_grid():
    assert len(grid([0.0, 5.0], [4.0, 9.0], 0.1)) == 0


def test_a_turn_is_interpolated_the_shorter_way_round():
    """About one axis, with signs of the quaternions flipped at random: as scipy's rotations between the same rows."""
    rng = np.random.default_rng(0)
    times = 0.1 * np.arange(30)
    axis = np.array([1.0, 2.0, 2.0]) / 3
    turns = Rotation.from_rotvec(axis * np.cumsum(rng.uniform(0, 0.1, 30))[:, None])
    quaternions = turns.as_quat(scalar_first=True) * rng.choice([-1.0, 1.0], 30)[:, None]
    values = np.concatenate([rng.standard_normal((30, 3)), quaternions], axis=1)
    at = np.linspace(0, 2.9, 200)
    found = linear(Series(times, values), at, rotations=(3,))
    np.testing.assert_allclose(np.linalg.norm(found[:, 3:], axis=1), 1, atol=1e-12)
    angle = np.interp(at, times, np.linalg.norm(turns.as_rotvec(), axis=1))
    expected = Rotation.from_rotvec(axis * angle[:, None])
    error = (Rotation.from_quat(found[:, 3:], scalar_first=True) * expected.inv()).magnitude()
    assert error.max() < 1e-4  # normalised linear instead of spherical: off by angle^3 / 78 at 0.1 rad


def test_a_wrapped_angle_goes_on(tmp_path):
    angle = np.linspace(0, 20, 200)
    path = write_csv(tmp_path / "log.csv", {"wrapped": (angle + np.pi) % (2 * np.pi) - np.pi})
    table = {"time": {"period": 0.1}, "observation": {"angle": {"column": "wrapped", "unwrap": True}}}
    np.testing.assert_allclose(read_log(path, LogMapping.from_table(table)).observations[0, :, 0], angle, atol=1e-12)


def test_what_is_on_the_grid():
    assert on_grid(0.1 * np.arange(100), 0.1)
    assert not on_grid(0.1 * np.arange(100), 0.1001)
    assert not on_grid(0.1 * np.arange(100) + 1e-6 * (np.arange(100) == 50), 0.1)
    assert on_grid(0.1 * np.arange(100) + 1e-6 * (np.arange(100) == 50), 0.1, resolution=1e-6)


def test_states_are_interpolated_and_actions_hold(tmp_path, world, done):
    """A log of 20 ms at control steps of 10 ms: every second state lies half-way, every action comes twice."""
    path = write_csv(tmp_path / "log.csv", columns(done, 0))
    log = read_log(path, LogMapping.from_table(MAPPING | {"control_period": 0.01}, world))
    assert log.lengths.tolist() == [50]
    np.testing.assert_allclose(log.qpos[0, ::2], done.qpos[0], rtol=0, atol=1e-12)
    np.testing.assert_allclose(log.qpos[0, 1::2], (done.qpos[0, 1:] + done.qpos[0, :-1]) / 2, rtol=0, atol=1e-12)
    np.testing.assert_array_equal(log.actions[0], np.repeat(done.actions[0], 2, axis=0))


def test_columns_of_two_clocks_meet_on_the_control_steps(tmp_path, world, done):
    """Commands have their own timestamps, 3 ms after the states'; that is taken off, or they come a step late."""
    table = columns(done, 0)
    table["sent"] = table["t"] + 0.003
    path = write_csv(tmp_path / "log.csv", table)
    for delay, expected in [(0.003, done.actions[0]), (0.0, done.actions[0, :-1])]:
        action = {k: {"column": v, "time": "sent", "delay": delay} for k, v in MAPPING["action"].items()}
        log = read_log(path, LogMapping.from_table(MAPPING | {"action": action, "control_period": 0.02}, world))
        np.testing.assert_array_equal(log.actions[0], expected)
    with pytest.raises(WorldError, match="not recorded at the same times; give a control_period to resample to"):
        read_log(path, LogMapping.from_table(MAPPING | {"action": action}, world))


def test_velocities_from_positions_on_demand(tmp_path, world):
    """A wrapped angle in degrees at uneven times: the derivative of a quadratic is exact within the log."""
    times = np.cumsum(np.random.default_rng(0).uniform(0.01, 0.03, 200))
    angle = 3.0 * times + 0.5 * times**2
    wrapped = np.rad2deg((angle + np.pi) % (2 * np.pi) - np.pi)
    path = write_csv(tmp_path / "log.csv", {"t": times, "angle": wrapped, "reach": np.zeros(200)})
    hinge = {"column": "angle", "unit": "deg", "unwrap": True}
    table = {
        "time": {"column": "t"},
        "resampling": "none",
        "state": {
            "qpos[hinge]": hinge,
            "qvel[hinge]": hinge | {"derivative": True},
            "qpos[slide]": "reach",
            "qvel[slide]": {"column": "reach", "derivative": True},
        },
    }
    log = read_log(path, LogMapping.from_table(table, world))
    np.testing.assert_allclose(log.qpos[0, :, 0], angle - angle[0] + log.qpos[0, 0, 0], rtol=0, atol=1e-9)
    np.testing.assert_allclose(log.qvel[0, 1:-1, 0], 3.0 + times[1:-1], rtol=0, atol=1e-9)
    np.testing.assert_array_equal(log.qvel[0, :, 1], 0)
    table["state"]["qvel[hinge]"] = {"column": "angle", "unit": "deg/s", "derivative": True}
    with pytest.raises(WorldError, match=r"'qvel\[hinge\]' measures angle, 'deg/s' angular velocity"):
        read_log(path, LogMapping.from_table(table, world))


def test_a_control_period_longer_than_the_log(tmp_path, world, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0))
    mapping = LogMapping.from_table(MAPPING | {"control_period": 5.0}, world)
    with pytest.raises(WorldError, match=r"overlap for 0.5 s, less than the control period of 5 s; check"):
        read_log(path, mapping)


def test_rewards_are_not_resampled(tmp_path, world, done):
    path = write_csv(tmp_path / "log.csv", columns(done, 0) | {"reward": np.ones(26)})
    log = read_log(path, LogMapping.from_table(MAPPING | {"reward": "reward"}, world))
    assert log.returns.tolist() == [25.0]
    with pytest.raises(WorldError, match="rewards belong to their rows and cannot be resampled; leave reward out"):
        read_log(path, LogMapping.from_table(MAPPING | {"reward": "reward", "control_period": 0.01}, world))


def test_rows_without_a_value_may_be_dropped_where_another_stream_has_one(tmp_path):
    """As exports of several topics into one table have it: every row holds the columns of one topic only."""
    world = arm_world(tmp_path)
    done = recorded(world, episodes=1, steps=40)
    table = columns(done, 0)
    commands = {name: np.full(80, np.nan) for name in table}
    for name, column in table.items():
        state = name not in ("torque", "force")
        commands[name][0::2] = column[:40] if state else np.nan
        commands[name][1::2] = np.nan if state else column[:40]
    commands["t"] = np.repeat(table["t"][:40], 2) + np.tile([0.0, 0.009], 40)
    path = write_csv(tmp_path / "log.csv", commands)
    message = (
        r"line 3: 'angle' has no value .* in 40 of 80 rows; .* missing = \"drop\" at the top of the mapping, beside"
    )
    with pytest.raises(WorldError, match=message):
        read_log(path, LogMapping.from_table(MAPPING | {"control_period": 0.02}, world))
    action = {key: {"column": name, "delay": 0.009} for key, name in MAPPING["action"].items()}
    mapping = MAPPING | {"control_period": 0.02, "missing": "drop", "action": action}
    log = read_log(path, LogMapping.from_table(mapping, world))
    assert log.lengths.tolist() == [39]
    np.testing.assert_allclose(log.qpos, done.qpos[:, :40], rtol=0, atol=1e-12)
    np.testing.assert_array_equal(log.actions, done.actions[:, :39])
