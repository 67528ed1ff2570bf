"""Measure how well their authors' parameters predict two real machines, against the machines' recordings.

Nothing is timed here: every figure is an error of a model against a recording, with its unit.

    python -m benchmarks.machines --data FOLDER
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from benchmarks.machines.cube import (
    HALF_WIDTH,
    PERIOD,
    cube,
    lowest_corner,
    read_tosses,
    rotation_between,
)
from benchmarks.machines.identification import Identified, identify
from benchmarks.machines.pendulum import (
    AROUND,
    CONTROLLERS,
    NOISE,
    PLANNED,
    RIGID,
    pendulum,
    read_swing_up,
)
from sim2real_cat.arrays import Floats
from sim2real_cat.recordings.trajectories import Trajectories, segments
from sim2real_cat.transfer.build import build_instance
from sim2real_cat.transfer.deployment import Deployment, deploy_recording
from sim2real_cat.transfer.measurement import MeasuredGap, measure
from sim2real_cat.worlds.randomization.ensemble import Ensemble
from sim2real_cat.worlds.simulation.prediction import predict_steps
from sim2real_cat.worlds.simulation.replay import replay

PARAMETERS = {"identified": Ensemble.nominal(), "planned": PLANNED, "rigid": RIGID}
"""The pendulum's sets of parameters."""

SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0)
"""Lengths of the open loops."""

ROBOT = "DFKI pendulum"

RESTITUTION = 0.125
"""The coefficient that the cube's authors publish."""


def rms(errors: Floats) -> float:
    return float(np.sqrt(np.mean(np.square(errors))))


def heading(text: str) -> None:
    print(f"\n{text}\n{'-' * len(text)}")


def identifications(folder: Path) -> Identified:
    """Repeat the authors' fit on every controller's run; return the one that they published."""
    heading("Pendulum: the authors' identification on each run")
    columns = ("J kg m2", "m cx kg m", "Fv N m s/rad", "Fc N m", "offset N m", "residual N m")
    print(f"{'run':20}" + "".join(f"{column:>14}" for column in columns))
    for name, controller in CONTROLLERS.items():
        rows = np.genfromtxt(folder / controller.recording, delimiter=",", names=True)
        found = identify(rows["time"], rows["position"], rows["velocity"], rows["torque"])
        values = (found.inertia, found.gravity_moment, found.viscous, found.coulomb, found.offset, found.residual)
        print(f"{name:20}" + "".join(f"{value:14.5f}" for value in values))
        if name == "PD":
            published = found
    return published


def friction(recordings: dict[str, Trajectories], fitted: Identified, seconds: float) -> None:
    """Compare MuJoCo's frictionloss with the authors' atan(100 vel), under the same torques from the same starts."""
    heading(f"Pendulum: Coulomb friction as frictionloss instead of atan(100 vel), angle after {seconds:g} s")
    print(f"{'controller':20}{'RMS difference rad':>20}{'RMSE against the recording rad':>33}")
    for name, recording in recordings.items():
        pieces = segments(recording, round(seconds / recording.control_period))
        played = replay(pendulum(recording.control_period), pieces)
        last = (played.qpos[:, -1, 0], integrated(fitted, pieces), pieces.qpos[:, -1, 0])
        print(f"{name:20}{rms(last[0] - last[1]):20.3f}{rms(last[0] - last[2]):33.3f}")


def integrated(fitted: Identified, pieces: Trajectories, timestep: float = 1 / 6000) -> Floats:
    """Return the last angle of every piece under the authors' equation, by Runge and Kutta's method of order 4."""

    def derivative(state: Floats, torque: Floats) -> Floats:
        angle, velocity = state
        drag = fitted.viscous * velocity + fitted.coulomb * np.arctan(100 * velocity)
        gravity = fitted.gravity_moment * 9.81 * np.sin(angle)
        return np.stack([velocity, (torque - fitted.offset - gravity - drag) / fitted.inertia])

    state = np.stack([pieces.qpos[:, 0, 0], pieces.qvel[:, 0, 0]])
    substeps = round(pieces.control_period / timestep)
    for torque in np.repeat(pieces.actions[:, :, 0].T, substeps, axis=0):
        first = derivative(state, torque)
        second = derivative(state + timestep / 2 * first, torque)
        third = derivative(state + timestep / 2 * second, torque)
        fourth = derivative(state + timestep * third, torque)
        state = state + timestep / 6 * (first + 2 * second + 2 * third + fourth)
    return np.asarray(state[0])


def swing_ups(recordings: dict[str, Trajectories]) -> None:
    """Print the errors one step ahead, and in open loop from overlapping pieces of every run."""
    heading("Pendulum: one control step ahead of every recorded state, RMSE against the sensors")
    print(f"{'controller':20}{'parameters':12}{'period ms':>10}{'angle mrad':>12}{'velocity rad/s':>16}")
    for name, recording in recordings.items():
        for label, members in PARAMETERS.items():
            ahead = predict_steps(pendulum(recording.control_period), recording, fibre=members)
            angle, velocity = (ahead.observation - recording.observations[0, 1:]).T
            print(
                f"{name:20}{label:12}{1000 * recording.control_period:10.2f}{1000 * rms(angle):12.2f}"
                f"{rms(velocity):16.3f}"
            )
    heading("Pendulum: open loop, RMSE of the angle in rad after some seconds")
    print(f"{'controller':20}{'parameters':12}" + "".join(f"{f'{s:g} s':>9}" for s in SECONDS))
    for name, recording in recordings.items():
        for label, members in PARAMETERS.items():
            errors = [rms(drift(recording, members, seconds)) for seconds in SECONDS]
            print(f"{name:20}{label:12}" + "".join(f"{error:9.3f}" for error in errors))


def drift(recording: Trajectories, fibre: Ensemble, seconds: float) -> Floats:
    """Return angle simulated minus angle recorded [rad] after some seconds, from starts half that far apart."""
    steps = round(seconds / recording.control_period)
    pieces = segments(recording, steps, max(1, steps // 2))
    played = replay(pendulum(recording.control_period), pieces, fibre=fibre)
    return np.asarray(played.qpos[:, -1, 0] - pieces.qpos[:, -1, 0])


def deployments(recordings: dict[str, Trajectories], members: int, seconds: float, seed: int) -> list[Deployment]:
    """Deploy the five controllers, in pieces of some seconds, in a fibre around the identified parameters."""
    fibre = AROUND.draw(members, rng=seed)
    return [
        deploy_recording(
            pendulum(recording.control_period, noise=NOISE),
            segments(recording, round(seconds / recording.control_period)),
            robot=ROBOT,
            fibre=fibre,
            rng=seed,
        )
        for recording in recordings.values()
    ]


def transfer(recordings: dict[str, Trajectories], members: int, seconds: float, seed: int, epsilon: float) -> None:
    """Print the gaps of the five policies on one robot, and the verdicts of the instance's laws."""
    heading(f"Pendulum: gaps of pieces of {seconds:g} s in a fibre of {members}")
    print(f"{'policy':20}{'pieces':>8}{'nats/step':>11}{'interval':>20}{'nats/s':>10}  reliable")
    deployed = deployments(recordings, members, seconds, seed)
    gaps: list[MeasuredGap] = []
    for each in deployed:
        gaps.append(measure(each, method="gaussian", confidence=0.95, rng=np.random.default_rng(seed)))
        found = gaps[-1].transition
        if found is None:
            print(f"{each.policy:20}{len(each.real):8}  {gaps[-1].note}")
            continue
        interval = f"[{found.low:.3f}, {found.high:.3f}]"
        print(
            f"{each.policy:20}{len(each.real):8}{found.value:11.3f}{interval:>20}"
            f"{found.value / each.real.control_period:10.1f}  {'yes' if found.reliable else 'no'}"
        )
    report = build_instance(deployed, gaps, epsilon).check(epsilon)
    print(", ".join(f"{result.law.name} {result.verdict}" for result in report.results))


def tosses(path: Path) -> None:
    """Print properties of the recorded and the simulated tosses, and the distance between them."""
    recording = read_tosses(path)
    played = replay(cube(), recording)
    heading(f"Cube: {len(recording)} tosses")
    print(f"{'':36}{'recorded':>10}{'simulated':>11}")
    heights = [each.qpos[np.arange(len(each)), each.lengths, 2].mean() for each in (recording, played)]
    print(f"{'height at the end, half-widths':36}{heights[0] / HALF_WIDTH:10.4f}{heights[1] / HALF_WIDTH:11.4f}")
    falls = [np.mean(free_fall(each)) for each in (recording, played)]
    print(f"{'acceleration in free flight, m/s2':36}{falls[0]:10.3f}{falls[1]:11.3f}")
    bounces()

    lift = HALF_WIDTH - heights[0]
    lifted = replace(recording, qpos=recording.qpos + lift * (np.arange(7) == 2))
    heading(f"Cube: one frame ahead, RMSE; as recorded, and lifted by {1000 * lift:.2f} mm onto the table")
    print(f"{'':36}{'frames':>10}{'position mm':>13}{'rotation deg':>14}{'velocity m/s':>14}")
    for label, each in (("recorded", recording), ("lifted", lifted)):
        one_frame(label, each)

    heading("Cube: open loop from the first frame, over the tosses")
    print(f"{'':36}{'position mm':>24}{'rotation deg':>24}")
    print(f"{'':36}" + 2 * f"{'mean':>8}{'median':>8}{'90 %':>8}")
    for frame in (10, 20, 40, 60, 80):
        whole_tosses(f"recorded, after {frame} frames", recording, played, np.minimum(frame, recording.lengths))
    whole_tosses("recorded, at the end", recording, played, recording.lengths)
    whole_tosses("lifted, at the end", lifted, replay(cube(), lifted), lifted.lengths)


def one_frame(label: str, recording: Trajectories) -> None:
    """Print the errors of predicting every next frame."""
    ahead = predict_steps(cube(), recording)
    before, qpos, qvel = (
        array[ahead.episode, ahead.step + later]
        for array, later in ((recording.qpos, 0), (recording.qpos, 1), (recording.qvel, 1))
    )
    flying = np.minimum(lowest_corner(before), lowest_corner(qpos)) > 0.2 * HALF_WIDTH
    ending = ahead.step >= recording.lengths[ahead.episode] - 10
    position = np.linalg.norm(ahead.state[:, :3] - qpos[:, :3], axis=1)
    rotation = np.rad2deg(rotation_between(ahead.state[:, 3:7], qpos[:, 3:]))
    velocity = np.linalg.norm(ahead.state[:, 7:10] - qvel[:, :3], axis=1)
    for where, rows in (("in the air", flying), ("near the table", ~flying), ("last ten frames", ending)):
        errors = 1000 * rms(position[rows]), rms(rotation[rows]), rms(velocity[rows])
        print(f"{f'{label}, {where}':36}{rows.sum():10}{errors[0]:13.3f}{errors[1]:14.3f}{errors[2]:14.3f}")


def whole_tosses(label: str, recording: Trajectories, played: Trajectories, frame: NDArray[np.int64]) -> None:
    """Print the errors of playing every toss from its first frame to the given one."""
    toss = np.arange(len(recording))
    one, other = played.qpos[toss, frame], recording.qpos[toss, frame]
    position = 1000 * np.linalg.norm((one - other)[:, :3], axis=1)
    rotation = np.rad2deg(rotation_between(one[:, 3:], other[:, 3:]))
    faces = f"{int((rotation < 45).sum()):6} of {len(recording)} within 45 deg"
    print(f"{label:36}" + summary(position) + summary(rotation) + faces)


def bounces() -> None:
    """Print the velocity after a flat bounce over that before, from several heights."""
    model = cube().compile()
    for height in (0.02, 0.05, 0.1, 0.2):
        data = mujoco.MjData(model)
        data.qpos[2] += height
        velocity = np.empty(round(0.5 / model.opt.timestep))
        for step in range(len(velocity)):
            mujoco.mj_step(model, data)
            velocity[step] = data.qvel[2]
        down = int(velocity.argmin())
        rebound = velocity[down : down + 100].max() / -velocity[down]
        print(f"{f'restitution from {1000 * height:g} mm (published)':36}{RESTITUTION:10.3f}{rebound:11.3f}")


def summary(errors: Floats) -> str:
    return f"{errors.mean():8.1f}{np.median(errors):8.1f}{np.quantile(errors, 0.9):8.1f}"


def free_fall(recording: Trajectories) -> list[float]:
    """Fit the vertical acceleration [m/s2] of each toss while its lowest corner is clearly above the table."""
    found = []
    for qpos, length in zip(recording.qpos, recording.lengths, strict=True):
        low = lowest_corner(qpos[: length + 1]) > 0.2 * HALF_WIDTH
        flight = int(np.argmin(low))
        if flight >= 8:
            found.append(2 * float(np.polyfit(np.arange(flight) * PERIOD, qpos[:flight, 2], 2)[0]))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[3] / "shared" / "data")
    parser.add_argument("--members", type=int, default=8, help="worlds in the pendulum's fibre")
    parser.add_argument("--seconds", type=float, default=0.5, help="length of a piece of a swing-up")
    parser.add_argument("--epsilon", type=float, default=0.1, help="nats per control step")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    folder = options.data / "dfki_simple_pendulum"
    published = identifications(folder)
    recordings = {name: read_swing_up(folder, name) for name in CONTROLLERS}
    friction(recordings, published, options.seconds)
    swing_ups(recordings)
    transfer(recordings, options.members, options.seconds, options.seed, options.epsilon)
    tosses(options.data / "contactnets_cube" / "tosses_first60.npz")


if __name__ == "__main__":
    main()
