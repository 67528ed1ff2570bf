"""The recordings of the two machines, read through `read_log`; skipped where they are not at hand."""

from __future__ import annotations

import numpy as np
import pytest
from places import SHARED

from benchmarks.machines.cube import HALF_WIDTH, PERIOD, centred, cube, lowest_corner, read_tosses
from benchmarks.machines.cube import rotation_between as between
from benchmarks.machines.identification import identify
from benchmarks.machines.pendulum import (
    ANGLE,
    CONTROLLERS,
    NOISE,
    PLANNED,
    RIGID,
    VELOCITY,
    pendulum,
    read_swing_up,
)
from sim2real_cat.errors import ExchangeError, WorldError
from sim2real_cat.recordings.trajectories import segments
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay

DATA = SHARED / "data"
PENDULUM, TOSSES = DATA / "dfki_simple_pendulum", DATA / "contactnets_cube" / "tosses_first60.npz"

RESOLUTION = 0.0029144731822
"""Of the pendulum's encoder [rad]."""


@pytest.fixture(scope="module")
def recordings():
    if not PENDULUM.is_dir():
        pytest.skip(f"the recordings of the pendulum are not at {PENDULUM}")
    return {name: read_swing_up(PENDULUM, name) for name in CONTROLLERS}


@pytest.fixture(scope="module")
def tosses():
    if not TOSSES.is_file():
        pytest.skip(f"the recordings of the cube are not at {TOSSES}")
    return read_tosses(TOSSES)


def raw(name):
    """The columns of a recording as they are in its file."""
    return np.genfromtxt(PENDULUM / CONTROLLERS[name].recording, delimiter=",", names=True)


def test_every_recording_is_an_episode_of_its_controller(recordings):
    for name, recording in recordings.items():
        rows = raw(name)
        assert recording.policies == (name,)
        assert recording.sensors == (ANGLE, VELOCITY)
        assert recording.actuators == ("motor",)
        assert recording.control_period == pytest.approx(np.median(np.diff(rows["time"])), rel=2e-3)
        assert recording.lengths[0] * recording.control_period == pytest.approx(rows["time"][-1], abs=0.03)
        assert any("resampled" in note for note in recording.notes)
        assert "smoothed at" in recording.notes[-1]


def test_the_pendulum_hangs_down_at_first_and_swings_up(recordings):
    for name, recording in recordings.items():
        angle = recording.observations[0, : recording.lengths[0] + 1, 0]
        assert abs(angle[0]) < RESOLUTION
        assert np.abs(np.cos(angle) + 1).min() < 1e-3, name


@pytest.mark.parametrize("name", ["DDP", "direct collocation"])
def test_the_noise_is_that_of_the_sensors(recordings, name):
    recording = recordings[name]
    states = np.concatenate([recording.qpos, recording.qvel], axis=2)
    left = (recording.observations - states)[0].std(axis=0)
    # The resampling averages two rows, which takes away up to a factor of sqrt(2) of the noise.
    expected = np.array([NOISE[ANGLE], NOISE[VELOCITY]])
    assert (left > 0.6 * expected).all()
    assert (left < 1.1 * expected).all()


def test_the_authors_identification_is_recovered_to_the_printed_digits(recordings):
    rows = raw("PD")
    found = identify(rows["time"], rows["position"], rows["velocity"], rows["torque"])
    printed = (
        f"{found.inertia:.3e} {found.gravity_moment:.3e} {found.viscous:.3e} {found.coulomb:.3e} {found.offset:.3e}"
    )
    assert printed == "6.259e-02 1.022e-01 4.707e-02 1.839e-01 -7.586e-02"


def test_another_run_of_the_machine_identifies_another_machine(recordings):
    rows = raw("DDP")
    found = identify(rows["time"], rows["position"], rows["velocity"], rows["torque"])
    assert found.gravity_moment == pytest.approx(0.2274, abs=5e-5)


@pytest.mark.parametrize("name", CONTROLLERS)
def test_one_step_ahead_the_angle_is_off_by_about_a_step_of_the_encoder(recordings, name):
    """Measured 0.0006 rad (DDP) to 0.0040 rad (PD, which shakes faster than the smoothing follows)."""
    recording = recordings[name]
    predicted = predict_steps(pendulum(recording.control_period), recording)
    error = predicted.observation - recording.observations[0, 1:]
    bound = 2 * RESOLUTION if name == "PD" else RESOLUTION
    assert np.sqrt(np.mean(error[:, 0] ** 2)) < bound


def drift(recording, members, seconds):
    """RMSE of the angle [rad] after so many seconds of open loop, from starts half that far apart."""
    steps = round(seconds / recording.control_period)
    pieces = segments(recording, steps, steps // 2)
    played = replay(pendulum(recording.control_period), pieces, fibre=members)
    return np.sqrt(np.mean((played.qpos[:, -1, 0] - pieces.qpos[:, -1, 0]) ** 2))


@pytest.mark.parametrize("name", ["DDP", "direct collocation"])
def test_open_loop_the_planned_mass_and_length_predict_best(recordings, name):
    """Measured after 0.1 s: 0.008 and 0.009 rad for mass and length alone, 0.045 to 0.065 rad for both published sets.

    What was identified on the PD run does not carry over to the others.
    """
    rigid = drift(recordings[name], RIGID, 0.1)
    assert rigid < 0.02
    for members in (Ensemble.nominal(), PLANNED):
        assert 2 * rigid < drift(recordings[name], members, 0.1) < 0.15


@pytest.mark.parametrize("name", CONTROLLERS)
def test_open_loop_errors_grow_with_time(recordings, name):
    errors = [drift(recordings[name], Ensemble.nominal(), seconds) for seconds in (0.1, 0.2, 0.5)]
    assert errors[0] < errors[1] < errors[2] < 2.0


def test_a_controller_that_nobody_recorded():
    with pytest.raises(WorldError, match="unknown controller 'LQR': did you mean 'iLQR'"):
        read_swing_up(PENDULUM, "LQR")


def test_recordings_that_are_not_there(tmp_path):
    with pytest.raises(ExchangeError, match=r"control_method_ddp__data_measured\.csv"):
        read_swing_up(tmp_path, "DDP")
    with pytest.raises(ExchangeError, match=r"tosses\.npz"):
        read_tosses(tmp_path / "tosses.npz")


def test_sixty_tosses(tosses):
    assert len(tosses) == 60
    assert (tosses.lengths.min(), tosses.lengths.max()) == (85, 119)
    assert tosses.actions.shape == (60, 119, 0)
    assert tosses.control_period == pytest.approx(PERIOD)


def moving(tosses, frames=60):
    """The first frames of all tosses."""
    return tosses.qpos[:, :frames], tosses.qvel[:, :frames]


def test_the_recorded_velocities_are_in_the_frames_of_the_free_joint(tosses):
    """Linear in the world, angular in the cube: one frame's motion, taken from the positions, tells them apart."""
    qpos, qvel = moving(tosses)
    linear = np.diff(qpos[..., :3], axis=1) / PERIOD
    assert np.sqrt(np.mean((linear - qvel[:, :-1, :3]) ** 2)) < 0.05
    w, vector = qpos[..., 3], qpos[..., 4:]
    half = w[:, :-1, None] * vector[:, 1:] - w[:, 1:, None] * vector[:, :-1]
    turning = np.cross(vector[:, :-1], vector[:, 1:])
    mean = (qvel[:, :-1, 3:] + qvel[:, 1:, 3:]) / 2
    in_the_cube = np.sqrt(np.mean((2 * (half - turning) / PERIOD - mean) ** 2))
    in_the_world = np.sqrt(np.mean((2 * (half + turning) / PERIOD - mean) ** 2))
    assert in_the_cube < 0.25 * in_the_world


def test_free_flight(tosses):
    """The accelerations of the frames before the lowest corner comes near the table."""
    found = []
    for qpos, length in zip(tosses.qpos, tosses.lengths, strict=True):
        low = lowest_corner(qpos[: length + 1]) > 0.2 * HALF_WIDTH
        flight = int(np.argmin(low))
        if flight >= 8:
            found.append(2 * np.polyfit(np.arange(flight) * PERIOD, qpos[:flight, 2], 2)[0])
    assert len(found) > 50
    assert np.mean(found) == pytest.approx(-9.57, abs=0.1)


def test_the_height_at_rest(tosses):
    last = tosses.qpos[np.arange(60), tosses.lengths]
    assert np.mean(last[:, 2]) / HALF_WIDTH == pytest.approx(0.979, abs=5e-4)


def test_one_frame_ahead_in_the_air_and_on_the_table(tosses):
    """Measured 0.06 mm and 0.04 degrees in the air, 1.1 mm and 0.70 degrees near the table.

    The table of the recordings lies 1.1 mm lower than the cube's own corners say, so the model pushes a cube at rest.
    """
    predicted = predict_steps(cube(), tosses)
    truth = tosses.qpos[predicted.episode, predicted.step + 1]
    before = tosses.qpos[predicted.episode, predicted.step]
    position = np.linalg.norm(predicted.state[:, :3] - truth[:, :3], axis=1)
    rotation = np.rad2deg(between(predicted.state[:, 3:7], truth[:, 3:]))
    flying = np.minimum(lowest_corner(before), lowest_corner(truth)) > 0.2 * HALF_WIDTH
    assert flying.sum() > 500
    for rows, millimetres, degrees in ((flying, 0.1, 0.1), (~flying, 1.5, 1.0)):
        assert 1000 * np.sqrt(np.mean(position[rows] ** 2)) < millimetres
        assert np.sqrt(np.mean(rotation[rows] ** 2)) < degrees


def test_open_loop_from_the_first_frame(tosses):
    """Measured at the end: 27 mm and 28 degrees on average, 21 mm and 16 degrees in the median, 50 of 60 faces."""
    played = replay(cube(), tosses)
    assert not played.diverged.any()
    toss = np.arange(60)
    bounds = [(10, 3, 3), (20, 8, 15), (tosses.lengths, 40, 45)]
    for frame, millimetres, degrees in bounds:
        position = 1000 * np.linalg.norm((played.qpos - tosses.qpos)[toss, frame, :3], axis=1)
        rotation = np.rad2deg(between(played.qpos[toss, frame, 3:], tosses.qpos[toss, frame, 3:]))
        assert position.mean() < millimetres
        assert rotation.mean() < degrees
    assert (rotation < 45).sum() >= 40


def test_the_lowest_corner_and_the_angle_between():
    half = np.sqrt(0.5)
    flat = np.array([0.0, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    edge = np.array([0.0, 0.0, 1.0, np.cos(np.pi / 8), 0.0, np.sin(np.pi / 8), 0.0])
    np.testing.assert_allclose(
        lowest_corner(np.stack([flat, edge])), [1 - HALF_WIDTH, 1 - HALF_WIDTH * np.sqrt(2)], rtol=1e-12
    )
    assert between(flat[3:], np.array([half, half, 0.0, 0.0])) == pytest.approx(np.pi / 2)
    assert between(flat[3:], -flat[3:]) == 0.0


def test_centred_velocities():
    from rig import made

    whole = made([3, 1], nq=7, nv=6)
    moved = centred(whole)
    np.testing.assert_allclose(moved.qvel[0, 0], (whole.qvel[0, 0] + whole.qvel[0, 1]) / 2)
    np.testing.assert_array_equal(moved.qvel[0, 3], whole.qvel[0, 3])
    np.testing.assert_array_equal(moved.qvel[1, 1], whole.qvel[1, 1])
